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
/// <param name="random">Chooses ports.</param>
internal sealed class Matcher(IReadOnlyList<AgentSlot> agents, IReadOnlyDictionary<string, AgentNode> nodes, Random random, params PlacedPods[] placed)
{
    /// <summary>Weight of the preferred affinity against the load: a full match outweighs any load.</summary>
    private const double PreferenceWeight = 2;

    private readonly Dictionary<string, Class> _classes = new(StringComparer.Ordinal);
    private readonly PlacedPods _placedNow = new();
    private readonly List<Class> _packing = [];
    private Dictionary<string, int>? _indexes;

    private sealed record Class(WaitingPod Sample, Neighbours Neighbours, AgentTree Agents, Func<int, Rank?> RankNow)
    {
        /// <summary>Where the round has put pods of the class.</summary>
        public required PlacedGroup Stand { get; init; }

        /// <summary>Agents by the domains whose rank may improve: key, domain, indexes.</summary>
        public Dictionary<string, ILookup<string, int>> Near { get; } = new(StringComparer.Ordinal);

        /// <summary>Which of the first <see cref="Known"/> classes mind a pod of this one.</summary>
        public List<Class> MindedBy { get; } = [];
        public int Known { get; set; }
    }

    /// <summary>Branches looked at in the search for places: the part of the cost that depends on how many pods there are.</summary>
    public long Looks => _classes.Values.Sum(x => x.Agents.Looks);

    /// <param name="pods">In the order in which they are served (by priority, then by age).</param>
    public MatchResult Run(IEnumerable<WaitingPod> pods)
    {
        var round = pods as IReadOnlyList<WaitingPod> ?? [.. pods];
        var gangs = round.Any(x => x.Gang is not null) ? round.Where(x => x.Gang is not null).GroupBy(x => x.Gang!).ToDictionary(x => x.Key, x => x.ToList()) : null;
        var (matches, refused) = (new List<Match>(), new List<WaitingPod>());
        foreach (var pod in round)
        {
            if (pod.Gang is { } gang)
            {
                if (gangs!.Remove(gang, out var members)) PlaceTogether(gang, members, matches, refused);
            }
            else if (Place(pod) is { } match)
            {
                matches.Add(match);
            }
            else
            {
                refused.Add(pod);
                if (pod.NominatedAgent.Length > 0) Hold(pod);
            }
        }
        return new(matches, refused);
    }

    /// <summary>On a copy first: what would be only a part of the group takes nothing.</summary>
    private void PlaceTogether(Gang gang, List<WaitingPod> members, List<Match> matches, List<WaitingPod> refused)
    {
        var standing = placed.Sum(x => x.Groups.Where(y => gang.Includes(y.Sample)).Sum(y => y.Nodes.Values.Sum()));
        var tried = default(MatchResult);
        var refusal = default(GangRefusal);
        if (standing + members.Count < gang.Size)
        {
            refusal = new($"group {gang.Name} has {standing + members.Count} of {gang.Size} pods", null);
        }
        else
        {
            var trial = new Matcher([.. agents.Select(x => x.Clone())], nodes, random, [.. placed, _placedNow]);
            tried = trial.Alone(members);
            if (standing + tried.Matches.Count < gang.Size) refusal = new($"{standing + tried.Matches.Count} of the {gang.Size} pods of group {gang.Name} fit at once", trial.Explain(tried.Refused[0]));
        }
        foreach (var member in members) member.GangRefusal = refusal;
        if (refusal is not null)
        {
            refused.AddRange(members);
            return;
        }
        foreach (var match in tried!.Matches) matches.Add(Commit(match));
        refused.AddRange(tried.Refused);
    }

    private MatchResult Alone(List<WaitingPod> members)
    {
        var (matches, refused) = (new List<Match>(), new List<WaitingPod>());
        foreach (var pod in members)
        {
            if (Place(pod) is { } match) matches.Add(match);
            else refused.Add(pod);
        }
        return new(matches, refused);
    }

    private Match Commit(Match tried)
    {
        _indexes ??= agents.Select((x, i) => (x.AgentId, i)).ToDictionary(x => x.AgentId, x => x.i, StringComparer.Ordinal);
        var index = _indexes[tried.Agent.AgentId];
        foreach (var port in tried.Ports.Values) agents[index].Ports.Take(port);
        return Taken(tried.Pod, KnownClass(tried.Pod), index, tried.Ports);
    }

    /// <summary>What is free already where room is made for a pod is not for those that come after it.</summary>
    private void Hold(WaitingPod pod)
    {
        if (agents.FirstOrDefault(x => x.AgentId == pod.NominatedAgent) is not { } agent) return;
        agent.Free -= pod.Demand.Total.AtMost(agent.Free);
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
        var ofClass = KnownClass(pod);
        while (ofClass.Agents.Best() is { } best)
        {
            if (ObjectPorts(pod, agents[best.Index]) is { } ports) return Taken(pod, ofClass, best.Index, ports);
            best.IsOut = true;
        }
        return null;
    }

    private Class KnownClass(WaitingPod pod) => _classes.TryGetValue(pod.Class, out var known) ? known : _classes[pod.Class] = ClassOf(pod);

    /// <summary>Books a placement whose ports are taken.</summary>
    private Match Taken(WaitingPod pod, Class ofClass, int index, IReadOnlyDictionary<string, int> ports)
    {
        var agent = agents[index];
        agent.Free -= pod.Demand.Total;
        agent.Pods++;
        ofClass.Stand.Nodes[agent.Node.Name] = ofClass.Stand.Nodes.GetValueOrDefault(agent.Node.Name) + 1;
        foreach (var other in MindedBy(ofClass))
        {
            if (other.Neighbours.Count(pod.Pod, agent.Node)) ImproveNear(other, agent.Node);
        }
        // Who packs likes an agent the better the fuller it is.
        foreach (var other in _packing) Improve(other, index);
        return new(pod, agent, ports);
    }

    private static void ImproveNear(Class ofClass, AgentNode node)
    {
        foreach (var (key, agentsByDomain) in ofClass.Near)
        {
            if (!node.Labels.TryGetValue(key, out var domain)) continue;
            foreach (var index in agentsByDomain[domain]) Improve(ofClass, index);
        }
    }

    private static void Improve(Class ofClass, int index)
    {
        if (ofClass.RankNow(index) is { } rank) ofClass.Agents.Improve(index, rank);
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
            preference[i] = PreferenceWeight * AgentFilter.Preference(pod, agent.Node);
            candidates.Add((i, RankOf(pod, agent, i, preference[i] - neighbours.Penalty(agent.Node))));
        }
        var nearKeys = neighbours.NearKeys.ToList();
        var tree = new AgentTree(neighbours.Gates, candidates, (i, gate) => agents[i].Node.Labels.GetValueOrDefault(gate.Key), RankNow, mayImprove: pod.Packs || nearKeys.Count > 0);
        var made = new Class(pod, neighbours, tree, RankNow) { Stand = _placedNow.GroupOf(pod.Pod) };
        foreach (var key in nearKeys) made.Near[key] = candidates.ToLookup(x => agents[x.Item1].Node.Labels.GetValueOrDefault(key) ?? "", x => x.Item1, StringComparer.Ordinal);
        if (pod.Packs) _packing.Add(made);
        return made;

        // What is free only shrinks in a round, and what is closed stays so: an agent that is out is out for the whole class.
        Rank? RankNow(int i) => AgentFilter.Fits(pod, agents[i]) && !neighbours.IsClosed(agents[i].Node) ? RankOf(pod, agents[i], i, preference[i] - neighbours.Penalty(agents[i].Node)) : null;
    }

    private Neighbours NeighboursOf(WaitingPod pod) => new(pod, nodes, [.. placed, _placedNow]);

    /// <param name="preference">How much the agent is liked, in units that each outweigh the load.</param>
    private static Rank RankOf(WaitingPod pod, AgentSlot agent, int index, double preference) => pod.Packs
        ? new(-agent.LoadWith(pod.Demand.Total) - preference, -agent.Pods, index)
        : new(agent.LoadWith(pod.Demand.Total) - preference, agent.Pods, index);
}
