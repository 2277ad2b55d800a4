using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Volumes;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>
/// The checks of one pod on one agent that do not depend on what else is placed in the round. Each check yields a reason with numbers;
/// the matcher only asks whether there is one, a refusal takes them all.
/// </summary>
internal static class AgentFilter
{
    /// <summary>Reasons that stay for the whole round.</summary>
    public static IEnumerable<Reason> Fixed(WaitingPod waiting, AgentSlot agent)
    {
        var spec = waiting.Pod.Spec;
        var node = agent.Node;
        if (waiting.PinnedAgent.Length > 0 && waiting.PinnedAgent != agent.AgentId)
        {
            yield return new(RefusalKind.OtherAgent, "the pod restarts where it ran before", "wait for that agent, or delete the pod");
            yield break;
        }
        if (waiting.Volumes.Any)
        {
            foreach (var reason in OfVolumes(waiting.Volumes, agent)) yield return reason;
            if (waiting.Volumes.Blocked.Length > 0) yield break;
        }
        if (!agent.Offered) yield return new(RefusalKind.NoOffer, $"{node.Name} offers nothing now", "free resources there, or wait for its next offer");
        if (waiting.IsBound) yield break; // what decided for the node is not asked again (a cordon, a taint or a label may have come since)
        if (node.Unschedulable && !Tolerated(spec, Cordoned)) yield return new(RefusalKind.Unschedulable, $"{node.Name} is cordoned", $"kubectl uncordon {node.Name}");
        foreach (var taint in node.Taints)
        {
            if (taint.Effect is "NoSchedule" or "NoExecute" && !Tolerated(spec, taint))
            {
                var text = taint.Value.Length > 0 ? $"{taint.Key}={taint.Value}:{taint.Effect}" : $"{taint.Key}:{taint.Effect}";
                yield return new(RefusalKind.Taint, $"{node.Name} has taint {text}", $"tolerate {text}");
            }
        }
        foreach (var (key, value) in spec.NodeSelector)
        {
            if (node.Labels.TryGetValue(key, out var has) && has == value) continue;
            var found = has is null ? "no such label" : $"{key}={has}";
            yield return new(RefusalKind.NodeSelector, $"nodeSelector asks for {key}={value}, {node.Name} has {found}", $"kubectl label node {node.Name} {key}={value}");
        }
        if (!Affine(spec, node))
        {
            yield return new(RefusalKind.NodeAffinity, $"no term of the required node affinity matches {node.Name}", "change the affinity or the node's labels");
        }
        if (waiting.Demand.Image.Length > 0 && !node.RunsImages)
        {
            yield return new(RefusalKind.Image, $"{node.Name} runs no images (the pod asks for {waiting.Demand.Image})", "leave out image to run a plain process, or add an agent that runs images");
        }
    }

    /// <summary>There is no <see cref="Fixed"/> reason.</summary>
    public static bool Allows(WaitingPod waiting, AgentSlot agent)
    {
        if (waiting.PinnedAgent.Length > 0 && waiting.PinnedAgent != agent.AgentId || !agent.Offered) return false;
        if (waiting.Volumes.Any && OfVolumes(waiting.Volumes, agent).Any()) return false;
        if (waiting.IsBound) return true;
        var (spec, node) = (waiting.Pod.Spec, agent.Node);
        if (node.Unschedulable && !Tolerated(spec, Cordoned)) return false;
        foreach (var taint in node.Taints)
        {
            if (taint.Effect is "NoSchedule" or "NoExecute" && !Tolerated(spec, taint)) return false;
        }
        return Selects(spec, node) && (waiting.Demand.Image.Length == 0 || node.RunsImages);
    }

    private static IEnumerable<Reason> OfVolumes(VolumeNeeds needs, AgentSlot agent)
    {
        if (needs.Blocked.Length > 0)
        {
            yield return new(RefusalKind.Volume, needs.Blocked, "see kubectl describe persistentvolumeclaim");
        }
        else if (needs.Agent.Length > 0 && needs.Agent != agent.AgentId)
        {
            yield return new(RefusalKind.Volume, $"{agent.Node.Name} does not have the volume of {needs.Place}", "wait for the agent that has it");
        }
        else if (needs.Volumes.Count > 0 && !needs.Volumes.All(x => agent.Volumes?.Contains(x) == true))
        {
            yield return new(RefusalKind.Volume, $"{agent.Node.Name} has the volume of {needs.Place} and does not offer it: {(agent.Offered ? "another pod uses it" : "the agent is away, or another pod uses it")}", "wait for the agent or for that pod's end");
        }
    }

    /// <summary>Reasons that grow as the round takes resources.</summary>
    public static IEnumerable<Reason> Resources(WaitingPod waiting, AgentSlot agent)
    {
        var (need, free) = (waiting.Demand.Total, agent.Free);
        if (need.Cpus > free.Cpus) yield return Short(RefusalKind.Cpus, "cpus", "", need.Cpus, free.Cpus, agent.Node.Name);
        if (need.Mem > free.Mem) yield return Short(RefusalKind.Memory, "memory", " MiB", need.Mem, free.Mem, agent.Node.Name);
        if (need.Disk > free.Disk) yield return Short(RefusalKind.Disk, "disk", " MiB", need.Disk, free.Disk, agent.Node.Name);
        if (need.Gpus > free.Gpus) yield return Short(RefusalKind.Gpus, "gpus", "", need.Gpus, free.Gpus, agent.Node.Name);
        var any = 0;
        foreach (var port in waiting.Demand.Ports)
        {
            if (port.HostPort == 0) any++;
            else if (!agent.Ports.Contains(port.HostPort))
            {
                yield return new(RefusalKind.HostPort, $"hostPort {port.HostPort} is not offered by {agent.Node.Name} (free: {agent.Ports})", "choose a free port, or leave out hostPort");
            }
        }
        if (any > agent.Ports.Count)
        {
            yield return new(RefusalKind.Ports, $"needs {any} ports, {agent.Node.Name} offers {agent.Ports.Count}: {any - agent.Ports.Count} short", "declare fewer ports or free some", any - agent.Ports.Count);
        }
    }

    public static bool Fits(WaitingPod waiting, AgentSlot agent)
    {
        if (!agent.Free.Covers(waiting.Demand.Total) || waiting.Demand.AnyPorts > agent.Ports.Count) return false;
        foreach (var port in waiting.Demand.HostPorts)
        {
            if (!agent.Ports.Contains(port)) return false;
        }
        return true;
    }

    /// <summary>nodeSelector and required node affinity allow the node.</summary>
    public static bool Selects(PodSpec spec, AgentNode node)
    {
        foreach (var (key, value) in spec.NodeSelector)
        {
            if (!node.Labels.TryGetValue(key, out var has) || has != value) return false;
        }
        return Affine(spec, node);
    }

    /// <summary>0 … 1: how much of the preferred node affinity an agent meets, less its PreferNoSchedule taints.</summary>
    public static double Preference(WaitingPod waiting, AgentNode node)
    {
        var preference = 0.0;
        var terms = waiting.Pod.Spec.Affinity?.NodeAffinity?.PreferredDuringSchedulingIgnoredDuringExecution ?? [];
        if (terms.Count > 0)
        {
            var (met, all) = (0, 0);
            foreach (var term in terms)
            {
                all += term.Weight;
                if (Matches(term.Preference, node)) met += term.Weight;
            }
            preference = all == 0 ? 0 : (double)met / all;
        }
        foreach (var taint in node.Taints)
        {
            if (taint.Effect == "PreferNoSchedule" && !Tolerated(waiting.Pod.Spec, taint)) preference -= 1;
        }
        // What has gpus is kept for those that ask for them while anything else fits.
        if (node.Capacity.Gpus > 0 && waiting.Demand.Total.Gpus == 0) preference -= 1;
        return preference;
    }

    private static readonly Taint Cordoned = new() { Key = "node.kubernetes.io/unschedulable", Effect = "NoSchedule" };

    private static bool Tolerated(PodSpec spec, Taint taint)
    {
        foreach (var toleration in spec.Tolerations)
        {
            if (toleration.Tolerates(taint)) return true;
        }
        return false;
    }

    private static bool Affine(PodSpec spec, AgentNode node) => spec.Affinity?.NodeAffinity?.RequiredDuringSchedulingIgnoredDuringExecution is not { } required || Any(required, node);

    private static bool Any(NodeSelectorSpec required, AgentNode node)
    {
        foreach (var term in required.NodeSelectorTerms)
        {
            if (Matches(term, node)) return true;
        }
        return false;
    }

    /// <summary>A term without expressions matches nothing (Kubernetes doc "Assigning Pods to Nodes").</summary>
    private static bool Matches(NodeSelectorTerm term, AgentNode node)
    {
        if (term.MatchExpressions.Count + term.MatchFields.Count == 0) return false;
        foreach (var expression in term.MatchExpressions)
        {
            if (!Matches(expression, node.Labels)) return false;
        }
        if (term.MatchFields.Count == 0) return true;
        var fields = new Dictionary<string, string>(StringComparer.Ordinal) { ["metadata.name"] = node.Name };
        foreach (var expression in term.MatchFields)
        {
            if (!Matches(expression, fields)) return false;
        }
        return true;
    }

    private static bool Matches(LabelSelectorRequirement expression, IReadOnlyDictionary<string, string> labels) =>
        Enum.TryParse<SelectorOperator>(expression.Operator, out var op) && new Requirement(expression.Key, op, expression.Values).Matches(labels);

    private static Reason Short(RefusalKind kind, string what, string unit, long need, long free, string agent)
    {
        var text = what == "cpus" ? $"needs {Amounts.Text(need)} cpus, {agent} offers {Amounts.Text(free)}" : $"needs {Amounts.Text(need)}{unit} {what}, {agent} offers {Amounts.Text(free)}";
        return new(kind, $"{text}: {Amounts.Text(need - free)} short", $"request at most {Amounts.Text(free)}{unit} {what}, or free {Amounts.Text(need - free)}{unit} on {agent}", need - free);
    }
}
