namespace Declarative.Tests.Mesos;

/// <summary>A clock that a test moves while other threads use it.</summary>
internal sealed class Clock : TimeProvider
{
    private readonly Lock gate = new();
    private readonly PriorityQueue<(Alarm Alarm, long Version), (long Due, long Order)> due = new();
    private long now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero).UtcTicks;
    private long order;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => new(Interlocked.Read(ref now), TimeSpan.Zero);

    public override long GetTimestamp() => Interlocked.Read(ref now);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var alarm = new Alarm(this, callback, state);
        alarm.Change(dueTime, period);
        return alarm;
    }

    public void Advance(TimeSpan by)
    {
        var end = Interlocked.Read(ref now) + by.Ticks;
        while (true)
        {
            Alarm alarm;
            lock (gate)
            {
                if (!due.TryPeek(out var next, out var at) || at.Due > end)
                    break;
                due.Dequeue();
                if (next.Version != next.Alarm.Version)
                    continue;
                alarm = next.Alarm;
                if (at.Due > now)
                    Interlocked.Exchange(ref now, at.Due);
                alarm.Again();
            }

            alarm.Fire();
        }

        Interlocked.Exchange(ref now, end);
    }

    private sealed class Alarm(Clock clock, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan period;

        public long Version { get; private set; }

        public void Fire() => callback(state);

        public void Again()
        {
            if (period > TimeSpan.Zero)
                Change(period, period);
        }

        public bool Change(TimeSpan dueTime, TimeSpan every)
        {
            lock (clock.gate)
            {
                Version++;
                period = every;
                if (dueTime != Timeout.InfiniteTimeSpan)
                    clock.due.Enqueue((this, Version), (clock.GetTimestamp() + dueTime.Ticks, clock.order++));
                return true;
            }
        }

        public void Dispose() => Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
