using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>A pod that fits an agent, with its host ports by <c>container/containerPort</c>.</summary>
internal sealed record Match(WaitingPod Pod, AgentSlot Agent, IReadOnlyDictionary<string, int> Ports);

internal sealed record MatchResult(IReadOnlyList<Match> Matches, IReadOnlyList<WaitingPod> Refused);

/// <summary>
/// Puts waiting pods on offered agents, the least loaded first, in sight of every known node and of every pod that stands on one. Pods that
/// cannot be told apart (<see cref="WaitingPod.Class"/>) share one <see cref="AgentTree"/>, and so do all that are of one
/// <see cref="WaitingPod.Shape"/> where nobody minds who stands where: an agent is filtered once for them and a round.
/// </summary>
/// <param name="agents">The agents that offer something; others among them take part in refusals only.</param>
/// <param name="nodes">Every known node by name, with offers or without.</param>
/// <param name="placed">Every pod that has a place on one of them.</param>
/// <param name="random">Chooses ports.</param>
internal sealed class Matcher(IReadOnlyList<AgentSlot> agents, IReadOnlyDictionary<string, AgentNode> nodes, Random random, params PlacedPods[] placed)
{
    /// <summary>Weight of the preferred affinity against the load: a full match outweighs any load.</summary>
    private const double PreferenceWeight = 2;

    private readonly Dictionary<string, Kind> _kinds = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Class> _byShape = new(StringComparer.Ordinal);
    private readonly List<Class> _classes = [];
    private readonly PlacedPods _placedNow = new();
    private readonly List<Class> _packing = [];
    private Dictionary<string, int>? _indexes;

    /// <summary>Some pod, standing or served in this round, keeps others away: then it matters to all who they are.</summary>
    private bool _anyRepels;

    /// <summary>The agents for pods of one class, or of several that neither want nor suffer anything of other pods and ask for the same.</summary>
    private sealed class Class(Neighbours neighbours, AgentTree agents)
    {
        public Neighbours Neighbours => neighbours;
        public AgentTree Agents => agents;

        public void Better(WishDomain domain)
        {
            foreach (var branch in domain.Branches) AgentTree.Improve(branch);
            foreach (var index in domain.Agents) agents.Improve(index);
        }
    }

    /// <summary>The pods of one <see cref="WaitingPod.Class"/>.</summary>
    private sealed class Kind(Class places, PlacedGroup stand)
    {
        public Class Places => places;

        /// <summary>Where the round has put pods of the kind.</summary>
        public PlacedGroup Stand => stand;

        /// <summary>What a pod of the kind means to which of the first <see cref="Known"/> classes.</summary>
        public List<(Class Class, Neighbours.Influence Influence, Action<WishDomain> Better)> Influences { get; } = [];
        public int Known { get; set; }
    }

    /// <summary>Branches looked at in the search for places: the part of the cost that depends on how many pods there are.</summary>
    public long Looks => _classes.Sum(x => x.Agents.Looks);

    /// <param name="pods">In the order in which they are served (by priority, then by age).</param>
    public MatchResult Run(IEnumerable<WaitingPod> pods)
    {
        var round = pods as IReadOnlyList<WaitingPod> ?? [.. pods];
        Meet(round);
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
        Meet(members);
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
        var index = Indexes[tried.Agent.AgentId];
        foreach (var port in tried.Ports.Values) agents[index].Ports.Take(port);
        return Taken(tried.Pod, KindOf(tried.Pod), index, tried.Ports);
    }

    private Dictionary<string, int> Indexes => _indexes ??= agents.Select((x, i) => (x.AgentId, i)).ToDictionary(x => x.AgentId, x => x.i, StringComparer.Ordinal);

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

    private void Meet(IReadOnlyList<WaitingPod> round) =>
        _anyRepels = round.Any(x => PlacedGroup.RepelTermsOf(x.Pod).Count > 0) || placed.Any(x => x.Groups.Any(y => PlacedGroup.RepelTermsOf(y.Sample).Count > 0));

    private Match? Place(WaitingPod pod)
    {
        var kind = KindOf(pod);
        while (kind.Places.Agents.Best() is { } best)
        {
            if (TakePorts(pod, agents[best.Index]) is { } ports) return Taken(pod, kind, best.Index, ports);
            best.IsOut = true;
        }
        return null;
    }

    private Kind KindOf(WaitingPod pod)
    {
        if (_kinds.TryGetValue(pod.Class, out var known)) return known;
        if (!pod.IsAlone || _anyRepels && !pod.IsBound) return _kinds[pod.Class] = new(ClassOf(pod), _placedNow.GroupOf(pod.Pod));
        if (!_byShape.TryGetValue(pod.Shape, out var shared)) _byShape.Add(pod.Shape, shared = ClassOf(pod));
        return _kinds[pod.Class] = new(shared, _placedNow.GroupOf(pod.Pod));
    }

    /// <summary>Books a placement whose ports are taken.</summary>
    private Match Taken(WaitingPod pod, Kind kind, int index, IReadOnlyDictionary<string, int> ports)
    {
        var agent = agents[index];
        agent.Free -= pod.Demand.Total;
        agent.Pods++;
        kind.Stand.Nodes[agent.Node.Name] = kind.Stand.Nodes.GetValueOrDefault(agent.Node.Name) + 1;
        foreach (var (_, influence, better) in InfluencesOf(kind)) influence.Count(agent.Node, 1, better);
        // Who packs likes an agent the better the fuller it is.
        foreach (var other in _packing) other.Agents.Improve(index);
        return new(pod, agent, ports);
    }

    /// <summary>Asked of each kind and class once, not of each placement.</summary>
    private List<(Class Class, Neighbours.Influence Influence, Action<WishDomain> Better)> InfluencesOf(Kind placing)
    {
        for (; placing.Known < _classes.Count; placing.Known++)
        {
            var other = _classes[placing.Known];
            if (other.Neighbours.InfluenceOf(placing.Stand.Sample) is { } influence) placing.Influences.Add((other, influence, other.Better));
        }
        return placing.Influences;
    }

    private static readonly Dictionary<string, int> NoPorts = [];

    private Dictionary<string, int>? TakePorts(WaitingPod pod, AgentSlot agent)
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
        var candidates = new List<int>(pod.PinnedAgent.Length == 0 ? agents.Count : 1);
        foreach (var i in Possible(pod))
        {
            if (AgentFilter.Fits(pod, agents[i]) && !neighbours.IsClosed(agents[i].Node) && AgentFilter.Allows(pod, agents[i])) candidates.Add(i);
        }
        var levels = neighbours.Gates.Select(x => AgentTree.Level.Of(x, agents, candidates)).ToList();
        var narrow = new List<WishDomain[]>();
        var improves = pod.Packs;
        foreach (var wish in neighbours.Wishes)
        {
            if (AgentTree.Level.Of(wish, agents, candidates) is { } level)
            {
                levels.Add(level);
                continue;
            }
            var domains = new WishDomain[agents.Count];
            foreach (var i in candidates)
            {
                domains[i] = wish.DomainOf(agents[i].Node);
                if (wish.IsNear) domains[i].Agents.Add(i);
            }
            narrow.Add(domains);
            improves |= wish.IsNear;
        }
        var dislike = new long[candidates.Count == 0 ? 0 : agents.Count];
        foreach (var i in candidates) dislike[i] = -Score.Of(PreferenceWeight * AgentFilter.Preference(pod, agents[i].Node));
        var tree = new AgentTree([.. levels.OrderBy(x => x.Count)], candidates.Select(i => (i, RankOf(i))), RankNow, improves);
        var made = new Class(neighbours, tree);
        _classes.Add(made);
        if (pod.Packs) _packing.Add(made);
        return made;

        // What is free only shrinks in a round, and what is closed stays so: an agent that is out is out for the whole class.
        Rank? RankNow(int i) => AgentFilter.Fits(pod, agents[i]) && !neighbours.IsClosed(agents[i].Node) ? RankOf(i) : null;

        Rank RankOf(int i)
        {
            var (agent, score) = (agents[i], dislike[i]);
            foreach (var domains in narrow) score += domains[i].Penalty;
            var load = agent.LoadWith(pod.Demand.Total);
            return pod.Packs ? new(score - load, -agent.Pods, i) : new(score + load, agent.Pods, i);
        }
    }

    private IEnumerable<int> Possible(WaitingPod pod)
    {
        if (pod.PinnedAgent.Length == 0) return Enumerable.Range(0, agents.Count);
        return Indexes.TryGetValue(pod.PinnedAgent, out var index) ? [index] : [];
    }

    private Neighbours NeighboursOf(WaitingPod pod) => new(pod, nodes, [.. placed, _placedNow]);
}
