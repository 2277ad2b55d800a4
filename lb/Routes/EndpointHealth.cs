using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>How one endpoint fares; told by any thread, used only where the Service's settings ask for it. Times are ticks of a monotonic clock.</summary>
internal sealed class EndpointHealth
{
    private int _failures;
    private int _ejections;
    private long _ejectedUntil;
    private volatile bool _down;

    public long ReadySince { get; set; }

    /// <summary>The health checks say so.</summary>
    public bool IsDown
    {
        get => _down;
        set => _down = value;
    }

    /// <summary>Results of health checks in a row that say the other thing; of the checking loop alone.</summary>
    public int Against { get; set; }

    /// <summary>When the next health check is due; of the checking loop alone.</summary>
    public long CheckDue { get; set; }

    public bool IsEjected(long now) => Volatile.Read(ref _ejectedUntil) > now;

    public void Worked()
    {
        if (Volatile.Read(ref _failures) != 0) Volatile.Write(ref _failures, 0);
    }

    /// <returns>The failures in a row.</returns>
    public int Failed() => Interlocked.Increment(ref _failures);

    /// <returns>False where it is out already.</returns>
    public bool Eject(long now, long ticks)
    {
        var until = Volatile.Read(ref _ejectedUntil);
        if (until > now) return false;
        // One that has worked for as long as it was out is forgiven.
        var times = now - until > ticks * Math.Max(1, _ejections) ? 1 : Math.Min(_ejections + 1, Limits.EjectionFactorMax);
        if (Interlocked.CompareExchange(ref _ejectedUntil, now + ticks * times, until) != until) return false;
        _ejections = times;
        Volatile.Write(ref _failures, 0);
        return true;
    }
}
