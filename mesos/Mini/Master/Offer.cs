using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Master;

/// <summary>An offer that is neither accepted, declined nor rescinded.</summary>
internal sealed class Offer(string id, Framework framework, Agent agent, string role, ResourceBag resources)
{
    public string Id { get; } = id;
    public Framework Framework { get; } = framework;
    public Agent Agent { get; } = agent;
    public string Role { get; } = role;
    public ResourceBag Resources { get; } = resources;
    public Deadlines.Deadline? Timeout { get; set; }
}
