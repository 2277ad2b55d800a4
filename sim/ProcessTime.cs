namespace Declarative.Sim;

/// <summary>The clock as one process sees it: once the process is dead none of its timers fires.</summary>
internal sealed class ProcessTime(TimeProvider world) : TimeProvider
{
    private bool _dead;

    public override long TimestampFrequency => world.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => world.LocalTimeZone;

    public void Die() => _dead = true;

    public override DateTimeOffset GetUtcNow() => world.GetUtcNow();

    public override long GetTimestamp() => world.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ITimer? timer = null;
        timer = world.CreateTimer(
            x =>
            {
                if (_dead) timer!.Dispose();
                else callback(x);
            },
            state, dueTime, period);
        return timer;
    }
}
