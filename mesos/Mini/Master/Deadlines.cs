namespace Declarative.Mesos.Mini.Master;

/// <summary>
/// Things that a single writer does later, on one timer. All members are called with the gate held; what is due runs with it held too,
/// in order of time and then of scheduling.
/// </summary>
internal sealed class Deadlines : IDisposable
{
    private readonly TimeProvider _time;
    private readonly Lock _gate;
    private readonly PriorityQueue<Deadline, (DateTimeOffset Due, long Order)> _queue = new();
    private readonly ITimer _timer;
    private DateTimeOffset _armed = DateTimeOffset.MaxValue;
    private long _order;
    private bool _disposed;

    public Deadlines(TimeProvider time, Lock gate)
    {
        _time = time;
        _gate = gate;
        _timer = time.CreateTimer(
            static deadlines => ((Deadlines)deadlines!).RunDue(),
            this,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan
        );
    }

    public Deadline After(TimeSpan wait, Action run) => At(_time.GetUtcNow() + wait, run);

    public Deadline At(DateTimeOffset due, Action run)
    {
        var deadline = new Deadline(run);
        _queue.Enqueue(deadline, (due, _order++));
        if (due < _armed)
            Arm(due);
        return deadline;
    }

    public void Dispose()
    {
        _disposed = true;
        _queue.Clear();
        _timer.Dispose();
    }

    // Timers cannot wait longer than 49 days: what lies further off is armed again on the way.
    private void Arm(DateTimeOffset due)
    {
        _armed = due;
        var wait = due - _time.GetUtcNow();
        var longest = TimeSpan.FromDays(30);
        _timer.Change(wait < TimeSpan.Zero ? TimeSpan.Zero : wait < longest ? wait : longest, Timeout.InfiniteTimeSpan);
    }

    private void RunDue()
    {
        lock (_gate)
        {
            if (_disposed)
                return;
            _armed = DateTimeOffset.MaxValue;
            while (_queue.TryPeek(out var next, out var at))
            {
                if (!next.Cancelled && at.Due > _time.GetUtcNow())
                {
                    Arm(at.Due);
                    break;
                }

                _queue.Dequeue();
                if (!next.Cancelled)
                    next.Run();
            }
        }
    }

    internal sealed class Deadline(Action run)
    {
        public bool Cancelled { get; private set; }

        public void Run() => run();

        public void Cancel() => Cancelled = true;
    }
}
