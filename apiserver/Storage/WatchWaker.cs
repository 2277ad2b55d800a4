namespace Declarative.ApiServer.Storage;

/// <summary>
/// Wakes watchers, one group after the other, each behind whatever else there was to do meanwhile: the answer to the writer and the requests of
/// others do not wait for a thousand watchers, and groups whose turn comes later find more changes at once. Groups that have had their turn wait
/// for the next round; before it there is a rest of half the time that this one took, so that writers go on and a watcher that can not be told of
/// each change as it comes is told of several at once, which costs little more than one. In the simulated world (a SynchronizationContext is
/// current) all are woken at once.
/// </summary>
/// <param name="pace">null = no rests.</param>
internal sealed class WatchWaker(Lock gate, TimeProvider? pace = null)
{
    private static readonly TimeSpan RestMin = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan RestMax = TimeSpan.FromMilliseconds(8);
    private Queue<WatchGroup> _waiting = [];
    private Queue<WatchGroup> _later = [];
    private bool _runs;

    /// <summary>The caller holds the lock and calls <see cref="Start"/> after it.</summary>
    public void Add(WatchGroup group)
    {
        if (group.MustWait()) (_runs ? _later : _waiting).Enqueue(group);
    }

    public void Start()
    {
        lock (gate)
        {
            if (_runs || _waiting.Count + _later.Count == 0) return;
            _runs = true;
        }
        _ = Run(SynchronizationContext.Current is null);
    }

    private async Task Run(bool inTurns)
    {
        var hasEnded = false;
        try
        {
            do
            {
                var began = pace?.GetTimestamp() ?? 0;
                if (inTurns) await Task.Yield();
                while (Next() is { } signal)
                {
                    signal.TrySetResult();
                    if (inTurns) await Task.Yield();
                }
                if (!inTurns || pace is null) continue;
                var rest = pace.GetElapsedTime(began) / 2;
                if (rest >= RestMin) await Task.Delay(rest < RestMax ? rest : RestMax, pace);
            }
            while (NextRound());
            hasEnded = true;
        }
        finally
        {
            // After a bug the next change wakes those who are left too: nobody sleeps for ever.
            if (!hasEnded) lock (gate) _runs = false;
        }
    }

    private TaskCompletionSource? Next()
    {
        lock (gate) return _waiting.TryDequeue(out var group) ? group.Take() : null;
    }

    private bool NextRound()
    {
        lock (gate)
        {
            (_waiting, _later) = (_later, _waiting);
            return _runs = _waiting.Count > 0;
        }
    }
}
