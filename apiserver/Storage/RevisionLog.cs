using System.Threading.Channels;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// The store: the present objects and their latest changes, in one order of revisions. One writer loop takes whatever has queued up
/// while the last batch was on its way to the journal (group commit); readers see a write only after it is on disk.
/// </summary>
internal sealed partial class RevisionLog
{
    private readonly Lock _gate = new();
    private readonly IJournal _journal;
    private readonly WatchWaker _waker;
    private readonly Dictionary<Kind, KindLog> _kinds = [];
    private readonly Channel<PendingCommit> _queue = Channel.CreateBounded<PendingCommit>(new BoundedChannelOptions(StoreLimits.QueuedWritesMax) { SingleReader = true, AllowSynchronousContinuations = true });
    private readonly Bell _bell = new(); // there is something in the queue
    private readonly Dictionary<ResourceKey, long> _batchRevisions = [];
    private TaskCompletionSource _advanced = Completion.New();
    private long _openedAt;
    private long _revision;
    private readonly Action _begin; // the same one at each end of a round

    private readonly FreshRevision? _fresh;

    private RevisionLog(IJournal journal, TimeProvider? pace)
    {
        (_journal, _waker, _begin) = (journal, new(_gate, pace), _bell.Ring);
        _fresh = journal.Shared is { } shared ? new(shared) : null;
    }

    /// <summary>The newest durable revision.</summary>
    public long Revision
    {
        get
        {
            lock (_gate) return _revision;
        }
    }

    /// <param name="pace">See <see cref="WatchWaker"/>.</param>
    public static async Task<RevisionLog> Open(IJournal journal, CancellationToken stop, TimeProvider? pace = null)
    {
        var log = new RevisionLog(journal, pace);
        var (kinds, slabs) = (new Dictionary<Kind, List<Selectable>>(), new Slabs());
        var revision = await journal.Load((key, uid, at, json) =>
        {
            if (!kinds.TryGetValue(key.Kind, out var objects)) kinds[key.Kind] = objects = [];
            objects.Add(new(new(key, uid, at, StoredJson.WithRevision(json, at, slabs))));
        }, stop);
        // Revision 0 means "any" in the API, so the first is 1 even in an empty store.
        log._openedAt = log._revision = Math.Max(revision, 1);
        foreach (var (kind, objects) in kinds) log.Of(kind).LoadAll(objects);
        return log;
    }

    public Selectable? Get(ResourceKey key)
    {
        ObjectSet objects;
        lock (_gate) objects = Of(key.Kind).Objects;
        return objects.Find(new(key.Namespace, key.Name));
    }

    /// <summary>All objects of a kind as of one revision.</summary>
    public (ObjectSet Objects, long Revision) Snapshot(Kind kind)
    {
        lock (_gate) return (Of(kind).Objects, _revision);
    }

    /// <summary>All objects of a kind as of an earlier revision. Throws 410 when the history no longer reaches back to it.</summary>
    public ObjectSet SnapshotAt(Kind kind, long revision)
    {
        LogEntry[] since;
        ObjectSet now;
        lock (_gate)
        {
            if (revision > _revision) throw Api.Objects.Status.RevisionTooLarge(revision, _revision);
            var log = Of(kind);
            if (log.Kept(revision) is { } kept) return kept;
            since = log.Since(revision) ?? throw Api.Objects.Status.Expired(revision, log.TrimmedThrough);
            now = log.Objects;
        }
        // Outside the lock: a page of an old list must not hold up writers.
        var objects = KindLog.Before(since, now);
        KeepSnapshot(kind, revision, objects);
        return objects;
    }

    /// <summary>The next page of a list will ask for this revision again: it is found at once then, for as long as it is one of the last asked for.</summary>
    public void KeepSnapshot(Kind kind, long revision, ObjectSet objects)
    {
        lock (_gate) Of(kind).Keep(revision, objects);
    }

    /// <summary>Every object as of one revision.</summary>
    public (IReadOnlyList<Stored> Objects, long Revision) SnapshotAll()
    {
        List<ObjectSet> kinds;
        long revision;
        lock (_gate) (kinds, revision) = ([.. _kinds.Values.Select(x => x.Objects)], _revision);
        return ([.. kinds.SelectMany(x => x.Values).Select(x => x.Stored).OrderBy(x => x.Revision)], revision);
    }

    /// <summary>Completes when the newest revision is above <paramref name="revision"/>.</summary>
    public Task Advanced(long revision)
    {
        lock (_gate) return _revision > revision ? Task.CompletedTask : _advanced.Task;
    }

    /// <summary>
    /// Queues one write and completes when it is durable and visible, or refused because the object is not at
    /// <see cref="Mutation.Expected"/> any more.
    /// </summary>
    public async Task<CommitResult> Commit(Mutation mutation, CancellationToken stop)
    {
        var pending = new PendingCommit(mutation);
        try
        {
            await _queue.Writer.WriteAsync(pending, stop);
        }
        catch (ChannelClosedException)
        {
            throw Api.Objects.Status.Unavailable("the API server is stopping");
        }
        if (Round.Current is { } round) round.AtEnd(_begin);
        else _begin();
        return await pending.Answer;
    }

    /// <summary>The loops; end when <paramref name="stop"/> is set, after the batch at hand. Their owner awaits them.</summary>
    public Task Run(CancellationToken stop) => _journal.Shared is { } shared ? Completion.OfAll(Write(stop), Follow(shared, stop)) : Write(stop);

    /// <summary>What objects were before; null where the journal keeps the present alone.</summary>
    public IHistory? History => _journal.History;

    /// <summary>
    /// A reader of the changes after a revision. Throws 410 when the history no longer reaches back to it, 504 when it is yet to come.
    /// </summary>
    /// <param name="scope">Namespace and name of what it is about; empty = any.</param>
    /// <param name="isQuick">See <see cref="WatchRequest.IsQuick"/>.</param>
    public KindCursor Watch(Kind kind, long from, ObjectName scope = default, bool isQuick = false)
    {
        lock (_gate) return new(this, _gate, Of(kind), scope.Name is null ? ObjectName.Any : scope, from, isQuick);
    }

    /// <summary>A reader of the changes of a kind from now on.</summary>
    public KindCursor WatchFromNow(Kind kind)
    {
        lock (_gate) return new(this, _gate, Of(kind), ObjectName.Any, _revision, isQuick: false);
    }

    private void Publish(List<PendingCommit> batch)
    {
        TaskCompletionSource advanced;
        lock (_gate)
        {
            foreach (var pending in batch)
            {
                if (pending.Record is { } record) pending.Result = Apply(record);
            }
            advanced = _advanced;
            _advanced = Completion.New();
        }
        foreach (var pending in batch)
        {
            if (pending.Result is not null) pending.Tell(new(pending.Result));
        }
        advanced.TrySetResult();
        _waker.Start();
    }

    // Under the lock. A record that the journal's own news brought first is there already.
    private Stored Apply(JournalRecord record)
    {
        var json = record.Json ?? record.Last;
        var item = new Selectable(new Stored(record.Key, record.Uid, record.Revision, StoredJson.WithRevision(json.Span, record.Revision)));
        if (record.Revision <= _revision) return item.Stored;
        var log = Of(record.Key.Kind);
        var previous = log.Objects.Find(new(record.Key.Namespace, record.Key.Name));
        var type = record.Json is null ? WatchEventType.Deleted : previous is null ? WatchEventType.Added : WatchEventType.Modified;
        log.Apply(new(type, item, previous), _waker);
        _revision = record.Revision;
        return item.Stored;
    }

    private KindLog Of(Kind kind)
    {
        if (!_kinds.TryGetValue(kind, out var log)) _kinds[kind] = log = new KindLog(_openedAt);
        return log;
    }
}

/// <summary>One conditional write.</summary>
/// <param name="Expected">The revision the object must be at; 0 = it must not exist.</param>
/// <param name="Json">The new object without resourceVersion; null = delete it.</param>
/// <param name="Tombstone">For a deletion: the last state without resourceVersion, as watchers will see it.</param>
/// <param name="Origin">Who writes; null = this write is no part of the object's history.</param>
internal sealed record Mutation(ResourceKey Key, string Uid, long Expected, ReadOnlyMemory<byte>? Json, ReadOnlyMemory<byte> Tombstone = default, Origin? Origin = null)
{
    /// <summary>Asked when it is this write's turn: false refuses it as a changed object does.</summary>
    public Func<bool>? Holds { get; init; }
}

/// <param name="Stored">The new (for a deletion: the last) state; null = refused, the object has changed.</param>
internal readonly record struct CommitResult(Stored? Stored);

/// <summary>Bounds of the store.</summary>
internal static class StoreLimits
{
    /// <summary>Writes waiting for the journal; more callers wait their turn.</summary>
    public const int QueuedWritesMax = 10_000;

    /// <summary>Writes of one commit to disk.</summary>
    public const int BatchWritesMax = 1_000;

    /// <summary>Earlier states of a kind that are kept for the next pages of lists; those of older lists are worked out from the changes since.</summary>
    public const int EarlierSetsMax = 32;

    /// <summary>Changes handed to a watcher at a time.</summary>
    public const int WatchPageEventsMax = 256;

    /// <summary>Watchers that are woken together.</summary>
    public const int WatchersWokenAtOnceMax = 16;

    /// <summary>Retries of a patch that lost against concurrent writers of the same object before the caller gets 409.</summary>
    public const int PatchAttemptsMax = 64;
}
