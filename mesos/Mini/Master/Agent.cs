using Declarative.Mesos.Mini.Allocator;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Master;

/// <summary>An agent that is registered: connected, or disconnected and not yet given up.</summary>
internal sealed class Agent(AgentInfo record, Slot slot)
{
    public AgentInfo Record { get; set; } = record;
    public Slot Slot { get; } = slot;
    public string Id => Slot.Id;
    public string Version { get; set; } = "";
    public Address? Address { get; set; }
    public DateTimeOffset Registered { get; set; }
    public DateTimeOffset? Reregistered { get; set; }

    /// <summary>Null while the agent is disconnected.</summary>
    public AgentConnection? Connection { get; set; }

    public Dictionary<string, Offer> Offers { get; } = new(StringComparer.Ordinal);
    public Dictionary<(string Framework, string Task), Launched> Tasks { get; } = [];
    public Dictionary<(string Framework, string Executor), Executor> Executors { get; } = [];

    /// <summary>An operator keeps it from being offered; null while none does.</summary>
    public Deactivation? Deactivation { get; set; }

    /// <summary>When its machine is to be maintained.</summary>
    public Unavailability? Unavailability { get; set; }

    /// <summary>Pings that were sent since the last answer.</summary>
    public int MissedPings { get; set; }

    public Deadlines.Deadline? NextPing { get; set; }

    public void Send(ToAgent message) => Connection?.Deliver(message);
}
