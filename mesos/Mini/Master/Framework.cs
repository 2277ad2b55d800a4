using Declarative.Mesos.Mini.Allocator;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Capability = Declarative.Mesos.Protocol.FrameworkInfo.Types.Capability.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>A framework that is subscribed, may come back, or (in the list of completed ones) has gone.</summary>
internal sealed class Framework(FrameworkInfo record, Claimant claimant)
{
    public FrameworkInfo Record { get; set; } = record;
    public Claimant Claimant { get; } = claimant;
    public string Id => Claimant.Id;

    /// <summary>Where its events go; null while it is disconnected.</summary>
    public EventStream<Event>? Stream { get; set; }

    public bool IsConnected => Stream is not null;

    /// <summary>Known only from the tasks of agents that came back after a restart of the master.</summary>
    public bool Recovered { get; set; }

    public bool PartitionAware { get; set; }
    public DateTimeOffset Registered { get; set; }
    public DateTimeOffset Reregistered { get; set; }
    public DateTimeOffset? Unregistered { get; set; }
    public Deadlines.Deadline? Failover { get; set; }
    public Deadlines.Deadline? Heartbeat { get; set; }

    public Dictionary<string, Offer> Offers { get; } = new(StringComparer.Ordinal);
    public Dictionary<string, InverseOffer> InverseOffers { get; } = new(StringComparer.Ordinal);

    /// <summary>By the id the framework gave them, until it acknowledges.</summary>
    public Dictionary<string, Performed> Operations { get; } = new(StringComparer.Ordinal);

    public OfferConstraints? OfferConstraints { get; set; }
    public Dictionary<string, Launched> Tasks { get; } = new(StringComparer.Ordinal);
    public Dictionary<(string Agent, string Executor), Executor> Executors { get; } = [];
    public OrderedDictionary<string, Launched> Unreachable { get; } = new(StringComparer.Ordinal);
    public Queue<MesosTask> Completed { get; } = new();

    public IReadOnlyList<string> Roles => Claimant.Roles;

    public bool Has(Capability capability) => Record.Capabilities.Any(has => has.Type == capability);

    /// <summary>Events for a framework that is not connected are dropped: it asks with RECONCILE when it is back.</summary>
    public void Send(Event message) => Stream?.Send(message);

    public void Complete(Launched task, int max)
    {
        Completed.Enqueue(task.Record);
        if (Completed.Count > max)
            Completed.Dequeue();
    }
}
