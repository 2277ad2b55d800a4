namespace Declarative.ApiServer.Storage;

/// <summary>
/// Wakes watchers, one group after the other, each behind whatever else there was to do meanwhile: the answer to the writer and the requests of
/// others do not wait for a thousand watchers, and groups whose turn comes later find more changes at once. In the simulated world (a
/// SynchronizationContext is current) all are woken at once.
/// </summary>
internal sealed class WatchWaker(Lock gate)
{
    private readonly Queue<WatchGroup> _waiting = [];
    private bool _runs;

    /// <summary>The caller holds the lock and calls <see cref="Start"/> after it.</summary>
    public void Add(WatchGroup group)
    {
        if (group.MustWait()) _waiting.Enqueue(group);
    }

    public void Start()
    {
        lock (gate)
        {
            if (_runs || _waiting.Count == 0) return;
            _runs = true;
        }
        _ = Run(SynchronizationContext.Current is null);
    }

    private async Task Run(bool inTurns)
    {
        while (true)
        {
            if (inTurns) await Task.Yield();
            TaskCompletionSource signal;
            lock (gate)
            {
                if (!_waiting.TryDequeue(out var group))
                {
                    _runs = false;
                    return;
                }
                signal = group.Take();
            }
            signal.TrySetResult();
        }
    }
}
