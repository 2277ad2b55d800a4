using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.DaemonSets;

/// <summary>
/// Whether a DaemonSet's pod belongs on a node, and the pin that puts it there (Kubernetes doc "DaemonSet"). A daemon tolerates what says that a
/// node is not well or closed to others.
/// </summary>
internal static class NodeFit
{
    /// <summary>Tolerations that every daemon pod gets.</summary>
    public static readonly IReadOnlyList<Toleration> Tolerations =
    [
        Of("node.kubernetes.io/not-ready", "NoExecute"),
        Of("node.kubernetes.io/unreachable", "NoExecute"),
        Of("node.kubernetes.io/disk-pressure", "NoSchedule"),
        Of("node.kubernetes.io/memory-pressure", "NoSchedule"),
        Of("node.kubernetes.io/pid-pressure", "NoSchedule"),
        Of("node.kubernetes.io/unschedulable", "NoSchedule"),
    ];

    private const string NodeName = "metadata.name";

    /// <param name="Runs">A pod is to be made where there is none.</param>
    /// <param name="Stays">A pod that is there may go on: taints that only keep new ones away do not send it off.</param>
    public readonly record struct Verdict(bool Runs, bool Stays);

    public static Verdict Of(PodSpec spec, Node node)
    {
        if (spec.NodeName.Length > 0 && spec.NodeName != node.Name) return default;
        if (!LabelSelector.Of(spec.NodeSelector).Matches(node.Metadata.Labels)) return default;
        if (spec.Affinity?.NodeAffinity?.RequiredDuringSchedulingIgnoredDuringExecution is { } required && !required.NodeSelectorTerms.Any(x => Matches(x, node))) return default;
        var repelled = node.Spec.Taints.Where(x => x.Effect is "NoSchedule" or "NoExecute" && !spec.Tolerations.Concat(Tolerations).Any(y => y.Tolerates(x))).ToList();
        return new(repelled.Count == 0, repelled.All(x => x.Effect != "NoExecute"));
    }

    /// <summary>The node that a pod is on or pinned to; "" = none.</summary>
    public static string Target(Pod pod)
    {
        if (pod.Spec.NodeName.Length > 0) return pod.Spec.NodeName;
        foreach (var term in pod.Spec.Affinity?.NodeAffinity?.RequiredDuringSchedulingIgnoredDuringExecution?.NodeSelectorTerms ?? [])
        {
            foreach (var field in term.MatchFields)
            {
                if (field is { Key: NodeName, Operator: "In", Values.Count: 1 }) return field.Values[0];
            }
        }
        return "";
    }

    /// <summary>A term without expressions matches nothing.</summary>
    private static bool Matches(NodeSelectorTerm term, Node node) =>
        term.MatchExpressions.Count + term.MatchFields.Count > 0
        && term.MatchExpressions.All(x => Matches(x, node.Metadata.Labels))
        && term.MatchFields.All(x => Matches(x, new Dictionary<string, string>(StringComparer.Ordinal) { [NodeName] = node.Name }));

    private static bool Matches(LabelSelectorRequirement expression, IReadOnlyDictionary<string, string> labels) =>
        Enum.TryParse<SelectorOperator>(expression.Operator, out var op) && new Requirement(expression.Key, op, expression.Values).Matches(labels);

    private static Toleration Of(string key, string effect) => new() { Key = key, Operator = "Exists", Effect = effect };
}
