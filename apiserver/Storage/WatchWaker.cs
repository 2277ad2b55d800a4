using Declarative.Api;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// Wakes watchers, one group after the other, each behind whatever else there was to do meanwhile: the answer to the writer and the requests of
/// others do not wait for a thousand watchers, and groups whose turn comes later find more changes at once, which cost little more than one. A group that
/// has had its turn waits for the next round. Writers that are faster than all this are held as long as the group whose turn is next has several changes
/// to see and has waited for a while, so that watchers fall behind by no more than a round. In the simulated world (a SynchronizationContext is current)
/// all are woken at once. Half of the processors wake at the same time, and no fewer than two.
/// </summary>
/// <param name="pace">null = writers are never held.</param>
internal sealed class WatchWaker(Lock gate, TimeProvider? pace = null)
{
    /// <summary>A group that has waited for less has no need that writers are held.</summary>
    private static readonly TimeSpan WaitMin = TimeSpan.FromMilliseconds(5);

    /// <summary>Several at once cost half of what each costs alone, and with more of them rounds become long.</summary>
    private const int ChangesMax = 3;

    /// <summary>Writers go on after this, whatever watchers do.</summary>
    private static readonly TimeSpan HoldMax = TimeSpan.FromMilliseconds(100);
    private static readonly int[] Lanes = [.. Enumerable.Range(0, Math.Max(2, Environment.ProcessorCount / 2))];
    private Queue<WatchGroup> _waiting = [];
    private Queue<WatchGroup> _later = [];
    private TaskCompletionSource? _held;
    private bool _runs;

    /// <summary>The caller holds the lock and calls <see cref="Start"/> after it.</summary>
    public void Add(WatchGroup group)
    {
        if (group.MustWait(pace?.GetTimestamp() ?? 0)) (_runs ? _later : _waiting).Enqueue(group);
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

    /// <summary>False where the next write waits for nothing.</summary>
    public bool Holds(out Task hold)
    {
        hold = Task.CompletedTask;
        if (pace is null) return false;
        lock (gate)
        {
            if (!_runs || !IsBehind()) return false;
            _held ??= Completion.New();
            hold = Task.WhenAny(_held.Task, Task.Delay(HoldMax, pace));
            return true;
        }
    }

    private async Task Run(bool inTurns)
    {
        var hasEnded = false;
        try
        {
            do
            {
                if (inTurns) await Task.WhenAll(Lanes.Select(_ => WakeInTurns()));
                else while (Next() is { } signal) signal.TrySetResult();
            }
            while (NextRound());
            hasEnded = true;
        }
        finally
        {
            // After a bug the next change wakes those who are left too: nobody sleeps for ever.
            if (!hasEnded)
            {
                lock (gate)
                {
                    _runs = false;
                    Release();
                }
            }
        }
    }

    private async Task WakeInTurns()
    {
        await Task.Yield();
        while (Next() is { } signal)
        {
            signal.TrySetResult();
            await Task.Yield();
        }
    }

    private TaskCompletionSource? Next()
    {
        lock (gate)
        {
            var signal = _waiting.TryDequeue(out var group) ? group.Take() : null;
            if (_held is not null && !IsBehind()) Release();
            return signal;
        }
    }

    private bool NextRound()
    {
        lock (gate)
        {
            (_waiting, _later) = (_later, _waiting);
            return _runs = _waiting.Count > 0;
        }
    }

    private bool IsBehind() => (_waiting.TryPeek(out var next) || _later.TryPeek(out next)) && next.Changes >= ChangesMax && pace!.GetElapsedTime(next.WaitsSince) > WaitMin;

    private void Release()
    {
        _held?.TrySetResult();
        _held = null;
    }
}
