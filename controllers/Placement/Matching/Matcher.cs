using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>A pod that fits an agent, with its host ports by <c>container/containerPort</c>.</summary>
internal sealed record Match(WaitingPod Pod, AgentSlot Agent, IReadOnlyDictionary<string, int> Ports);

internal sealed record MatchResult(IReadOnlyList<Match> Matches, IReadOnlyList<WaitingPod> Refused);

/// <summary>
/// Puts waiting pods on offered agents, the least loaded first, in sight of every known node and of every pod that stands on one. Pods that
/// cannot be told apart (<see cref="WaitingPod.Class"/>) share one <see cref="AgentTree"/>: an agent is filtered once per class and round.
/// </summary>
/// <param name="agents">The agents that offer something; others among them take part in refusals only.</param>
/// <param name="nodes">Every known node by name, with offers or without.</param>
/// <param name="placed">Every pod that has a place on one of them.</param>
internal sealed class Matcher(IReadOnlyList<AgentSlot> agents, IReadOnlyDictionary<string, AgentNode> nodes, PlacedPods placed, Random random)
{
    /// <summary>Weight of the preferred affinity against the load: a full match outweighs any load.</summary>
    private const double PreferenceWeight = 2;

    private readonly Dictionary<string, Class> _classes = new(StringComparer.Ordinal);
    private readonly PlacedPods _placedNow = new();

    private sealed record Class(WaitingPod Sample, Neighbours Neighbours, AgentTree Agents)
    {
        /// <summary>Which of the first <see cref="Known"/> classes mind a pod of this one.</summary>
        public List<Class> MindedBy { get; } = [];
        public int Known { get; set; }
    }

    /// <summary>Branches looked at in the search for places: the part of the cost that depends on how many pods there are.</summary>
    public long Looks => _classes.Values.Sum(x => x.Agents.Looks);

    /// <param name="pods">In the order in which they are served (by priority, then by age).</param>
    public MatchResult Run(IEnumerable<WaitingPod> pods)
    {
        var matches = new List<Match>();
        var refused = new List<WaitingPod>();
        foreach (var pod in pods)
        {
            if (Place(pod) is { } match) matches.Add(match);
            else
            {
                refused.Add(pod);
                if (pod.NominatedAgent.Length > 0) Hold(pod);
            }
        }
        return new(matches, refused);
    }

    /// <summary>What is free already where room is made for a pod is not for those that come after it.</summary>
    private void Hold(WaitingPod pod)
    {
        if (agents.FirstOrDefault(x => x.AgentId == pod.NominatedAgent) is not { } agent) return;
        var need = pod.Demand.Total;
        agent.Free -= new Amounts(Math.Min(need.Cpus, agent.Free.Cpus), Math.Min(need.Mem, agent.Free.Mem), Math.Min(need.Disk, agent.Free.Disk));
        foreach (var port in pod.Demand.Ports)
        {
            if (port.HostPort > 0) agent.Ports.Take(port.HostPort);
            else agent.Ports.TakeRandom(random);
        }
    }

    /// <summary>Every reason of every agent as the round stands now, the nearest miss first: fewest reasons, then least missing.</summary>
    public Refusal Explain(WaitingPod pod)
    {
        var neighbours = NeighboursOf(pod);
        var refusals = new List<AgentRefusal>(agents.Count);
        foreach (var agent in agents)
        {
            var reasons = AgentFilter.Fixed(pod, agent).ToList();
            if (agent.Offered) reasons.AddRange(AgentFilter.Resources(pod, agent));
            else if (agent.Node.Capacity != default) reasons.AddRange(AgentFilter.Resources(pod, agent).Where(x => x.Kind is RefusalKind.Cpus or RefusalKind.Memory or RefusalKind.Disk));
            // That nothing is offered now is a reason only where an offer would help.
            if (reasons.Count > 1) reasons.RemoveAll(x => x.Kind == RefusalKind.NoOffer);
            reasons.AddRange(neighbours.Reasons(agent.Node));
            refusals.Add(new(agent.Node.Name, reasons));
        }
        return new([.. refusals.OrderBy(x => x.Reasons.Any(y => y.Kind == RefusalKind.OtherAgent)).ThenBy(x => x.Reasons.Count).ThenBy(x => x.Reasons.Sum(y => y.Short)).ThenBy(x => x.Agent, StringComparer.Ordinal)]);
    }

    private Match? Place(WaitingPod pod)
    {
        var ofClass = _classes.TryGetValue(pod.Class, out var known) ? known : _classes[pod.Class] = ClassOf(pod);
        while (ofClass.Agents.Best() is { } best)
        {
            if (Take(pod, ofClass, agents[best.Index]) is { } match) return match;
            best.IsOut = true;
        }
        return null;
    }

    private Match? Take(WaitingPod pod, Class ofClass, AgentSlot agent)
    {
        var ports = ObjectPorts(pod, agent);
        if (ports is null) return null;
        agent.Free -= pod.Demand.Total;
        agent.Pods++;
        _placedNow.Put(pod.Pod, agent.Node.Name);
        foreach (var other in MindedBy(ofClass)) other.Neighbours.Count(pod.Pod, agent.Node);
        return new(pod, agent, ports);
    }

    /// <summary>Asked of each pair of classes once, not of each placement.</summary>
    private List<Class> MindedBy(Class placing)
    {
        if (placing.Known == _classes.Count) return placing.MindedBy;
        foreach (var other in _classes.Values.Skip(placing.Known))
        {
            if (other.Neighbours.Minds(placing.Sample.Pod)) placing.MindedBy.Add(other);
        }
        placing.Known = _classes.Count;
        return placing.MindedBy;
    }

    private static readonly Dictionary<string, int> NoPorts = [];

    private Dictionary<string, int>? ObjectPorts(WaitingPod pod, AgentSlot agent)
    {
        if (pod.Demand.Ports.Count == 0) return NoPorts;
        var ports = new Dictionary<string, int>(pod.Demand.Ports.Count, StringComparer.Ordinal);
        // Exact ones first, so that a random one does not take what another container asks for by number.
        foreach (var port in pod.Demand.Ports)
        {
            if (port.HostPort > 0)
            {
                if (!agent.Ports.Take(port.HostPort)) return null;
                ports[port.Key] = port.HostPort;
            }
            else if (pod.KeptPorts?.GetValueOrDefault(port.Key) is > 0 and var kept && agent.Ports.Take(kept)) ports[port.Key] = kept;
        }
        foreach (var port in pod.Demand.Ports)
        {
            if (!ports.ContainsKey(port.Key)) ports[port.Key] = agent.Ports.TakeRandom(random);
        }
        return ports;
    }

    private Class ClassOf(WaitingPod pod)
    {
        var neighbours = NeighboursOf(pod);
        var preference = new double[agents.Count];
        var candidates = new List<(int, Rank)>(agents.Count);
        for (var i = 0; i < agents.Count; i++)
        {
            var agent = agents[i];
            if (!agent.Offered || !AgentFilter.Fits(pod, agent) || neighbours.IsClosed(agent.Node) || AgentFilter.Fixed(pod, agent).Any()) continue;
            preference[i] = AgentFilter.Preference(pod, agent.Node);
            candidates.Add((i, RankOf(pod, agent, i, preference[i])));
        }
        return new(pod, neighbours, new(neighbours.Gates, candidates, (i, gate) => agents[i].Node.Labels.GetValueOrDefault(gate.Key), RankNow));

        // What is free only shrinks in a round, and what is closed stays so: an agent that is out is out for the whole class.
        Rank? RankNow(int i) => AgentFilter.Fits(pod, agents[i]) && !neighbours.IsClosed(agents[i].Node) ? RankOf(pod, agents[i], i, preference[i]) : null;
    }

    private Neighbours NeighboursOf(WaitingPod pod) => new(pod, nodes, placed, _placedNow);

    private static Rank RankOf(WaitingPod pod, AgentSlot agent, int index, double preference) =>
        new(agent.LoadWith(pod.Demand.Total) - PreferenceWeight * preference, agent.Pods, index);
}
