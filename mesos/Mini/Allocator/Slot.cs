using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>An agent as the allocator sees it.</summary>
internal sealed class Slot(string id, ResourceBag total, AgentInfo record)
{
    public string Id { get; } = id;
    public ResourceBag Total { get; } = total;

    /// <summary>What constraints look at: hostname, attributes, fault domain.</summary>
    public AgentInfo Record { get; set; } = record;

    /// <summary>What is neither offered nor used.</summary>
    public ResourceBag Available { get; } = total.Clone();

    /// <summary>False while the agent is disconnected or deactivated: nothing of it is offered.</summary>
    public bool Active { get; set; } = true;

    public bool HasGpus { get; } = total.Scalar("gpus") > 0;
}
