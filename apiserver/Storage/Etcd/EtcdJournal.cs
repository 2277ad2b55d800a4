using Declarative.Api;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>
/// The journal on etcd, which several API servers share. A batch is one transaction: the objects, and the key <c>PREFIX/commit</c> with the newest
/// revision and what changed, on the condition that this key is still as it was when the revisions were given. So all servers' batches have one
/// order, a revision means the same everywhere, and of two servers that write at once one is told to look first. What others write comes
/// by etcd's watch. See docs/decisions/0006-etcd-keeps-one-commit-key.md.
/// </summary>
public sealed class EtcdJournal : IJournal, ISharedJournal
{
    private readonly EtcdClient _client;
    private readonly EtcdKeys _keys;
    private readonly EtcdOptions _options;
    private readonly ILogger _log;
    private readonly string _writer = Guid.NewGuid().ToString("N");
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _compacting;
    private readonly Lock _gate = new();
    private Seen _seen;
    private long _ownSeen; // the highest number of an own commit that etcd has
    private TaskCompletionSource _moved = Completion.New();
    private long _number;
    private long _followFrom;
    private bool _compacted; // etcd no longer has what the watch asked for, or it cannot be read

    private EtcdJournal(EtcdOptions options, ILogger log)
    {
        (_options, _log) = (options, log);
        _client = new(options);
        _keys = new(options.Prefix);
        _compacting = new EtcdCompaction(_client, options, () => Newest.Etcd, log).Run(_closing.Token);
    }

    public int BatchRecordsMax => EtcdLimits.BatchRecordsMax;

    public long BatchBytesMax => EtcdLimits.BatchBytesMax;

    public ISharedJournal Shared => this;

    private Seen Newest
    {
        get
        {
            lock (_gate) return _seen;
        }
    }

    /// <summary>Asks etcd once. Throws <see cref="JournalException"/> that says what is wrong.</summary>
    public static async Task<EtcdJournal> Open(EtcdOptions options, ILogger log, CancellationToken stop)
    {
        var journal = new EtcdJournal(options, log);
        try
        {
            await journal.Told(() => journal._client.Range(new() { Key = journal._keys.Commit, KeysOnly = true }, stop));
            return journal;
        }
        catch
        {
            await journal.DisposeAsync();
            throw;
        }
    }

    public async Task<long> Load(ReadObject each, CancellationToken stop)
    {
        var state = await Told(() => ReadAll(stop));
        foreach (var record in state.Objects) each(record.Key, record.Uid, record.Revision, record.Json!.Value.Span);
        return state.Revision;
    }

    public async Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop)
    {
        var seen = Newest;
        if (batch[0].Revision <= seen.Revision) throw new JournalBehindException(seen.Revision);
        await Commit(EtcdBatch.Operations(batch, _keys, out var commit), commit, seen, stop);
    }

    public async Task Advance(long revision, CancellationToken stop)
    {
        var seen = Newest;
        if (revision > seen.Revision) await Commit([], new() { Revision = revision }, seen, stop);
    }

    /// <summary>One at a time, each only where nobody has changed it meanwhile; the revision stays, so nobody needs to be told.</summary>
    public async Task Replace(IReadOnlyList<JournalRecord> batch, CancellationToken stop)
    {
        foreach (var record in batch)
        {
            var key = _keys.Of(record.Key);
            var found = await Told(() => _client.Range(new() { Key = key }, stop));
            if (found.Kvs is not [var present] || PresentObject.Parser.ParseFrom(present.Value).Revision != record.Revision) continue;
            var txn = new TxnRequest { Compare = { Unchanged(key, present.ModRevision) }, Success = { EtcdBatch.Put(key, record) } };
            await Told(() => _client.Txn(txn, stop));
        }
    }

    public async Task<long> NewestRevision(CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(EtcdLimits.ReadWithin);
        try
        {
            var found = await Told(() => _client.Range(new() { Key = _keys.Commit, KeysOnly = true }, limit.Token));
            return found.Kvs is [var commit] ? (await SeenThrough(commit.ModRevision, limit.Token)).Revision : 0;
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new JournalException("etcd's changes have not come in time", e);
        }
    }

    public async IAsyncEnumerable<JournalNews> Follow([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken stop)
    {
        while (true)
        {
            await using var watch = _client.Watch(new() { Key = _keys.All, RangeEnd = _keys.AllEnd, StartRevision = _followFrom }, stop).GetAsyncEnumerator(stop);
            while (await Next(watch) is { Canceled: false } answer)
            {
                foreach (var change in answer.Events.GroupBy(x => x.Kv.ModRevision))
                {
                    if (Told(change, out var commit) is not { } news) continue;
                    See(new(commit.Revision, change.Key), commit.Writer == _writer ? commit.Number : 0);
                    yield return news;
                }
                if (_compacted) break;
                if (answer.Events.Count > 0) _followFrom = answer.Events[^1].Kv.ModRevision + 1;
            }
            if (_compacted)
            {
                _compacted = false;
                var state = await ReadAgain(stop);
                yield return new(state.Revision, state.Objects, IsWhole: true);
            }
            await Task.Delay(EtcdLimits.RetryAfter, stop);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_closing.IsCancellationRequested) return;
        await _closing.CancelAsync();
        await _compacting;
        _client.Dispose();
        _closing.Dispose();
    }

    // null = no commit, or one that cannot be read: then everything is read anew.
    private JournalNews? Told(IEnumerable<WatchedChange> changes, out Commit commit)
    {
        commit = new();
        if (_compacted) return null;
        try
        {
            return EtcdBatch.Read(changes, _keys, out commit);
        }
        catch (Exception e) when (e is Google.Protobuf.InvalidProtocolBufferException or KeyNotFoundException)
        {
            _log.WatchLost($"a commit under {_options.Prefix} cannot be read: {e.Message}");
            _compacted = true;
            return null;
        }
    }

    // null = the watch is over, and why is in the log.
    private async Task<WatchResponse?> Next(IAsyncEnumerator<WatchResponse> watch)
    {
        try
        {
            await watch.MoveNextAsync();
        }
        catch (EtcdException e)
        {
            _log.WatchLost(e.Message);
            return null;
        }
        if (watch.Current.CompactRevision > 0) _compacted = true;
        if (watch.Current.Canceled) _log.WatchLost($"etcd: {watch.Current.CancelReason} (compacted through {watch.Current.CompactRevision})");
        return watch.Current;
    }

    private async Task<JournalState> ReadAgain(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                return await ReadAll(stop);
            }
            catch (EtcdException e)
            {
                _log.WatchLost(e.Message);
                await Task.Delay(EtcdLimits.RetryAfter, stop);
            }
        }
    }

    private async Task<JournalState> ReadAll(CancellationToken stop)
    {
        var first = await _client.Range(new() { Key = _keys.Commit }, stop);
        var at = first.Header.Revision;
        var objects = new List<JournalRecord>();
        var from = _keys.Objects;
        for (var more = true; more;)
        {
            var page = await _client.Range(new() { Key = from, RangeEnd = _keys.ObjectsEnd, Limit = EtcdLimits.LoadPageObjectsMax, Revision = at }, stop);
            foreach (var pair in page.Kvs)
            {
                // A kind that this version does not know stays in etcd, untouched, for the version that does.
                if (_keys.Read(pair.Key) is not { } key) continue;
                var present = PresentObject.Parser.ParseFrom(pair.Value);
                objects.Add(new(present.Revision, key, present.Uid, present.Json.Memory));
            }
            if (page.Kvs.Count > 0) from = EtcdKeys.After(page.Kvs[^1].Key);
            more = page.More;
        }
        objects.Sort(static (a, b) => a.Revision.CompareTo(b.Revision));
        _followFrom = at + 1;
        var seen = first.Kvs is [var pairOfCommit] ? new Seen(EtcdBatch.Parse(pairOfCommit.Value).Revision, pairOfCommit.ModRevision) : default;
        See(seen, 0);
        return new(seen.Revision, objects);
    }

    private async Task Commit(IReadOnlyList<RequestOp> operations, Commit commit, Seen seen, CancellationToken stop)
    {
        (commit.Writer, commit.Number) = (_writer, ++_number);
        var txn = new TxnRequest
        {
            Compare = { Unchanged(_keys.Commit, seen.Etcd) },
            Success = { operations, new RequestOp { RequestPut = new() { Key = _keys.Commit, Value = EtcdBatch.Bytes(commit) } } },
            Failure = { new RequestOp { RequestRange = new() { Key = _keys.Commit, KeysOnly = true } } },
        };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(EtcdLimits.WriteWithin);
        try
        {
            var answer = await Decided(txn, limit.Token);
            if (answer.Succeeded)
            {
                See(new(commit.Revision, answer.Header.Revision), commit.Number);
                return;
            }
            if (answer.Responses[0].ResponseRange.Kvs is not [var present]) throw new JournalException($"etcd has lost {_options.Prefix}/commit: restore etcd, or start all API servers anew");
            var newest = await SeenThrough(present.ModRevision, limit.Token);
            // An attempt that got no answer may have been kept: then the watch has told of it, and the attempt after it failed by it.
            if (Own < commit.Number) throw new JournalBehindException(newest.Revision);
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new JournalException("etcd did not answer in time: it is not known whether this was stored", e) { IsUnknown = true };
        }
    }

    private long Own
    {
        get
        {
            lock (_gate) return _ownSeen;
        }
    }

    // The same transaction until etcd has said what became of it: its condition lets it happen once.
    private async Task<TxnResponse> Decided(TxnRequest txn, CancellationToken stop)
    {
        for (var mayBeStored = false; ; mayBeStored = true)
        {
            try
            {
                return await _client.Txn(txn, stop);
            }
            catch (EtcdException e) when (e.IsPassing || e.IsOverload)
            {
                _log.WriteRepeated(e.Message);
                await Task.Delay(EtcdLimits.RetryAfter, stop);
            }
            catch (EtcdException e)
            {
                throw Explained(e, mayBeStored);
            }
        }
    }

    private void See(Seen seen, long own)
    {
        TaskCompletionSource moved;
        lock (_gate)
        {
            if (seen.Etcd > _seen.Etcd) _seen = seen;
            _ownSeen = Math.Max(_ownSeen, own);
            (moved, _moved) = (_moved, Completion.New());
        }
        moved.TrySetResult();
    }

    private async Task<Seen> SeenThrough(long etcd, CancellationToken stop)
    {
        while (true)
        {
            Task moved;
            lock (_gate)
            {
                if (_seen.Etcd >= etcd) return _seen;
                moved = _moved.Task;
            }
            await moved.WaitAsync(stop);
        }
    }

    private static Compare Unchanged(Google.Protobuf.ByteString key, long etcd) => new() { Target = Compare.Types.Target.Mod, Key = key, ModRevision = etcd };

    private async Task<T> Told<T>(Func<Task<T>> call)
    {
        try
        {
            return await call();
        }
        catch (EtcdException e)
        {
            throw Explained(e);
        }
    }

    private static JournalException Explained(EtcdException e, bool mayBeStored = false)
    {
        var why = e switch
        {
            { IsNoSpace: true } => $"etcd has no space left ({e.Message}): compact and defragment it, or raise --quota-backend-bytes, then disarm its alarm",
            { IsTooLarge: true } => $"etcd takes no request of this size ({e.Message}): raise its --max-request-bytes",
            _ => $"etcd: {e.Message}",
        };
        return new(mayBeStored ? $"{why}; it is not known whether this was stored" : why, e) { IsUnknown = mayBeStored };
    }

    /// <param name="Revision">Of the newest commit.</param>
    /// <param name="Etcd">etcd's own revision of it.</param>
    private readonly record struct Seen(long Revision, long Etcd);
}
