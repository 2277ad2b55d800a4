using Declarative.Api;

namespace Declarative.ApiServer.Storage;

/// <summary>The present objects of one kind in order of namespace and name, and its latest changes for watchers.</summary>
/// <remarks>Guarded by the lock of its <see cref="RevisionLog"/>; what is handed out is immutable.</remarks>
internal sealed class KindLog(long openedAt)
{
    private LogEntry[] _ring = new LogEntry[64];
    private long _first; // sequence number of the oldest entry kept
    private readonly Dictionary<ObjectName, WatchScope> _scopes = [];
    private readonly WatchScope _all = new(ObjectName.Any, -1);
    private readonly List<(long Revision, ObjectSet Objects)> _earlier = []; // those asked for last, the latest last
    private long _bytes; // of the objects in the entries kept

    public ObjectSet Objects { get; private set; } = ObjectSet.Empty;

    /// <summary>Changes up to this revision are no longer in the ring.</summary>
    public long TrimmedThrough { get; private set; } = openedAt;

    /// <summary>The sequence number that the next change will have.</summary>
    public long Next { get; private set; }

    public void LoadAll(IEnumerable<Selectable> items) => Objects = ObjectSet.Of(items);

    /// <summary>Other objects without the changes that led to them; every watcher has fallen behind.</summary>
    public void Reset(IEnumerable<Selectable> items, long revision, WatchWaker waker)
    {
        LoadAll(items);
        _earlier.Clear();
        Array.Clear(_ring);
        // One number is left out, so that a watcher who had read everything knows that it has not.
        _first = ++Next;
        _bytes = 0;
        TrimmedThrough = revision;
        _all.Touch(Next, waker);
        foreach (var scope in _scopes.Values) scope.Touch(Next, waker);
    }

    /// <param name="waker">Gets the watchers that the change lies in the scope of.</param>
    public void Apply(LogEntry entry, WatchWaker waker)
    {
        var name = ObjectName.Of(entry.Object);
        Objects = entry.Type == WatchEventType.Deleted ? Objects.Without(name) : Objects.With(entry.Object);
        if (Next - _first == _ring.Length)
        {
            if (_ring.Length < Limits.WatchHistoryEventsMax) Grow();
            else DropOldest();
        }
        _all.Touch(Next, waker);
        if (_scopes.Count > 0)
        {
            if (name.Namespace.Length > 0) Touch(new(name.Namespace, ""), waker);
            Touch(name, waker);
        }
        _ring[Next++ % _ring.Length] = entry;
        _bytes += entry.Object.Stored.Json.Length;
        while (_bytes > Limits.WatchHistoryBytesMax && Next - _first > 1) DropOldest();
    }

    /// <summary>One watcher more of a scope: namespace and name, empty = any.</summary>
    public WatchGroup Join(ObjectName name, bool isQuick)
    {
        var scope = name == ObjectName.Any ? _all : _scopes.GetValueOrDefault(name);
        // Earlier changes may lie in it.
        if (scope is null) _scopes[name] = scope = new(name, Next - 1);
        return scope.Join(isQuick);
    }

    public void Leave(WatchGroup group)
    {
        group.Scope.Leave(group);
        if (group.Scope.IsEmpty) _scopes.Remove(group.Scope.Name);
    }

    private void Touch(ObjectName name, WatchWaker waker)
    {
        if (_scopes.TryGetValue(name, out var scope)) scope.Touch(Next, waker);
    }

    /// <summary>The sequence number of the first change after a revision.</summary>
    public long Seek(long revision)
    {
        var (low, high) = (_first, Next);
        while (low < high)
        {
            var middle = low + (high - low) / 2;
            if (_ring[middle % _ring.Length].Object.Revision <= revision) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    /// <summary>Keeps the set of a revision for those who will ask for more of it, while the history reaches back to it.</summary>
    public void Keep(long revision, ObjectSet objects)
    {
        if (revision < TrimmedThrough || _earlier.Exists(x => x.Revision == revision)) return;
        if (_earlier.Count == StoreLimits.EarlierSetsMax) _earlier.RemoveAt(0);
        _earlier.Add((revision, objects));
    }

    /// <summary>The set of a revision that is kept; null when there is none.</summary>
    public ObjectSet? Kept(long revision) => _earlier.Find(x => x.Revision == revision).Objects;

    /// <summary>The changes after a revision, oldest first; null when the history no longer reaches back to it.</summary>
    public LogEntry[]? Since(long revision)
    {
        if (revision < TrimmedThrough) return null;
        var from = Seek(revision);
        var changes = new LogEntry[Next - from];
        for (var i = 0; i < changes.Length; i++) changes[i] = _ring[(from + i) % _ring.Length];
        return changes;
    }

    /// <summary>The objects as they were before the changes.</summary>
    public static ObjectSet Before(LogEntry[] changes, ObjectSet now)
    {
        // Of each object the oldest change counts: what it was before that.
        var before = new Dictionary<ObjectName, Selectable?>();
        foreach (var entry in changes) before.TryAdd(ObjectName.Of(entry.Object), entry.Previous);
        var objects = now;
        foreach (var (name, item) in before) objects = item is null ? objects.Without(name) : objects.With(item);
        return objects;
    }

    /// <summary>Copies changes from a sequence number on; false when the oldest of them is gone.</summary>
    public bool Read(long from, List<LogEntry> into, int max)
    {
        if (from < _first) return false;
        for (var i = from; i < Next && into.Count < max; i++) into.Add(_ring[i % _ring.Length]);
        return true;
    }

    private void DropOldest()
    {
        ref var oldest = ref _ring[_first++ % _ring.Length];
        TrimmedThrough = oldest.Object.Revision;
        if (_earlier.Count > 0) _earlier.RemoveAll(x => x.Revision < TrimmedThrough);
        _bytes -= oldest.Object.Stored.Json.Length;
        oldest = default;
    }

    private void Grow()
    {
        var larger = new LogEntry[Math.Min(_ring.Length * 2, Limits.WatchHistoryEventsMax)];
        for (var i = _first; i < Next; i++) larger[i % larger.Length] = _ring[i % _ring.Length];
        _ring = larger;
    }
}

/// <param name="Previous">The object before the change, null where it was created.</param>
internal readonly record struct LogEntry(WatchEventType Type, Selectable Object, Selectable? Previous);

internal readonly record struct ObjectName(string Namespace, string Name)
{
    /// <summary>As a scope of watchers: every object.</summary>
    public static ObjectName Any { get; } = new("", "");

    public static ObjectName Of(Selectable item) => new(item.Stored.Key.Namespace, item.Stored.Key.Name);
}
