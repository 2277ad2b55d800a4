using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Matching;

namespace Declarative.Controllers.Placement.Forecasts;

/// <summary>
/// Where pods would go if they were made now: Placement's own matcher and preemption over a snapshot. Pure. What other frameworks hold, and
/// which ports an agent offers, is not in the snapshot: an agent has its capacity less what our pods take, and every port that none of them has.
/// </summary>
public sealed class Forecast
{
    private static readonly (int, int) AllPorts = (1, 65_535);

    /// <summary>Pods for which victims are searched; what waits beyond them is only told.</summary>
    private const int PreemptionsMax = 100;

    private readonly Dictionary<string, AgentNode> _nodes;
    private readonly List<BudgetLeft> _budgets;
    private readonly Dictionary<string, Stand> _stands = new(StringComparer.Ordinal);
    private readonly PlacedPods _placed = new();
    private readonly ForecastClaims _claims;

    private sealed record Stand(Pod Pod, string Node, Amounts Taken, IReadOnlyCollection<int> Ports);

    private sealed record Outcome(int Owner, string Node, IReadOnlyList<string> Displaces);

    private Forecast(IReadOnlyList<Node> nodes, IReadOnlyList<Pod> pods, IReadOnlyList<PodDisruptionBudget> budgets, ForecastStorage storage)
    {
        _claims = new(storage, nodes);
        _nodes = nodes.Where(x => x.Status.Conditions.FirstOrDefault(y => y.Type == "Ready")?.IsTrue == true).ToDictionary(x => x.Name, AgentNode.Of, StringComparer.Ordinal);
        _budgets = [.. budgets.Select(x => new BudgetLeft(x))];
        foreach (var pod in pods.Where(x => x.Spec.NodeName.Length > 0 && !x.IsFinished)) Put(pod, Demand.Of(pod.Spec).Total, pod.Spec.NodeName, pod.Task?.Ports.Values.ToList() ?? []);
        foreach (var pod in pods.Where(x => x.Spec.NodeName.Length > 0 && !x.IsFinished)) _claims.Have(pod);
    }

    /// <param name="nodes">All nodes; those that are not ready take no part.</param>
    /// <param name="pods">All pods; those that wait already come before the wanted ones of their priority.</param>
    /// <param name="budgets">All disruption budgets.</param>
    /// <param name="wanted">In the order in which they would be made.</param>
    /// <param name="storage">null = there are no claims.</param>
    public static IReadOnlyList<ForecastRow> Compute(IReadOnlyList<Node> nodes, IReadOnlyList<Pod> pods, IReadOnlyList<PodDisruptionBudget> budgets, IReadOnlyList<WantedPods> wanted, ForecastStorage? storage = null)
    {
        var forecast = new Forecast(nodes, pods, budgets, storage ?? ForecastStorage.None);
        var waiting = new List<(WaitingPod Pod, int Owner)>();
        foreach (var pod in pods.Where(x => x.Spec.NodeName.Length == 0 && !x.IsFinished && !x.Metadata.IsDeleting)) waiting.Add((forecast.Waiting(pod), -1));
        for (var i = 0; i < wanted.Count; i++)
        {
            for (var n = 0; n < wanted[i].Count; n++)
            {
                foreach (var claim in wanted[i].ClaimsOf(n)) forecast._claims.Put(claim);
                var pod = wanted[i].PodOf(n);
                waiting.Add((forecast.Waiting(pod with { Metadata = pod.Metadata with { Uid = $"wanted {i} {n}" } }), i));
            }
        }
        return forecast.Run(waiting, wanted);
    }

    private WaitingPod Waiting(Pod pod) => new(pod, volumes: _claims.Take(pod));

    /// <summary>By priority: who is more important has displaced whom it must before the next are placed.</summary>
    private List<ForecastRow> Run(List<(WaitingPod Pod, int Owner)> waiting, IReadOnlyList<WantedPods> wanted)
    {
        var owners = waiting.ToDictionary(x => x.Pod.Pod.Uid, x => x.Owner, StringComparer.Ordinal);
        var outcomes = new List<Outcome>();
        var refused = new List<(WaitingPod Pod, int Owner)>();
        var helpless = new HashSet<string>(StringComparer.Ordinal);
        foreach (var equals in waiting.GroupBy(x => x.Pod.Pod.Spec.Priority ?? 0).OrderByDescending(x => x.Key))
        {
            var result = Matcher().Run(equals.Select(x => x.Pod));
            foreach (var match in result.Matches)
            {
                Put(match.Pod.Pod, match.Pod.Demand.Total, match.Agent.Node.Name, [.. match.Ports.Values]);
                outcomes.Add(new(owners[match.Pod.Pod.Uid], match.Agent.Node.Name, []));
            }
            foreach (var pod in result.Refused)
            {
                var owner = owners[pod.Pod.Uid];
                if (!helpless.Contains(pod.Class) && outcomes.Count(x => x.Displaces.Count > 0) < PreemptionsMax && Displace(pod) is { } found)
                {
                    outcomes.Add(new(owner, found.Agent.Node.Name, [.. found.Victims.Select(x => $"{x.Holder.Pod.Namespace}/{x.Holder.Pod.Name}")]));
                    continue;
                }
                helpless.Add(pod.Class);
                refused.Add((pod, owner));
            }
        }
        return [.. wanted.Select((x, i) => Row(x, [.. outcomes.Where(y => y.Owner == i)], [.. refused.Where(y => y.Owner == i).Select(y => y.Pod)]))];
    }

    private ForecastRow Row(WantedPods wanted, List<Outcome> outcomes, List<WaitingPod> refused)
    {
        var places = outcomes.GroupBy(x => (x.Node, HasVictims: x.Displaces.Count > 0)).OrderBy(x => x.Key.HasVictims).ThenBy(x => x.Key.Node, StringComparer.Ordinal)
            .Select(x => new ForecastPlace(x.Key.Node, x.Count(), [.. x.SelectMany(y => y.Displaces)])).ToList();
        if (refused.Count == 0) return new(wanted.Owner, wanted.Count, places, 0, "", []);
        var why = Matcher().Explain(refused[0]);
        return new(wanted.Owner, wanted.Count, places, refused.Count, Declarative.Controllers.Placement.Why.Summary(why),
            [.. why.Agents.Select(x => new ForecastRefusal(x.Agent, [.. x.Reasons.Select(y => new ForecastReason(y.Text, y.Remedy))]))]);
    }

    private Preemption? Displace(WaitingPod pod)
    {
        var agents = new List<CrowdedAgent>(_nodes.Count);
        foreach (var slot in Slots())
        {
            var holders = _stands.Values.Where(x => x.Node == slot.Node.Name).Select(x => new Holder(x.Pod, x.Taken, x.Ports, x.Pod.Metadata.IsDeleting)).ToList();
            agents.Add(new(slot, holders, KnowsPorts: true));
        }
        if (Preemption.Choose(pod, agents, _nodes, _placed, _budgets) is not { } found) return null;
        foreach (var victim in found.Victims)
        {
            _stands.Remove(victim.Holder.Pod.Uid);
            _placed.Remove(victim.Holder.Pod.Uid);
            foreach (var budget in _budgets.Where(x => x.Covers(victim.Holder.Pod))) budget.Allowed--;
        }
        Put(pod.Pod, pod.Demand.Total, found.Agent.Node.Name, [.. pod.Demand.Ports.Where(x => x.HostPort > 0).Select(x => x.HostPort)]);
        return found;
    }

    private void Put(Pod pod, Amounts taken, string node, IReadOnlyCollection<int> ports)
    {
        if (!_nodes.ContainsKey(node)) return;
        _stands[pod.Uid] = new(pod, node, taken, ports);
        _placed.Put(pod, node);
    }

    private Matcher Matcher() => new(Slots(), _nodes, new Random(0), _placed);

    private List<AgentSlot> Slots()
    {
        var slots = new List<AgentSlot>(_nodes.Count);
        var byNode = _stands.Values.ToLookup(x => x.Node, StringComparer.Ordinal);
        foreach (var node in _nodes.Values.OrderBy(x => x.Name, StringComparer.Ordinal))
        {
            var ports = new PortSet(AllPorts);
            var (free, pods) = (node.Capacity, 0);
            foreach (var stand in byNode[node.Name])
            {
                free -= stand.Taken;
                pods++;
                foreach (var port in stand.Ports) ports.Take(port);
            }
            var agent = _claims.AgentOf(node.Name);
            slots.Add(new(agent, node, free.AtLeastZero(), ports) { Pods = pods, Volumes = _claims.VolumesAt(agent) });
        }
        return slots;
    }
}
