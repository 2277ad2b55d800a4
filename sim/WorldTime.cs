namespace Declarative.Sim;

/// <summary>
/// The clock of a simulated world: stands still while anything can run, then jumps to the next timer. Timers that are due at the same
/// moment fire in the order they were set.
/// </summary>
internal sealed class WorldTime : TimeProvider
{
    /// <summary>Where every world begins.</summary>
    public static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly PriorityQueue<WorldTimer, (long Due, long Order)> _timers = new();
    private long _now;
    private long _order;

    public TimeSpan Elapsed => TimeSpan.FromTicks(_now);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow() => Start.AddTicks(_now);

    public override long GetTimestamp() => _now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new WorldTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>When the next timer fires; null when none is set.</summary>
    public TimeSpan? Next()
    {
        while (_timers.TryPeek(out var timer, out var at))
        {
            if (timer.Due == at.Due) return TimeSpan.FromTicks(at.Due);
            _timers.Dequeue(); // it was changed or stopped since
        }
        return null;
    }

    /// <summary>Moves to the next timer and takes it.</summary>
    public WorldTimer TakeNext()
    {
        var timer = _timers.Dequeue();
        _now = Math.Max(_now, timer.Due);
        timer.Rearm();
        return timer;
    }

    internal sealed class WorldTimer(WorldTime time, TimerCallback callback, object? state) : ITimer
    {
        private const long Never = -1;
        private long _period = Never;

        public long Due { get; private set; } = Never;

        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _period = period > TimeSpan.Zero ? period.Ticks : Never;
            Arm(dueTime < TimeSpan.Zero ? Never : time._now + dueTime.Ticks);
            return true;
        }

        public void Rearm() => Arm(_period == Never ? Never : time._now + _period);

        public void Dispose() => Due = Never;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Arm(long due)
        {
            Due = due;
            if (due != Never) time._timers.Enqueue(this, (due, time._order++));
        }
    }
}
