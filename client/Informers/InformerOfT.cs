using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Client.Informers;

/// <summary>
/// A view of all (or the selected) objects of a kind that follows the API: a paged list, then a watch that is resumed from the last revision
/// seen, and a new list when the server no longer has that revision (410). Every error is survived with a growing delay.
/// Safe for readers on any thread; indexes and handlers are added before <see cref="Run"/>.
/// </summary>
/// <param name="read">Reads the stored bytes, for example <c>Pod.Read</c>. An object that it cannot read is left out of the view and logged.</param>
/// <param name="random">Only for the jitter of delays; the informer takes one number from it here and then uses a source of its own.</param>
public sealed class Informer<T>(IApi api, Kind kind, Func<ReadOnlyMemory<byte>, T> read, TimeProvider time, Random random) : Informer(kind)
    where T : ApiObject
{
    private static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly View<T> _view = new();
    private readonly List<Action<Change<T>>> _handlers = [];

    /// <summary>Held over a change of the view and the telling of it: who is attached in between hears of each object once, in order.</summary>
    private readonly Lock _order = new();
    private readonly List<Action<Change<T>>> _attached = [];
    private readonly Random _random = new(random.Next());
    private bool _running;

    public LabelSelector Labels { get; init; } = LabelSelector.Everything;
    public FieldSelector Fields { get; init; } = FieldSelector.Everything;

    /// <summary>Keep the stored bytes of every object (<see cref="Entry{T}.Json"/>).</summary>
    public bool KeepJson { get; init; }

    /// <summary>For views whose <see cref="Informer.Revision"/> others wait for (<see cref="WatchRequest.BookmarkEvery"/>); null = as the server likes.</summary>
    public TimeSpan? BookmarkEvery { get; init; }

    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>How often the view was filled by a list: 1 after the start, more after each 410.</summary>
    public int Lists { get; private set; }

    public int Count
    {
        get
        {
            lock (_lock) return _view.Count;
        }
    }

    /// <summary>An index by the keys that the function finds in an object. Before <see cref="Run"/>.</summary>
    public Informer<T> AddIndex(string name, Func<T, IEnumerable<string>> keys)
    {
        if (_running) throw new InvalidOperationException("indexes are added before Run");
        _view.AddIndex(name, keys);
        return this;
    }

    /// <summary>An index by the key of an object, null = it stands in none. Before <see cref="Run"/>.</summary>
    public Informer<T> AddIndex(string name, Func<T, string?> key)
    {
        if (_running) throw new InvalidOperationException("indexes are added before Run");
        _view.AddIndex(name, key);
        return this;
    }

    /// <summary>
    /// Called for each change in the order of revisions, one at a time, after the view shows it and before <see cref="Informer.Revision"/>
    /// does. It runs on the informer's loop: it notes a key and returns. Before <see cref="Run"/>.
    /// </summary>
    public Informer<T> OnChange(Action<Change<T>> handler)
    {
        if (_running) throw new InvalidOperationException("handlers are added before Run");
        _handlers.Add(handler);
        return this;
    }

    /// <summary>
    /// Tells the handler of every object that is in the view as of a new one, and from then on of each change, until what is returned is disposed
    /// of. As <see cref="OnChange"/>, but also while the view runs.
    /// </summary>
    public IDisposable Attach(Action<Change<T>> handler)
    {
        lock (_order)
        {
            foreach (var entry in Entries()) Tell(handler, new(null, entry.Object, entry.Revision));
            _attached.Add(handler);
        }
        return new Attached(this, handler);
    }

    private sealed class Attached(Informer<T> to, Action<Change<T>> handler) : IDisposable
    {
        public void Dispose()
        {
            lock (to._order) to._attached.Remove(handler);
        }
    }

    public T? Get(string ns, string name) => Entry(ns, name)?.Object;

    public Entry<T>? Entry(string ns, string name)
    {
        lock (_lock) return _view.Get(Kind.Namespaced ? ns : "", name);
    }

    /// <summary>All objects in ordinal order of (namespace, name).</summary>
    public IReadOnlyList<T> List()
    {
        lock (_lock) return [.. _view.All.Select(x => x.Object)];
    }

    public IReadOnlyList<Entry<T>> Entries()
    {
        lock (_lock) return [.. _view.All];
    }

    /// <summary>The objects of a namespace in ordinal order of their names.</summary>
    public IReadOnlyList<T> ListNamespace(string ns)
    {
        lock (_lock) return [.. _view.In(ns).Select(x => x.Object)];
    }

    /// <summary>The objects with this key in an index, in ordinal order of (namespace, name).</summary>
    public IReadOnlyList<T> ByIndex(string index, string key)
    {
        lock (_lock) return [.. _view.By(index, key).Select(x => x.Object)];
    }

    public IReadOnlyList<Entry<T>> EntriesByIndex(string index, string key)
    {
        lock (_lock) return [.. _view.By(index, key)];
    }

    private protected override bool ShowsAlive(ResourceKey key, string uid) =>
        Entry(key.Namespace, key.Name) is { } entry && entry.Uid == uid && !entry.Object.Metadata.IsDeleting;

    public override async Task Run(CancellationToken stop)
    {
        _running = true;
        var backoff = new Backoff(RetryFirst, RetryMax, _random);
        var from = 0L;
        while (!stop.IsCancellationRequested)
        {
            var seen = Revision;
            try
            {
                if (from == 0) from = await Relist(stop);
                await Follow(from, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (ApiException e) when (e.IsExpired || e.IsRevisionTooLarge)
            {
                Log.Relisting(Logger, Kind.Plural, e.Message);
                from = 0;
                if (Revision > seen) backoff.Reset();
                if (!await Pause(backoff, stop)) return;
                continue;
            }
            catch (ApiException e) when (e.Code is 404 or 405 && from == 0)
            {
                // This server does not serve the kind: there are no objects of it, until it does.
                SetSynced();
            }
            catch (Exception e) // the informer's bulkhead: a broken connection has many types, and none may end the view
            {
                Log.Broken(Logger, ConnectionLoss.Level(e), Kind.Plural, e.Message);
            }
            if (from > 0) from = Math.Max(from, Revision);
            if (Revision > seen) backoff.Reset();
            if (!await Pause(backoff, stop)) return;
        }
    }

    private async Task<bool> Pause(Backoff backoff, CancellationToken stop)
    {
        try
        {
            await Task.Delay(backoff.Next(), time, stop);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<long> Relist(CancellationToken stop)
    {
        var request = new ListRequest(Kind, Namespace) { Labels = Labels, Fields = Fields, Limit = Limits.InformerPageItemsMax };
        var found = new List<Entry<T>>();
        long revision;
        while (true)
        {
            var page = await api.List(request, stop);
            foreach (var stored in page.Items)
            {
                if (Read(stored) is { } entry) found.Add(entry);
            }
            revision = page.Revision;
            if (page.Continue.Length == 0) break;
            request = request with { Continue = page.Continue };
        }
        Lists++;
        RemoveAllBut(found, revision);
        var isAnew = revision < Revision;
        foreach (var entry in found)
        {
            stop.ThrowIfCancellationRequested();
            Put(entry, isAnew);
        }
        if (isAnew) BeganAnew(revision);
        else Reached(revision);
        SetSynced();
        return revision;
    }

    private void RemoveAllBut(List<Entry<T>> found, long revision)
    {
        var keep = found.Select(x => x.Key).ToHashSet();
        List<ResourceKey> gone;
        lock (_lock) gone = [.. _view.All.Select(x => x.Key).Where(x => !keep.Contains(x))];
        foreach (var key in gone) Remove(key, revision);
    }

    private async Task Follow(long from, CancellationToken stop)
    {
        var request = new WatchRequest(Kind, Namespace)
        {
            Labels = Labels,
            Fields = Fields,
            From = from,
            Bookmarks = true,
            BookmarkEvery = BookmarkEvery,
            Timeout = TimeSpan.FromMinutes(5 + 5 * _random.NextDouble()), // so that a connection that died silently is not waited on for ever
        };
        await foreach (var change in api.Watch(request, stop))
        {
            switch (change)
            {
                case { Type: WatchEventType.Bookmark }:
                    break;
                case { Type: WatchEventType.Deleted, Object: { } gone }:
                    Remove(gone.Key, change.Revision);
                    break;
                case { Object: { } stored } when Read(stored) is { } entry:
                    Put(entry);
                    break;
                case { Object: { } unreadable }:
                    Remove(unreadable.Key, change.Revision);
                    break;
            }
            Reached(change.Revision);
        }
    }

    /// <summary>A view of metadata alone is not worth the place of a whole one, and is had from one for nothing.</summary>
    private T Kept(Stored stored) => read is Func<ReadOnlyMemory<byte>, ApiObject> lean && typeof(T) == typeof(ApiObject) ? (T)stored.Metadata(lean) : stored.View(read);

    private Entry<T>? Read(Stored stored)
    {
        try
        {
            return new(stored.Key, stored.Uid, stored.Revision, Kept(stored), KeepJson ? stored.Json : default);
        }
        catch (JsonException e)
        {
            Log.Unreadable(Logger, stored.Key.ToString(), stored.Revision, e.Message);
            return null;
        }
    }

    /// <param name="isAnew">Revisions say nothing of what was seen before: the server's history has begun anew.</param>
    private void Put(Entry<T> entry, bool isAnew = false)
    {
        lock (_order)
        {
            Entry<T>? old;
            lock (_lock)
            {
                var present = _view.Get(entry.Key.Namespace, entry.Key.Name);
                if (!isAnew && present is not null && present.Revision >= entry.Revision && present.Uid == entry.Uid) return;
                old = _view.Put(entry);
            }
            // Another object of the same name: the end of the old one was missed.
            if (old is not null && old.Uid != entry.Uid)
            {
                Tell(new(old.Object, null, entry.Revision));
                old = null;
            }
            Tell(new(old?.Object, entry.Object, entry.Revision));
        }
    }

    private void Remove(ResourceKey key, long revision)
    {
        lock (_order)
        {
            Entry<T>? old;
            lock (_lock) old = _view.Remove(key.Namespace, key.Name);
            if (old is not null) Tell(new(old.Object, null, revision));
        }
    }

    private void Tell(Change<T> change)
    {
        foreach (var handler in _handlers) Tell(handler, change);
        foreach (var handler in _attached) Tell(handler, change);
    }

    private void Tell(Action<Change<T>> handler, Change<T> change)
    {
        try
        {
            handler(change);
        }
        catch (Exception e) // a bug in one handler must not keep the others from the change
        {
            Log.HandlerFailed(Logger, Kind.Plural, change.Object.Namespace, change.Object.Name, e);
        }
    }
}
