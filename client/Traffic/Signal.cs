namespace Declarative.Client.Traffic;

/// <summary>
/// Wakes one waiting loop: <see cref="Set"/> from any thread, <see cref="Wait"/> from the loop alone. A signal set while nobody waits is
/// kept, several are one. The waiter runs on in its own context, never on the stack of the one who sets.
/// </summary>
public sealed class Signal : IDisposable
{
    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private TaskCompletionSource _source = Api.Completion.New();

    public Signal(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(static x => ((Signal)x!).Set(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Set()
    {
        lock (_gate) _source.TrySetResult();
    }

    /// <summary>Returns when set, or when the time has come.</summary>
    public async Task Wait(DateTimeOffset until)
    {
        // Whole milliseconds, rounded up: a timer that fires a little early would make the loop spin.
        var left = Math.Ceiling((until - _time.GetUtcNow()).TotalMilliseconds);
        _timer.Change(TimeSpan.FromMilliseconds(Math.Clamp(left, 0, TimeSpan.FromDays(1).TotalMilliseconds)), Timeout.InfiniteTimeSpan);
        Task task;
        lock (_gate) task = _source.Task;
        await task;
        lock (_gate)
        {
            if (_source.Task.IsCompleted) _source = Api.Completion.New();
        }
    }

    public void Dispose() => _timer.Dispose();
}
