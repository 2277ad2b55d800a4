using Declarative.Mesos.Scheduler;

namespace Declarative.Mesos.Mini.Link;

/// <summary>Where an agent reaches its master: in process, through the simulation's faults, or over HTTP.</summary>
public interface IMasterDoor
{
    /// <summary>Opens a connection. The agent then sends Register or Reregister as the first message.</summary>
    /// <exception cref="MasterUnavailable">There is no master now; try again later.</exception>
    Task<IAgentConnection> Connect(CancellationToken stop);
}
