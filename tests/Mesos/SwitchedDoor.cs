using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Master;

namespace Declarative.Tests.Mesos;

/// <summary>Leads to whichever master there is now.</summary>
internal sealed class SwitchedDoor : IMasterDoor
{
    public required MiniMaster Master { get; set; }

    public Task<IAgentConnection> Connect(CancellationToken stop) => Master.Connect(stop);
}
