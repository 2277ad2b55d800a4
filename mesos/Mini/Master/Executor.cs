using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Master;

/// <summary>The executor of a task group, or one that a framework brought: it holds resources of its own while it runs.</summary>
internal sealed class Executor(ExecutorInfo record, Framework framework, Agent agent, string role, ResourceBag resources)
{
    public ExecutorInfo Record { get; } = record;
    public Framework Framework { get; } = framework;
    public Agent Agent { get; } = agent;
    public string Role { get; } = role;
    public ResourceBag Resources { get; } = resources;
    public string Id => Record.ExecutorId.Value;
}
