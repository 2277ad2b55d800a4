namespace Declarative.Mesos.Mini.Master;

/// <summary>
/// Things that a single writer does later, on one timer. All members are called with the gate held; what is due runs with it held too,
/// in order of time and then of scheduling.
/// </summary>
internal sealed class Deadlines : IDisposable
{
    private readonly TimeProvider time;
    private readonly Lock gate;
    private readonly PriorityQueue<Deadline, (DateTimeOffset Due, long Order)> queue = new();
    private readonly ITimer timer;
    private DateTimeOffset armed = DateTimeOffset.MaxValue;
    private long order;
    private bool disposed;

    public Deadlines(TimeProvider time, Lock gate)
    {
        this.time = time;
        this.gate = gate;
        timer = time.CreateTimer(
            static deadlines => ((Deadlines)deadlines!).RunDue(),
            this,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan
        );
    }

    public Deadline After(TimeSpan wait, Action run) => At(time.GetUtcNow() + wait, run);

    public Deadline At(DateTimeOffset due, Action run)
    {
        var deadline = new Deadline(run);
        queue.Enqueue(deadline, (due, order++));
        if (due < armed)
            Arm(due);
        return deadline;
    }

    public void Dispose()
    {
        disposed = true;
        queue.Clear();
        timer.Dispose();
    }

    // Timers cannot wait longer than 49 days: what lies further off is armed again on the way.
    private void Arm(DateTimeOffset due)
    {
        armed = due;
        var wait = due - time.GetUtcNow();
        var longest = TimeSpan.FromDays(30);
        timer.Change(wait < TimeSpan.Zero ? TimeSpan.Zero : wait < longest ? wait : longest, Timeout.InfiniteTimeSpan);
    }

    private void RunDue()
    {
        lock (gate)
        {
            if (disposed)
                return;
            armed = DateTimeOffset.MaxValue;
            while (queue.TryPeek(out var next, out var at))
            {
                if (!next.Cancelled && at.Due > time.GetUtcNow())
                {
                    Arm(at.Due);
                    break;
                }

                queue.Dequeue();
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
