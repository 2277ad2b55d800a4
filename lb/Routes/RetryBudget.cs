using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>
/// How many requests of a cluster may be sent again: so many percent of those of the current 10 s, <see cref="Limits.RetriesAlways"/> in any
/// case. Looks at the counts when a retry is asked for, and costs nothing before.
/// </summary>
internal sealed class RetryBudget
{
    private static readonly long Window = TimeSpan.FromSeconds(10).Ticks;

    private readonly Lock _lock = new();
    private long _start = -Window;
    private long _requests;
    private long _taken;

    /// <param name="now">Ticks of a monotonic clock.</param>
    public bool TryTake(Cluster cluster, long now)
    {
        lock (_lock)
        {
            var requests = cluster.Counts.Requests + cluster.Counts.Connections;
            if (now - _start >= Window) (_start, _requests, _taken) = (now, requests, 0);
            if (_taken >= Limits.RetriesAlways && _taken * 100 >= (requests - _requests) * cluster.Settings.RetryPercent) return false;
            _taken++;
            return true;
        }
    }
}
