namespace Declarative.Client.Queue;

/// <summary>
/// Keys that want work. A key that waits is there once however often it was added; a key that is being worked on is not handed out again until
/// <see cref="Done"/>, and comes back then if it was added meanwhile. Keys are handed out in the order in which they became due.
/// </summary>
public sealed class WorkQueue<TKey>(TimeProvider time) where TKey : notnull
{
    /// <summary>Delays of <see cref="Retry"/>: 5 ms, doubled with each failure of the key, at most 60 s.</summary>
    public static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(5);
    public static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(60);

    private readonly Lock _lock = new();
    private readonly Queue<TKey> _ready = new();
    private readonly HashSet<TKey> _wanted = [];
    private readonly HashSet<TKey> _working = [];
    private readonly Queue<TaskCompletionSource<Taken<TKey>>> _takers = new();
    private readonly PriorityQueue<(TKey Key, bool IsDone), (DateTimeOffset Due, long Order)> _later = new();
    private readonly Dictionary<TKey, DateTimeOffset> _due = [];
    private readonly Dictionary<TKey, int> _failures = [];
    private ITimer? _timer;
    private DateTimeOffset _timerDue = DateTimeOffset.MaxValue;
    private long _order;
    private bool _stopped;

    /// <summary>Keys ready to be taken.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _ready.Count;
        }
    }

    public void Add(TKey key)
    {
        Handed handed;
        lock (_lock) handed = Want(key);
        handed.Complete();
    }

    /// <summary>Adds the key when the delay has passed; the earliest of several counts.</summary>
    public void AddAfter(TKey key, TimeSpan delay)
    {
        if (delay <= TimeSpan.Zero)
        {
            Add(key);
            return;
        }
        lock (_lock)
        {
            if (_stopped) return;
            var due = time.GetUtcNow() + delay;
            if (_due.TryGetValue(key, out var earlier) && earlier <= due) return;
            _due[key] = due;
            _later.Enqueue((key, false), (due, _order++));
            Arm();
        }
    }

    /// <summary>As <see cref="Done"/>, after a rest: what is added meanwhile is one piece of work then.</summary>
    public void DoneAfter(TKey key, TimeSpan rest)
    {
        if (rest <= TimeSpan.Zero)
        {
            Done(key);
            return;
        }
        lock (_lock)
        {
            if (_stopped) return;
            _later.Enqueue((key, true), (time.GetUtcNow() + rest, _order++));
            Arm();
        }
    }

    /// <summary>Adds the key after a delay that grows with each failure since the last <see cref="Forget"/>.</summary>
    public void Retry(TKey key)
    {
        int failures;
        lock (_lock) failures = _failures[key] = _failures.GetValueOrDefault(key) + 1;
        AddAfter(key, Backoff.Exponential(RetryFirst, RetryMax, failures - 1));
    }

    /// <summary>The key succeeded: its next failure begins with the first delay.</summary>
    public void Forget(TKey key)
    {
        lock (_lock) _failures.Remove(key);
    }

    /// <summary>The next key, to be given back with <see cref="Done"/>; not open once the queue is stopped.</summary>
    public async Task<Taken<TKey>> Take()
    {
        TaskCompletionSource<Taken<TKey>> taker;
        lock (_lock)
        {
            if (_stopped) return default;
            if (_ready.TryDequeue(out var key)) return Hand(key);
            taker = Api.Completion.New<Taken<TKey>>();
            _takers.Enqueue(taker);
        }
        return await taker.Task;
    }

    public void Done(TKey key)
    {
        Handed handed = default;
        lock (_lock)
        {
            _working.Remove(key);
            if (_wanted.Remove(key)) handed = Want(key);
        }
        handed.Complete();
    }

    /// <summary>Ends every <see cref="Take"/>, now and later. Keys that wait are dropped.</summary>
    public void Stop()
    {
        TaskCompletionSource<Taken<TKey>>[] takers;
        lock (_lock)
        {
            _stopped = true;
            takers = [.. _takers];
            _takers.Clear();
            _timer?.Dispose();
            _timer = null;
        }
        foreach (var taker in takers) taker.TrySetResult(default);
    }

    private Handed Want(TKey key)
    {
        if (_stopped || !_wanted.Add(key) || _working.Contains(key)) return default;
        if (_takers.TryDequeue(out var taker)) return new(taker, Hand(key));
        _ready.Enqueue(key);
        return default;
    }

    private Taken<TKey> Hand(TKey key)
    {
        _wanted.Remove(key);
        _working.Add(key);
        return new(true, key);
    }

    private void Arm()
    {
        if (!_later.TryPeek(out _, out var next) || next.Due >= _timerDue) return;
        _timerDue = next.Due;
        var delay = next.Due - time.GetUtcNow();
        if (delay < TimeSpan.Zero) delay = TimeSpan.Zero;
        // A timer counts whole milliseconds: rounded up, so that it does not fire just before the key is due.
        delay = TimeSpan.FromMilliseconds(Math.Ceiling(delay.TotalMilliseconds));
        if (_timer is null) _timer = time.CreateTimer(static queue => ((WorkQueue<TKey>)queue!).Fire(), this, delay, Timeout.InfiniteTimeSpan);
        else _timer.Change(delay, Timeout.InfiniteTimeSpan);
    }

    private void Fire()
    {
        List<Handed> handed = [];
        lock (_lock)
        {
            if (_stopped) return;
            _timerDue = DateTimeOffset.MaxValue;
            var now = time.GetUtcNow();
            while (_later.TryPeek(out var entry, out var at) && at.Due <= now)
            {
                _later.Dequeue();
                var key = entry.Key;
                if (entry.IsDone)
                {
                    _working.Remove(key);
                    if (_wanted.Remove(key)) handed.Add(Want(key));
                    continue;
                }
                if (!_due.TryGetValue(key, out var due) || due != at.Due) continue; // superseded by an earlier time
                _due.Remove(key);
                handed.Add(Want(key));
            }
            Arm();
        }
        foreach (var taken in handed) taken.Complete();
    }

    /// <summary>A key that goes to a waiting taker once the lock is left.</summary>
    private readonly record struct Handed(TaskCompletionSource<Taken<TKey>>? Taker, Taken<TKey> Taken)
    {
        public void Complete() => Taker?.TrySetResult(Taken);
    }
}

/// <summary>What <see cref="WorkQueue{TKey}.Take"/> gives: a key, or the end of the queue.</summary>
public readonly record struct Taken<TKey>(bool IsOpen, TKey Key);
