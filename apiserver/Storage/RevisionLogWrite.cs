using Declarative.Api;

namespace Declarative.ApiServer.Storage;

/// <summary>The writer loop.</summary>
internal sealed partial class RevisionLog
{
    private async Task Write(CancellationToken stop)
    {
        var batch = new List<PendingCommit>();
        var records = new List<JournalRecord>();
        using var stopping = stop.Register(_begin);
        try
        {
            while (true)
            {
                // Where there was nothing this goes on in the thread of the one who has just queued a write, or a round of them, and waits for them next.
                var atOnce = false;
                while (!_queue.Reader.TryPeek(out _))
                {
                    stop.ThrowIfCancellationRequested();
                    var rung = _bell.Rung();
                    atOnce = !rung.IsCompleted;
                    await rung;
                }
                stop.ThrowIfCancellationRequested();
                if (_waker.Holds(out var hold))
                {
                    await hold;
                    atOnce = false;
                }
                TakeBatch(batch);
                await WriteBatch(batch, records, atOnce && (batch.Count == 1 || Round.Current is not null), stop);
                batch.Clear();
                records.Clear();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            _queue.Writer.TryComplete();
            foreach (var pending in batch) pending.Fail(Api.Objects.Status.Unavailable("the API server is stopping"));
        }
        catch (Exception e)
        {
            // A bug: nobody may wait for a writer that is no more. The owner gets the exception.
            _queue.Writer.TryComplete(e);
            while (_queue.Reader.TryRead(out var pending)) batch.Add(pending);
            foreach (var pending in batch) pending.Fail(Api.Objects.Status.Unavailable("the store has failed"));
            throw;
        }
        while (_queue.Reader.TryRead(out var late)) late.Fail(Api.Objects.Status.Unavailable("the API server is stopping"));
    }

    private void TakeBatch(List<PendingCommit> batch)
    {
        var bytes = 0L;
        while (batch.Count < Math.Min(StoreLimits.BatchWritesMax, _journal.BatchRecordsMax) && _queue.Reader.TryPeek(out var next))
        {
            bytes += next.Mutation.Json?.Length ?? next.Mutation.Tombstone.Length;
            if (batch.Count > 0 && bytes > _journal.BatchBytesMax) return;
            if (_queue.Reader.TryRead(out var pending)) batch.Add(pending);
        }
    }

    private async Task WriteBatch(List<PendingCommit> batch, List<JournalRecord> records, bool atOnce, CancellationToken stop)
    {
        while (true)
        {
            Number(batch, records);
            if (records.Count == 0) return;
            try
            {
                await (atOnce ? _journal.AppendAtOnce(records, CancellationToken.None) : _journal.Append(records, CancellationToken.None));
                break;
            }
            catch (JournalBehindException e)
            {
                while (Revision < e.Revision) await Advanced(e.Revision - 1).WaitAsync(stop);
            }
            catch (JournalException e)
            {
                foreach (var pending in batch) pending.Fail(Api.Objects.Status.Internal(e.IsUnknown ? e.Message : $"nothing was stored: {e.Message}"));
                return;
            }
        }
        Publish(batch);
    }

    // Gives the next revisions to those of the batch whose objects are as they expect; the others are refused.
    private void Number(List<PendingCommit> batch, List<JournalRecord> records)
    {
        var next = Revision;
        records.Clear();
        _batchRevisions.Clear();
        foreach (var pending in batch)
        {
            pending.Record = null;
            if (pending.IsAnswered) continue;
            var mutation = pending.Mutation;
            var current = _batchRevisions.TryGetValue(mutation.Key, out var inBatch) ? inBatch : Get(mutation.Key)?.Revision ?? 0;
            if (current != mutation.Expected || mutation.Holds?.Invoke() == false)
            {
                pending.Tell(new(null));
                continue;
            }
            next++;
            _batchRevisions[mutation.Key] = mutation.Json is null ? 0 : next;
            pending.Record = new(next, mutation.Key, mutation.Uid, mutation.Json) { Previous = mutation.Expected, Origin = mutation.Origin, Last = mutation.Tombstone };
            records.Add(pending.Record);
        }
    }
}
