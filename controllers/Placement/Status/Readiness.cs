using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Status;

/// <summary>
/// The readiness of one container from the updates of its check (architecture.md, decision 6): Mesos reports a result once, when it changes,
/// so a contrary result counts after (threshold − 1) × period without another change.
/// </summary>
/// <param name="Result">The newest result; null before the first.</param>
/// <param name="Since">When it was reported.</param>
/// <param name="Before">Whether the container counted as ready when it was reported.</param>
internal readonly record struct Readiness(bool? Result, DateTimeOffset Since, bool Before)
{
    public Readiness After(bool? result, DateTimeOffset at, Probe probe)
    {
        if (result is null || result == Result) return this;
        return new(result, at, IsReady(probe, at, out _));
    }

    /// <param name="lookAgain">When the answer will change without a further update.</param>
    public bool IsReady(Probe probe, DateTimeOffset now, out DateTimeOffset? lookAgain)
    {
        lookAgain = null;
        if (Result is not { } result) return false;
        if (result == Before) return result;
        var due = Since + Delay(probe, result);
        if (now >= due) return result;
        lookAgain = due;
        return Before;
    }

    private static TimeSpan Delay(Probe probe, bool up)
    {
        var period = probe.PeriodSeconds > 0 ? probe.PeriodSeconds : 10;
        var threshold = up ? Math.Max(1, probe.SuccessThreshold) : probe.FailureThreshold > 0 ? probe.FailureThreshold : 3;
        return TimeSpan.FromSeconds((threshold - 1) * (double)period);
    }
}
