using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Registry.Versions;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>The verbs that read: get, list, watch, and what was before.</summary>
internal sealed partial class Registry
{
    private static readonly TimeSpan BookmarkInterval = TimeSpan.FromSeconds(10);

    public async Task<Stored> Get(User user, ResourceKey key, string subresource)
    {
        Allow(user, "get", key, subresource);
        key = Kinds.Resolve(key);
        var stored = await _conversion.ToServed(Current(ServedVersions.StoredAs(key)).Stored, key.Kind, CancellationToken.None);
        return subresource switch
        {
            "status" when key.Kind is CustomKind { HasStatus: false } => throw Status.PageNotFound(),
            "scale" when key.Kind is CustomKind { Scale: null } => throw Status.PageNotFound(),
            "" or "status" => ServedVersions.Served(stored, key.Kind),
            "ephemeralcontainers" or "resize" or "approval" when key.Kind.Subresources.Contains(subresource) => stored,
            "scale" => ScaleSubresource.Of(stored),
            _ => throw Status.MethodNotAllowed($"{key.Kind.Plural}/{subresource} can not be read"),
        };
    }

    public async Task<StoredList> List(User user, ListRequest request, CancellationToken stop)
    {
        Allow(user, "list", new(request.Kind, request.Namespace ?? "", ""), "");
        if (request.Kind.Group == Kind.PodMetrics.Group) return await options.Usage(request, stop);
        var served = Kinds.Resolve(request.Kind);
        var list = Listing.Of(log, request with { Kind = ServedVersions.StoredAs(served) });
        if (!served.IsBuiltIn) return list with { Items = await _conversion.ToServed(list.Items, served, CancellationToken.None) };
        return ServedVersions.StoredAs(served) == served ? list : list with { Items = [.. list.Items.Select(x => ServedVersions.Served(x, served))] };
    }

    public IAsyncEnumerable<WatchEvent> Watch(User user, WatchRequest request, CancellationToken stop)
    {
        var stored = ServedVersions.StoredAs(request.Kind);
        return stored == request.Kind ? Events(user, request, request.Kind, stop) : Served(user, request, stored, stop);
    }

    private async IAsyncEnumerable<WatchEvent> Served(User user, WatchRequest request, Kind stored, [EnumeratorCancellation] CancellationToken stop)
    {
        await foreach (var happened in Events(user, request with { Kind = stored }, request.Kind, stop))
        {
            yield return happened.Object is { } changed ? happened with { Object = ServedVersions.Served(changed, request.Kind) } : happened;
        }
    }

    private async IAsyncEnumerable<WatchEvent> Events(User user, WatchRequest request, Kind asked, [EnumeratorCancellation] CancellationToken stop)
    {
        Allow(user, "watch", new(asked, request.Namespace ?? "", ""), "");
        request = request with { Kind = Kinds.Resolve(request.Kind) };
        var storedKind = CustomKind.StoredAs(request.Kind);
        var selection = new Selection(request.Kind, request.Namespace, request.Labels, request.Fields);
        var from = request.From ?? 0;
        if (from == 0 || request.SendInitialEvents)
        {
            var (objects, revision) = log.Snapshot(storedKind);
            from = revision;
            var (first, last) = selection.PlacesIn(objects);
            foreach (var item in objects.Range(first, last))
            {
                if (selection.Selects(item)) yield return new(WatchEventType.Added, item.Revision, await _conversion.ToServed(item.Stored, request.Kind, stop));
            }
            if (request.SendInitialEvents) yield return new(WatchEventType.Bookmark, revision, null, InitialEventsEnd: true);
        }

        using var cursor = log.Watch(storedKind, from, selection.Scope, request.IsQuick);
        var told = from;
        var stopped = Completion.New();
        using var registration = stop.Register(() => stopped.TrySetResult());
        // Not linked to stop: a cancelled delay completes on the thread pool, which would race with the end of the watch.
        using var timers = new CancellationTokenSource();
        var end = request.Timeout is { } timeout ? Task.WhenAny(Task.Delay(timeout, time, timers.Token), stopped.Task) : stopped.Task;
        var every = request.BookmarkEvery ?? BookmarkInterval;
        Task? bookmarkDue = null;
        try
        {
            while (!end.IsCompleted)
            {
                var page = cursor.Read(out var changed);
                foreach (var entry in page)
                {
                    if (selection.Event(entry) is not { } change) continue;
                    yield return request.Kind.IsBuiltIn ? change : change with { Object = await _conversion.ToServed(change.Object!, request.Kind, stop) };
                    told = change.Revision;
                }
                if (page.Count > 0) continue;
                if (!request.Bookmarks)
                {
                    await Task.WhenAny(changed, end);
                    continue;
                }
                if (bookmarkDue is { IsCompleted: true })
                {
                    bookmarkDue = null;
                    if (cursor.Revision == told) continue;
                    told = cursor.Revision;
                    yield return new(WatchEventType.Bookmark, told, null);
                    continue;
                }
                if (cursor.Revision == told && request.BookmarkEvery is not null)
                {
                    // Bookmarks that follow soon: the clock runs from the change. Once a minute it may run on.
                    await Task.WhenAny(changed, log.Advanced(told), end);
                    continue;
                }
                bookmarkDue ??= Task.Delay(every, time, timers.Token);
                await Task.WhenAny(changed, bookmarkDue, end);
            }
        }
        finally
        {
            timers.Cancel();
        }
    }

    /// <summary>The changes of an object, there or deleted, the latest first; who may read the object may read what it was.</summary>
    /// <param name="before">Only changes of a lower revision; 0 = all.</param>
    public async Task<IReadOnlyList<HistoryRecord>> ReadHistory(User user, ResourceKey key, int limit, long before, CancellationToken stop)
    {
        Allow(user, "get", key, "");
        key = Kinds.Resolve(key);
        var kept = log.History ?? throw Status.MethodNotAllowed("this API server keeps no history: its journal has the present alone");
        await log.Fresh(stop);
        var served = new List<HistoryRecord>();
        foreach (var record in await kept.Read(CustomKind.StoredAs(ServedVersions.StoredAs(key)), limit, before, stop))
        {
            var stored = new Stored(ServedVersions.StoredAs(key), "", record.Revision, StoredJson.WithRevision(record.Json.Span, record.Revision));
            served.Add(record with { Json = ServedVersions.Served(await _conversion.ToServed(stored, key.Kind, stop), key.Kind).Json });
        }
        return served;
    }
}
