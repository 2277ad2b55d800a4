using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Storage;

/// <summary>What other API servers write into the same journal.</summary>
internal sealed partial class RevisionLog
{
    /// <summary>Others write too.</summary>
    public bool IsShared => _fresh is not null;

    /// <summary>Completes when every write that any API server has acknowledged before the call is visible here; at once where nobody else writes.</summary>
    /// <exception cref="ApiException">503: the journal can not tell.</exception>
    public async ValueTask Fresh(CancellationToken stop)
    {
        if (_fresh is null) return;
        try
        {
            var revision = await _fresh.Next().WaitAsync(stop);
            while (Revision < revision) await Advanced(revision - 1).WaitAsync(stop);
        }
        catch (JournalException e)
        {
            throw Status.Unavailable(e.Message);
        }
    }

    private async Task Follow(ISharedJournal shared, CancellationToken stop)
    {
        try
        {
            await foreach (var news in shared.Follow(stop)) Publish(news);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
    }

    private void Publish(JournalNews news)
    {
        TaskCompletionSource advanced;
        lock (_gate)
        {
            if (news.IsWhole) Replace(news);
            else
            {
                foreach (var record in news.Records) Apply(record);
            }
            _revision = Math.Max(_revision, news.Revision);
            advanced = _advanced;
            _advanced = Completion.New();
        }
        advanced.TrySetResult();
        _waker.Start();
    }

    // What happened in between is not known: every watcher lists anew.
    private void Replace(JournalNews news)
    {
        if (news.Revision < _revision) return;
        _openedAt = news.Revision;
        var kinds = news.Records.ToLookup(x => x.Key.Kind);
        foreach (var group in kinds) Of(group.Key);
        foreach (var (kind, log) in _kinds)
        {
            log.Reset(kinds[kind].Select(x => new Selectable(new Stored(x.Key, x.Uid, x.Revision, StoredJson.WithRevision(x.Json!.Value.Span, x.Revision)))), news.Revision, _waker);
        }
    }

    /// <summary>
    /// Asks the journal for its newest revision, for all who ask at once: a question that is on its way may have been answered before a later
    /// caller's write, so who comes meanwhile waits for the next one, together.
    /// </summary>
    private sealed class FreshRevision(ISharedJournal shared)
    {
        private readonly Lock _gate = new();
        private Task<long> _asked = Task.FromResult(0L);
        private Task<long>? _next;

        public Task<long> Next()
        {
            lock (_gate)
            {
                if (_next is { } next) return next;
                if (_asked.IsCompleted) return _asked = shared.NewestRevision(CancellationToken.None);
                return _next = After(_asked);
            }
        }

        private async Task<long> After(Task asked)
        {
            await Task.Yield(); // the caller notes this task first; else it would stand there for good, with an answer that ages
            await Task.WhenAny(asked);
            Task<long> mine;
            lock (_gate)
            {
                _asked = mine = shared.NewestRevision(CancellationToken.None);
                _next = null;
            }
            return await mine;
        }
    }
}
