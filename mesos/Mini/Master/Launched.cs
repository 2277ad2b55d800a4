using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Master;

/// <summary>A task that the master has launched, or that an agent brought along.</summary>
internal sealed class Launched(MesosTask record, Framework framework, Agent agent, string role, ResourceBag resources)
{
    /// <summary>What GET_TASKS shows. Its state is the latest one the agent reported.</summary>
    public MesosTask Record { get; } = record;

    public Framework Framework { get; } = framework;
    public Agent Agent { get; } = agent;
    public string Role { get; } = role;
    public ResourceBag Resources { get; } = resources;
    public string Id => Record.TaskId.Value;

    /// <summary>Its resources are in use: it has not reached a terminal state.</summary>
    public bool HoldsResources { get; set; } = true;

    /// <summary>The update that was sent and not acknowledged yet; a framework that subscribes again gets it again.</summary>
    public TaskStatus? Unacknowledged { get; set; }

    public DateTimeOffset? UnreachableSince { get; set; }
}
