using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.Cli.Verbs;

/// <summary>Follows one object.</summary>
internal static class ObjectWatch
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Its state now and after each change; null once it is gone (also where it is not there at first), which is the end.</summary>
    public static async IAsyncEnumerable<Stored?> Follow(IApi api, ResourceKey key, TimeProvider time, [EnumeratorCancellation] CancellationToken stop)
    {
        while (true)
        {
            Stored? now = null;
            try
            {
                now = await api.Get(key, stop: stop);
            }
            catch (ApiException e) when (e.IsNotFound)
            {
                // Told below: an iterator yields outside of its try blocks.
            }
            yield return now;
            if (now is null) yield break;
            var watch = new WatchRequest(key.Kind, key.Kind.Namespaced ? key.Namespace : null) { Fields = FieldSelector.Of("metadata.name", key.Name), From = now.Revision };
            await using var changes = api.Watch(watch, stop).GetAsyncEnumerator(stop);
            while (await Next(changes))
            {
                if (changes.Current is not { Object: { } changed } change) continue;
                yield return change.Type == WatchEventType.Deleted ? null : changed;
                if (change.Type == WatchEventType.Deleted) yield break;
            }
            // The stream has ended or broken: begin again from the object.
            await Task.Delay(Pause, time, stop);
        }
    }

    private static async Task<bool> Next(IAsyncEnumerator<WatchEvent> changes)
    {
        try
        {
            return await changes.MoveNextAsync();
        }
        catch (ApiException e) when (e.IsExpired || e.IsRetryable)
        {
            return false;
        }
    }
}
