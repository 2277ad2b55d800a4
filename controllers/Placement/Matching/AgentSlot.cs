using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>What the Node object of an agent says to the matcher.</summary>
internal sealed record AgentNode(string Name, IReadOnlyDictionary<string, string> Labels)
{
    public IReadOnlyList<Taint> Taints { get; init; } = [];
    public bool Unschedulable { get; init; }

    /// <summary>All that the agent has, for the relative load; zero where unknown.</summary>
    public Amounts Capacity { get; init; }

    /// <summary>The same less what other Mesos roles have, as far as that is known.</summary>
    public Amounts Allocatable { get; init; }

    /// <summary>False where the agent is known to run no images.</summary>
    public bool RunsImages { get; init; } = true;

    /// <summary>The agent has left the cluster for good; the Node is what is left of it.</summary>
    public bool IsGone { get; init; }

    /// <summary>The annotation on a Node by which its agent says that it runs no images.</summary>
    public const string ImagesAnnotation = "declarative.mesos/images";

    public static AgentNode Of(Node node) => new(node.Name, node.Metadata.Labels)
    {
        Taints = node.Spec.Taints,
        Unschedulable = node.Spec.Unschedulable,
        Capacity = AmountsOf(node.Status.Capacity),
        Allocatable = AmountsOf(node.Status.Allocatable.Count > 0 ? node.Status.Allocatable : node.Status.Capacity),
        IsGone = Nodes.NodePlan.IsGone(node),
        RunsImages = node.Metadata.Annotations.GetValueOrDefault(ImagesAnnotation) != "none",
    };

    /// <summary>The same pods may go to both, as far as nodes decide it.</summary>
    public bool TakesTheSameAs(AgentNode other) =>
        Unschedulable == other.Unschedulable && RunsImages == other.RunsImages && Capacity == other.Capacity && Taints.SequenceEqual(other.Taints)
        && Labels.Count == other.Labels.Count && Labels.All(x => other.Labels.TryGetValue(x.Key, out var value) && value == x.Value);

    private static Amounts AmountsOf(IReadOnlyDictionary<string, Quantity> of) =>
        new(of.GetValueOrDefault("cpu").Milli, Amounts.MiB(of.GetValueOrDefault("memory").Value), Amounts.MiB(of.GetValueOrDefault("ephemeral-storage").Value), of.GetValueOrDefault(Demand.GpuName).Milli);
}

/// <summary>One agent in a matching round. The round takes what it places out of <see cref="Free"/> and <see cref="Ports"/>.</summary>
internal sealed class AgentSlot(string agentId, AgentNode node, Amounts free, PortSet ports)
{
    public string AgentId { get; } = agentId;
    public AgentNode Node { get; } = node;
    public Amounts Free { get; set; } = free;
    public PortSet Ports { get; } = ports;

    /// <summary>False: the agent is known but nothing of it is offered now; it takes part in refusals only.</summary>
    public bool Offered { get; init; } = true;

    /// <summary>Persistence ids of the volumes that it offers; null = none.</summary>
    public IReadOnlySet<string>? Volumes { get; init; }

    /// <summary>Pods that this round or an earlier one has put there: breaks ties between equal loads.</summary>
    public int Pods { get; set; }

    /// <summary>The same agent for a trial: what is taken there is not taken here.</summary>
    public AgentSlot Clone() => new(AgentId, Node, Free, Ports.Clone()) { Offered = Offered, Pods = Pods, Volumes = Volumes };

    /// <summary>0 = empty, <see cref="Score.One"/> = full: the scarcer of cpu and memory, after taking <paramref name="need"/>.</summary>
    public long LoadWith(Amounts need)
    {
        var left = Free - need;
        var (cpus, mem) = (Math.Max(Node.Capacity.Cpus, Free.Cpus), Math.Max(Node.Capacity.Mem, Free.Mem));
        return Score.Of(1 - Math.Min(cpus == 0 ? 0 : (double)left.Cpus / cpus, mem == 0 ? 0 : (double)left.Mem / mem));
    }
}
