namespace Declarative.Controllers.Placement.Desk;

/// <summary>Agents that were offered and have just been used: what is left of them is offered again in a moment.</summary>
internal sealed partial class PlacementDesk
{
    /// <summary>So long a round waits for them at most; a master that offers what is left only with its next allocation is not waited for.</summary>
    private static readonly TimeSpan AwayMax = TimeSpan.FromMilliseconds(50);

    /// <summary>With more of them at a time so many pods come that each agent gets its share anyway.</summary>
    private const int AwaitedMax = 100;

    private readonly Dictionary<string, DateTimeOffset> _away = new(StringComparer.Ordinal);

    private void GoAway(IEnumerable<string> agents, DateTimeOffset now)
    {
        foreach (var (agent, until) in _away)
        {
            if (until <= now) _away.Remove(agent);
        }
        foreach (var agent in agents) _away[agent] = now + AwayMax;
    }

    /// <summary>
    /// Until when a round waits; null where it need not. It waits where what is offered can not take all that waits without having more pods
    /// than an agent that is away: pods that come one by one would pile on the agent that is back first.
    /// </summary>
    private DateTimeOffset? AwaitsOthers(DateTimeOffset now)
    {
        if (_away.Count is 0 or > AwaitedMax) return null;
        var (until, least) = (DateTimeOffset.MaxValue, int.MaxValue);
        foreach (var (agent, at) in _away)
        {
            if (at <= now) continue;
            if (at < until) until = at;
            least = Math.Min(least, Ledger(agent).Pods);
        }
        if (until == DateTimeOffset.MaxValue) return null;
        var room = 0L;
        foreach (var held in _book.Agents)
        {
            room += Math.Max(0, least + 1L - Ledger(held.AgentId).Pods);
            if (room >= _waiting.Count) return null;
        }
        return until;
    }
}
