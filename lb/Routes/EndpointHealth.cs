using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>How one endpoint fares; told by any thread, used only where the Service's settings ask for it. Times are ticks of a monotonic clock.</summary>
internal sealed class EndpointHealth
{
    private int _failures;
    private int _ejections;
    private long _ejectedUntil;

    /// <summary>Has been left out, and nothing has shown since that it works again.</summary>
    private volatile bool _isSuspect;
    private long _trialUntil;
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

    /// <summary>Takes nothing: for the time of its ejection, and after it while one request tries it.</summary>
    public bool IsEjected(long now) => Volatile.Read(ref _ejectedUntil) > now || (_isSuspect && Volatile.Read(ref _trialUntil) > now);

    /// <summary>Its time is over, and the next outcome decides (a circuit breaker's half-open state).</summary>
    public bool IsOnTrial(long now) => _isSuspect && Volatile.Read(ref _ejectedUntil) <= now;

    /// <summary>To be asked before a request is sent. After an ejection one gets through: the trial, which keeps the others away until its outcome is known, or for so long.</summary>
    public bool TryBegin(long now, long ticks)
    {
        if (!_isSuspect) return true;
        var until = Volatile.Read(ref _trialUntil);
        return until <= now && Interlocked.CompareExchange(ref _trialUntil, now + ticks, until) == until;
    }

    /// <param name="now">0 = not on trial.</param>
    public void Worked(long now)
    {
        if (Volatile.Read(ref _failures) != 0) Volatile.Write(ref _failures, 0);
        if (now != 0 && IsOnTrial(now)) _isSuspect = false;
    }

    public bool IsSuspect => _isSuspect;

    /// <summary>The trial has failed, and too many others are out: the next request is one again.</summary>
    public void TryAgain() => Volatile.Write(ref _trialUntil, 0);

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
        Volatile.Write(ref _trialUntil, 0);
        _isSuspect = true;
        Volatile.Write(ref _failures, 0);
        return true;
    }
}
