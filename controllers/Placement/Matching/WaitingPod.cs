using System.Text;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Volumes;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>A pod that wants a place, with what the matcher needs of it worked out once.</summary>
internal sealed class WaitingPod
{
    public WaitingPod(Pod pod, string pinnedAgent = "", IReadOnlyDictionary<string, int>? keptPorts = null, VolumeNeeds? volumes = null)
    {
        Volumes = volumes ?? VolumeNeeds.None;
        Pod = pod;
        PinnedAgent = pinnedAgent;
        KeptPorts = keptPorts;
        Demand = Demand.Of(pod.Spec);
        if (Volumes.NewDisk > 0) Demand = Demand with { Total = Demand.Total + new Amounts(0, 0, Volumes.NewDisk) };
        Packs = pod.Metadata.Annotations.GetValueOrDefault(PolicyAnnotation) == "pack";
        if (pinnedAgent.Length == 0 && !IsBound) Gang = Gang.Of(pod);
        Shape = ShapeOf(pod, Demand, pinnedAgent) + Volumes.Key;
        Class = ClassOf(pod, Shape);
        IsAlone = IsBound || pod.Spec.TopologySpreadConstraints.Count == 0 && pod.Spec.Affinity is not { PodAffinity: not null } and not { PodAntiAffinity: not null };
    }

    public Pod Pod { get; }
    public Demand Demand { get; }

    /// <summary>What its claims ask of the agent.</summary>
    public VolumeNeeds Volumes { get; }

    /// <summary>Only this agent: the pod has run there before. "" = any.</summary>
    public string PinnedAgent { get; }

    /// <summary>The pod has its node already, from a manifest or an earlier attempt: only room and offers are asked for.</summary>
    public bool IsBound => Pod.Spec.NodeName.Length > 0;

    /// <summary>Ports of an intent that was never sent; they are taken again where they are still free.</summary>
    public IReadOnlyDictionary<string, int>? KeptPorts { get; }

    /// <summary>Where it goes among agents that fit: <c>spread</c> (least loaded first, the default) or <c>pack</c> (fullest first).</summary>
    public const string PolicyAnnotation = "declarative.mesos/placement";
    public bool Packs { get; }

    /// <summary>The group that is placed as a whole or not at all; null where the pod is in none, or has run already.</summary>
    public Gang? Gang { get; }

    /// <summary>Why the last round has placed nothing of the group; null where it was not the group that kept the pod back.</summary>
    public GangRefusal? GangRefusal { get; set; }

    /// <summary>The agent where room is being made for it; "" = none. In a round it is kept from pods that are served later.</summary>
    public string NominatedAgent { get; set; } = "";

    /// <summary>Equal for pods that the matcher cannot tell apart: what holds for one of them holds for all.</summary>
    public string Class { get; }

    /// <summary>The part of <see cref="Class"/> that does not say who the pod is to others.</summary>
    public string Shape { get; }

    /// <summary>It says nothing about which pods it wants to stand with.</summary>
    public bool IsAlone { get; }

    private static string ShapeOf(Pod pod, Demand demand, string pinnedAgent)
    {
        var spec = pod.Spec;
        var text = new StringBuilder(64);
        text.Append(demand.Total.Cpus).Append(' ').Append(demand.Total.Mem).Append(' ').Append(demand.Total.Disk).Append(' ').Append(demand.Ports.Count);
        foreach (var port in demand.Ports)
        {
            if (port.HostPort > 0) text.Append('h').Append(port.HostPort);
        }
        if (demand.Image.Length > 0) text.Append('i');
        if (spec.NodeName.Length > 0) text.Append('b');
        if (demand.Total.Gpus > 0) text.Append('g').Append(demand.Total.Gpus);
        if (pod.Metadata.Annotations.GetValueOrDefault(PolicyAnnotation) == "pack") text.Append('k');
        if (pinnedAgent.Length > 0) text.Append('@').Append(pinnedAgent);
        foreach (var (key, value) in spec.NodeSelector) text.Append('|').Append(key).Append('=').Append(value);
        foreach (var toleration in spec.Tolerations) text.Append('~').Append(toleration);
        if (spec.Affinity is { } affinity) Append(text, affinity);
        foreach (var constraint in spec.TopologySpreadConstraints)
        {
            text.Append('^').Append(constraint.TopologyKey).Append(constraint.MaxSkew).Append(constraint.WhenUnsatisfiable).Append(constraint.LabelSelector?.ToSelector());
        }
        return text.ToString();
    }

    /// <summary>Labels and namespace matter to other pods' anti-affinity, and to this one's own selectors.</summary>
    private static string ClassOf(Pod pod, string shape)
    {
        var text = new StringBuilder(shape, 64 + shape.Length);
        text.Append('#').Append(pod.Namespace);
        foreach (var (key, value) in pod.Metadata.Labels) text.Append(',').Append(key).Append('=').Append(value);
        return text.ToString();
    }

    private static void Append(StringBuilder text, Affinity affinity)
    {
        foreach (var term in affinity.NodeAffinity?.RequiredDuringSchedulingIgnoredDuringExecution?.NodeSelectorTerms ?? []) Append(text.Append("+r"), term);
        foreach (var term in affinity.NodeAffinity?.PreferredDuringSchedulingIgnoredDuringExecution ?? []) Append(text.Append("+p").Append(term.Weight), term.Preference);
        foreach (var term in affinity.PodAffinity?.RequiredDuringSchedulingIgnoredDuringExecution ?? []) Append(text.Append("+a"), term);
        foreach (var term in affinity.PodAffinity?.PreferredDuringSchedulingIgnoredDuringExecution ?? []) Append(text.Append("+b").Append(term.Weight), term.PodAffinityTerm);
        foreach (var term in affinity.PodAntiAffinity?.PreferredDuringSchedulingIgnoredDuringExecution ?? []) Append(text.Append("+m").Append(term.Weight), term.PodAffinityTerm);
        foreach (var term in affinity.PodAntiAffinity?.RequiredDuringSchedulingIgnoredDuringExecution ?? []) Append(text.Append("+n"), term);
    }

    private static void Append(StringBuilder text, NodeSelectorTerm term)
    {
        foreach (var x in term.MatchExpressions) text.Append(x.Key).Append(x.Operator).AppendJoin(',', x.Values).Append(';');
        foreach (var x in term.MatchFields) text.Append("f:").Append(x.Key).Append(x.Operator).AppendJoin(',', x.Values).Append(';');
    }

    internal static void Append(StringBuilder text, PodAffinityTerm term) =>
        text.Append(term.TopologyKey).Append(' ').Append(term.LabelSelector?.ToSelector()).Append(' ').AppendJoin(',', term.Namespaces);
}
