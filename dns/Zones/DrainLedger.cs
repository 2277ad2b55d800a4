using Declarative.Api.Kinds;

namespace Declarative.Dns.Zones;

/// <summary>
/// Which withdrawn pods may still stand in a cache somewhere: what the TrafficReport counts (architecture.md, decision 12). Times are ticks
/// of <see cref="AnswerMark"/>.
/// </summary>
internal sealed class DrainLedger
{
    private readonly SortedDictionary<string, List<Withdrawal>> _withdrawals = new(StringComparer.Ordinal);

    public void Add(IEnumerable<Withdrawal> more)
    {
        foreach (var withdrawal in more)
        {
            if (!_withdrawals.TryGetValue(withdrawal.PodUid, out var list))
                _withdrawals[withdrawal.PodUid] = list = [];
            list.Add(withdrawal);
        }
    }

    /// <summary>Forgets what can no longer be cached anywhere.</summary>
    public void Prune(long now)
    {
        foreach (var (uid, list) in _withdrawals.ToArray())
        {
            list.RemoveAll(w => End(w, now) <= now);
            if (list.Count == 0)
                _withdrawals.Remove(uid);
        }
    }

    /// <summary>The report's list, in the order of the pods given, and the tick at which the next count ends (null: none).</summary>
    public (IReadOnlyList<DrainingPod> Draining, long? NextEnd) Report(IReadOnlyList<(string Uid, string Address)> leaving, long now)
    {
        var draining = new List<DrainingPod>(leaving.Count);
        long? next = null;
        foreach (var (uid, address) in leaving)
        {
            var end = _withdrawals.TryGetValue(uid, out var list) ? list.Max(w => End(w, now)) : 0;
            if (end > now && !(next <= end))
                next = end;
            var known = address.Length > 0 ? address : list?.Select(w => w.Address).FirstOrDefault(a => a.Length > 0) ?? "";
            draining.Add(new DrainingPod { PodUID = uid, Address = known, InFlight = end > now ? 1 : 0 });
        }
        return (draining, next);
    }

    /// <summary>The first tick at which no cache holds the withdrawn answer; a tick is added because answers are noted in whole ticks.</summary>
    private static long End(Withdrawal withdrawal, long now)
    {
        var ttl = (long)withdrawal.Ttl * AnswerMark.TicksPerSecond;
        return withdrawal.Mark.Last(now, ttl) is var last and > 0 ? last + ttl + 1 : 0;
    }
}
