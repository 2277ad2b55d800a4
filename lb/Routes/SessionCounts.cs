namespace Declarative.Lb.Routes;

/// <summary>Connections of clients to a port of a Service, wherever it is listened on, or to a shared port. Written twice in the life of a connection, whatever passes on it.</summary>
public sealed class SessionCounts
{
    private const int SecondMilliseconds = 1000;

    private readonly Lock _gate = new();
    private int _current;
    private int _max;
    private long _total;

    // Begun in the second of the clock that the last one has begun in, and in the one before it.
    private long _second;
    private int _inSecond;
    private int _inSecondBefore;
    private int _rateMax;

    /// <param name="now">Milliseconds of a clock that never goes back.</param>
    public void Begin(long now)
    {
        lock (_gate)
        {
            _total++;
            _max = Math.Max(_max, ++_current);
            Turn(now);
            _inSecond++;
            _rateMax = Math.Max(_rateMax, Rate(now));
        }
    }

    public void End()
    {
        lock (_gate) _current--;
    }

    public SessionNumbers Read(long now)
    {
        lock (_gate)
        {
            Turn(now);
            return new(_current, _max, _total, Rate(now), _rateMax);
        }
    }

    private void Turn(long now)
    {
        var second = now / SecondMilliseconds;
        if (second <= _second) return; // of two that come at once the later one may be first
        (_inSecondBefore, _inSecond) = (second == _second + 1 ? _inSecond : 0, 0);
        _second = second;
    }

    /// <summary>Of the last 1,000 ms: of the second before, the share that lies in them.</summary>
    private int Rate(long now) => _inSecond + (int)(_inSecondBefore * (SecondMilliseconds - now % SecondMilliseconds) / SecondMilliseconds);
}

/// <param name="Current">Open now.</param>
/// <param name="Max">Open at once at most.</param>
/// <param name="Total">Begun since the port exists.</param>
/// <param name="Rate">Begun in the last second.</param>
/// <param name="RateMax">Begun in a second at most.</param>
public readonly record struct SessionNumbers(int Current, int Max, long Total, int Rate, int RateMax);
