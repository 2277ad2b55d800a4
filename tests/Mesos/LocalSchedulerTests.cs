using Declarative.Mesos.Scheduler;

namespace Declarative.Tests.Mesos;

public sealed class LocalSchedulerTests : SchedulerContract
{
    internal override Task<IMaster> Client(MasterWorld world) => Task.FromResult(world.Master.Client());
}
