namespace Declarative.Client;

/// <summary>Delays that double from <paramref name="first"/> to <paramref name="max"/>, each shortened at random by up to half so that clients do not return together.</summary>
public sealed class Backoff(TimeSpan first, TimeSpan max, Random random)
{
    private int _failures;

    /// <summary>The delay before the next attempt.</summary>
    public TimeSpan Next()
    {
        var full = Exponential(first, max, _failures++);
        return full * (0.5 + random.NextDouble() / 2);
    }

    public void Reset() => _failures = 0;

    /// <summary>first × 2^failures, at most max.</summary>
    public static TimeSpan Exponential(TimeSpan first, TimeSpan max, int failures)
    {
        var ticks = first.Ticks * Math.Pow(2, Math.Min(failures, 62));
        return ticks >= max.Ticks ? max : TimeSpan.FromTicks((long)ticks);
    }
}
