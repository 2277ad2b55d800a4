namespace Declarative.ApiServer.Storage;

/// <summary>
/// Wakes watchers, one group after the other, each behind whatever else the thread pool was given meanwhile: the answer to the writer
/// and the requests of others do not wait for a thousand watchers, and groups whose turn comes later find more changes at once.
/// In the simulated world (a SynchronizationContext is current) all are woken at once.
/// </summary>
internal sealed class WatchWaker(Lock gate) : IThreadPoolWorkItem
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
        if (SynchronizationContext.Current is null) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        else while (Next()) ;
    }

    void IThreadPoolWorkItem.Execute() => Next(alsoQueue: true);

    private bool Next(bool alsoQueue = false)
    {
        TaskCompletionSource signal;
        bool more;
        lock (gate)
        {
            signal = _waiting.Dequeue().Take();
            more = _runs = _waiting.Count > 0;
        }
        if (more && alsoQueue) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        signal.TrySetResult();
        return more;
    }
}
