using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>A pod that holds room on a node.</summary>
/// <param name="Ports">Its host ports.</param>
/// <param name="IsLeaving">It is on its way out already: its room is not there yet, and it cannot be told to go again.</param>
internal sealed record Holder(Pod Pod, Amounts Taken, IReadOnlyCollection<int> Ports, bool IsLeaving)
{
    public int Priority => Pod.Spec.Priority ?? 0;

    /// <summary>Of two pods the one with the higher priority stays longer, then the one that runs longer.</summary>
    public DateTimeOffset Started => Pod.Status.StartTime ?? DateTimeOffset.MaxValue;
}

/// <summary>One agent where room may be made.</summary>
/// <param name="Slot">With what is free there without any victim.</param>
/// <param name="KnowsPorts">False where nothing is offered now: which ports are free is not known then.</param>
internal sealed record CrowdedAgent(AgentSlot Slot, IReadOnlyList<Holder> Holders, bool KnowsPorts);

/// <summary>What a PodDisruptionBudget leaves. <see cref="Allowed"/> goes down as victims are chosen.</summary>
internal sealed class BudgetLeft(PodDisruptionBudget budget)
{
    private readonly LabelSelector _selector = budget.Selector;

    public int Allowed { get; set; } = budget.Status.DisruptionsAllowed;

    /// <summary>The budget holds for the pod, and its disruption is not counted in it already.</summary>
    public bool Covers(Pod pod) =>
        pod.Namespace == budget.Namespace && pod.Metadata.Labels.Count > 0 && _selector.Matches(pod.Metadata.Labels) && !budget.Status.DisruptedPods.ContainsKey(pod.Name);
}

/// <param name="Violates">A budget does not allow it: chosen only because nothing else makes room.</param>
internal readonly record struct Victim(Holder Holder, bool Violates);

/// <param name="Agent">Where the pod is to go.</param>
/// <param name="Victims">Those that must go first, the most important first; empty where by this account there is room without.</param>
internal sealed record Preemption(AgentSlot Agent, IReadOnlyList<Victim> Victims)
{
    /// <summary>Agents for which victims are worked out before the best of them is taken (kube-scheduler: a tenth of the nodes, at least 100).</summary>
    private const int TriedMax = 100;

    /// <summary>The same where it matters which pods stand where: every try counts them anew.</summary>
    private const int TriedWithNeighboursMax = 20;

    /// <summary>
    /// Whom a pod of higher priority displaces, as kube-scheduler chooses (Kubernetes doc "Pod Priority and Preemption"). On an agent: of all
    /// pods of lower priority those stay that can, the most important first and those that a budget protects before the others. Among agents:
    /// fewest budgets broken, least of the highest priorities, least sum of priorities, fewest pods, latest start of the most important.
    /// null: nothing makes room. The result changes nothing; <paramref name="placed"/> is left as it was.
    /// </summary>
    /// <param name="first">Where in the list the search begins.</param>
    public static Preemption? Choose(
        WaitingPod pod, IReadOnlyList<CrowdedAgent> agents, IReadOnlyDictionary<string, AgentNode> nodes, PlacedPods placed, IReadOnlyList<BudgetLeft> budgets, int first = 0)
    {
        if (pod.Pod.Spec.PreemptionPolicy == "Never" || pod.PinnedAgent.Length > 0) return null;
        var now = new Neighbours(pod, nodes, placed);
        var search = new Search(pod, nodes, placed, budgets, now.Matters);
        var best = default(Preemption);
        var tried = 0;
        for (var i = 0; i < agents.Count; i++)
        {
            var agent = agents[(first + i) % agents.Count];
            if (AgentFilter.Fixed(pod, agent.Slot).Any()) continue;
            if (search.OnAgent(agent) is not { } found) continue;
            if (found.Victims.Count == 0) return found;
            if (best is null || found.IsBetterThan(best)) best = found;
            if (++tried >= (now.Matters ? TriedWithNeighboursMax : TriedMax)) break;
        }
        return best;
    }

    private bool IsBetterThan(Preemption other)
    {
        var broken = Victims.Count(x => x.Violates).CompareTo(other.Victims.Count(x => x.Violates));
        if (broken != 0) return broken < 0;
        var highest = Highest.CompareTo(other.Highest);
        if (highest != 0) return highest < 0;
        var sum = Sum.CompareTo(other.Sum);
        if (sum != 0) return sum < 0;
        if (Victims.Count != other.Victims.Count) return Victims.Count < other.Victims.Count;
        return EarliestOfHighest > other.EarliestOfHighest;
    }

    private int Highest => Victims.Max(x => x.Holder.Priority);

    /// <summary>Every pod counts at least one, so that two pods of negative priority are more than one of them.</summary>
    private long Sum => Victims.Sum(x => x.Holder.Priority - (long)int.MinValue + 1);

    private DateTimeOffset EarliestOfHighest => Victims.Where(x => x.Holder.Priority == Highest).Min(x => x.Holder.Started);

    private sealed class Search(WaitingPod pod, IReadOnlyDictionary<string, AgentNode> nodes, PlacedPods placed, IReadOnlyList<BudgetLeft> budgets, bool neighboursMatter)
    {
        private readonly int _priority = pod.Pod.Spec.Priority ?? 0;
        private readonly int _anyPorts = pod.Demand.Ports.Count(x => x.HostPort == 0);

        public Preemption? OnAgent(CrowdedAgent agent)
        {
            var removed = new List<Holder>();
            if (Fits(agent, removed)) return new(agent.Slot, []);
            removed.AddRange(agent.Holders.Where(x => x.Priority < _priority && !x.IsLeaving).OrderByDescending(x => x.Priority).ThenBy(x => x.Started).ThenBy(x => x.Pod.Uid, StringComparer.Ordinal));
            if (removed.Count == 0 || !Fits(agent, removed)) return null;
            var (protectedPods, others) = ByBudget(removed);
            var victims = new List<Victim>();
            foreach (var (holder, violates) in protectedPods.Select(x => (x, true)).Concat(others.Select(x => (x, false))))
            {
                removed.Remove(holder);
                if (Fits(agent, removed)) continue;
                removed.Add(holder);
                victims.Add(new(holder, violates));
            }
            return new(agent.Slot, [.. victims.OrderByDescending(x => x.Holder.Priority).ThenBy(x => x.Holder.Started)]);
        }

        /// <summary>Those whose going a budget does not allow, if all of them went, and the others.</summary>
        private (List<Holder> Protected, List<Holder> Others) ByBudget(List<Holder> holders)
        {
            var left = budgets.Select(x => x.Allowed).ToArray();
            var (protectedPods, others) = (new List<Holder>(), new List<Holder>());
            foreach (var holder in holders)
            {
                var isProtected = false;
                for (var i = 0; i < left.Length; i++)
                {
                    if (budgets[i].Covers(holder.Pod) && --left[i] < 0) isProtected = true;
                }
                (isProtected ? protectedPods : others).Add(holder);
            }
            return (protectedPods, others);
        }

        private bool Fits(CrowdedAgent agent, List<Holder> removed)
        {
            if (!removed.Aggregate(agent.Slot.Free, (sum, x) => sum + x.Taken).Covers(pod.Demand.Total)) return false;
            foreach (var port in pod.Demand.Ports)
            {
                if (port.HostPort > 0 && !agent.Slot.Ports.Contains(port.HostPort) && !removed.Exists(x => x.Ports.Contains(port.HostPort))) return false;
            }
            if (agent.KnowsPorts && _anyPorts > agent.Slot.Ports.Count + removed.Sum(x => x.Ports.Count)) return false;
            return !neighboursMatter || NeighboursAllow(agent.Slot.Node, removed);
        }

        private bool NeighboursAllow(AgentNode node, List<Holder> removed)
        {
            foreach (var holder in removed) placed.Remove(holder.Pod.Uid);
            var allowed = !new Neighbours(pod, nodes, placed).Reasons(node).Any();
            foreach (var holder in removed) placed.Put(holder.Pod, node.Name);
            return allowed;
        }
    }
}
