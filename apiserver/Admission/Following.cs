using Declarative.Api;

namespace Declarative.ApiServer.Admission;

/// <summary>The loop of what the API server makes in answer to objects of users.</summary>
internal static class Following
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Hands over all objects of a watch and each change of them until <paramref name="stop"/>; all of them again after the history has moved on
    /// (410), the store was busy, or <paramref name="on"/> has failed with an <see cref="ApiException"/>.
    /// </summary>
    public static async Task Objects(IApi api, WatchRequest request, Func<WatchEventType, Stored, Task> on, TimeProvider time, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await foreach (var happened in api.Watch(request, stop))
                {
                    if (happened.Object is { } changed) await on(happened.Type, changed);
                }
            }
            catch (ApiException)
            {
                // Look again at everything, after a breath.
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            if (stop.IsCancellationRequested) return;
            try
            {
                await Task.Delay(RetryAfter, time, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}
