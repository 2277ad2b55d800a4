using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>A pod that fits an agent, with its host ports by <c>container/containerPort</c>.</summary>
internal sealed record Match(WaitingPod Pod, AgentSlot Agent, IReadOnlyDictionary<string, int> Ports);

internal sealed record MatchResult(IReadOnlyList<Match> Matches, IReadOnlyList<WaitingPod> Refused);

/// <summary>
/// Puts waiting pods on offered agents, the least loaded first. Pods that cannot be told apart (<see cref="WaitingPod.Class"/>) share one
/// filtered heap of agents, so a pod costs O(log agents) and an agent is filtered once per class and round.
/// </summary>
/// <param name="placed">All pods that have a place; enumerated only for classes that have affinity or spread terms.</param>
/// <param name="repelling">Those of them with required anti-affinity.</param>
internal sealed class Matcher(IReadOnlyList<AgentSlot> agents, IReadOnlyCollection<PlacedPod> placed, IReadOnlyCollection<PlacedPod> repelling, Random random)
{
    /// <summary>Weight of the preferred affinity against the load: a full match outweighs any load.</summary>
    private const double PreferenceWeight = 2;

    private readonly Dictionary<string, ClassAgents> _classes = new(StringComparer.Ordinal);
    private readonly List<PlacedPod> _placedNow = [];
    private readonly List<PlacedPod> _repellingNow = [];
    private Dictionary<string, AgentNode>? _nodes;

    private sealed record ClassAgents(PriorityQueue<int, (double Load, int Pods, int Index)> Heap, double[] Preference, Neighbours Neighbours);

    /// <param name="pods">In the order in which they are served (by priority, then by age).</param>
    public MatchResult Run(IEnumerable<WaitingPod> pods)
    {
        var matches = new List<Match>();
        var refused = new List<WaitingPod>();
        foreach (var pod in pods)
        {
            if (Place(pod) is { } match) matches.Add(match);
            else refused.Add(pod);
        }
        return new(matches, refused);
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
        var candidates = _classes.TryGetValue(pod.Class, out var known) ? known : _classes[pod.Class] = Candidates(pod);
        List<int>? aside = null;
        Match? match = null;
        while (match is null && candidates.Heap.TryDequeue(out var index, out var rank))
        {
            var agent = agents[index];
            if (!AgentFilter.Fits(pod, agent)) continue; // what is free only shrinks in a round: this agent is out for the whole class
            var now = Rank(pod, agent, index, candidates.Preference[index]);
            if (now.CompareTo(rank) > 0)
            {
                candidates.Heap.Enqueue(index, now); // another class has taken from it since
                continue;
            }
            if (!candidates.Neighbours.IsEmpty && candidates.Neighbours.Reasons(agent.Node).Any())
            {
                (aside ??= []).Add(index);
                continue;
            }
            match = Take(pod, agent);
            if (match is null) continue;
            candidates.Heap.Enqueue(index, Rank(pod, agent, index, candidates.Preference[index]));
        }
        foreach (var index in aside ?? []) candidates.Heap.Enqueue(index, Rank(pod, agents[index], index, candidates.Preference[index]));
        return match;
    }

    private Match? Take(WaitingPod pod, AgentSlot agent)
    {
        var ports = ObjectPorts(pod, agent);
        if (ports is null) return null;
        agent.Free -= pod.Demand.Total;
        agent.Pods++;
        var here = new PlacedPod(pod.Pod, agent.Node.Name);
        var repels = pod.Pod.Spec.Affinity?.PodAntiAffinity is not null;
        _placedNow.Add(here);
        if (repels) _repellingNow.Add(here);
        foreach (var other in _classes.Values)
        {
            if (!other.Neighbours.IsEmpty) other.Neighbours.Count(pod.Pod, agent.Node.Name);
        }
        // Its anti-affinity may keep classes away that were filtered before: they look again.
        if (repels) DropOtherClasses(pod.Class);
        return new(pod, agent, ports);
    }

    private void DropOtherClasses(string keep)
    {
        if (_classes.Count <= 1) return;
        var kept = _classes[keep];
        _classes.Clear();
        _classes.Add(keep, kept);
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

    private ClassAgents Candidates(WaitingPod pod)
    {
        var preference = new double[agents.Count];
        var ranked = new List<(int, (double, int, int))>(agents.Count);
        for (var i = 0; i < agents.Count; i++)
        {
            var agent = agents[i];
            if (!agent.Offered || !AgentFilter.Fits(pod, agent) || AgentFilter.Fixed(pod, agent).Any()) continue;
            preference[i] = AgentFilter.Preference(pod, agent.Node);
            ranked.Add((i, Rank(pod, agent, i, preference[i])));
        }
        return new(new(ranked), preference, NeighboursOf(pod));
    }

    private Neighbours NeighboursOf(WaitingPod pod) => new(pod.Pod, placed.Concat(_placedNow), repelling.Concat(_repellingNow), Nodes);

    private Dictionary<string, AgentNode> Nodes()
    {
        if (_nodes is not null) return _nodes;
        _nodes = new(agents.Count, StringComparer.Ordinal);
        foreach (var agent in agents) _nodes[agent.Node.Name] = agent.Node;
        return _nodes;
    }

    private static (double Load, int Pods, int Index) Rank(WaitingPod pod, AgentSlot agent, int index, double preference) =>
        (agent.LoadWith(pod.Demand.Total) - PreferenceWeight * preference, agent.Pods, index);
}
