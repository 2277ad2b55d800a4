using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using Xunit;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using OperationType = Declarative.Mesos.Protocol.Offer.Types.Operation.Types.Type;

namespace Declarative.Tests.Mesos;

/// <summary>Reservations and persistent volumes, by frameworks and by operators.</summary>
public sealed class OperationTests
{
    [Fact]
    public async Task A_framework_reserves_makes_a_volume_resizes_it_uses_it_and_gives_all_back()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await framework.Subscribe();
        await Accept(framework, Reserve("r", Reserved("cpus", 1), Reserved("disk", 64)));
        var done = await Status(framework, "r");
        Assert.Equal((OperationState.OperationFinished, 16), (done.State, done.Uuid.Value.Length));
        await framework.Send(CallType.AcknowledgeOperationStatus, call => call.AcknowledgeOperationStatus = new() { AgentId = done.AgentId, OperationId = done.OperationId, Uuid = done.Uuid.Value });
        await Accept(framework, Create("c", Volume(64)), has: Reserved("disk", 64));
        await Status(framework, "c");
        await Accept(framework, new Operation { Type = OperationType.GrowVolume, Id = new() { Value = "g" }, GrowVolume = new() { Volume = Volume(64), Addition = Reserved("disk", 16) } }, has: Volume(64));
        // There is no reserved disk left beside the volume.
        Assert.Contains("does not contain", (await Status(framework, "g")).Message, StringComparison.Ordinal);
        await Accept(framework, new Operation { Type = OperationType.ShrinkVolume, Id = new() { Value = "s" }, ShrinkVolume = new() { Volume = Volume(64), Subtract = new() { Value = 24 } } }, has: Volume(64));
        Assert.Equal(OperationState.OperationFinished, (await Status(framework, "s")).State);
        await Accept(framework, new Operation { Type = OperationType.GrowVolume, Id = new() { Value = "g2" }, GrowVolume = new() { Volume = Volume(40), Addition = Reserved("disk", 16) } }, has: Volume(40));
        Assert.Equal(OperationState.OperationFinished, (await Status(framework, "g2")).State);
        var offer = await Offer(framework, Volume(56));
        var task = TestFramework.TaskOf("t", offer);
        task.Resources.Add(Volume(56));
        await framework.Accept([offer], 0, task);
        await framework.Update("t", TaskState.TaskRunning);
        // What a task uses cannot be destroyed, whoever asks.
        Assert.Equal(409, world.Master.Operate(desk => desk.Operations.Perform(offer.AgentId.Value, Destroy("", Volume(56)))).Status);
        await framework.Kill("t");
        await framework.Update("t", TaskState.TaskKilled);
        await Accept(framework, Destroy("d", Volume(56)), has: Volume(56));
        await Status(framework, "d");
        await Accept(framework, Unreserve("u", Reserved("cpus", 1), Reserved("disk", 64)), has: Reserved("disk", 64));
        await Status(framework, "u");
        var free = await Offer(framework, TestFramework.Scalar("disk", 10240));
        Assert.All(free.Resources, one => Assert.Empty(one.Reservations));
    }

    [Fact]
    public async Task A_status_comes_again_until_it_is_acknowledged_and_reconciliation_tells_what_is_known()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await framework.Subscribe();
        await Accept(framework, Reserve("r", Reserved("cpus", 1)));
        var first = await Status(framework, "r");
        var again = await Status(framework, "r", count: 2);
        Assert.Equal(first.Uuid, again.Uuid);
        await framework.Send(CallType.ReconcileOperations, call => call.ReconcileOperations = new() { Operations = { new Declarative.Mesos.Protocol.SchedulerApi.Call.Types.ReconcileOperations.Types.Operation { OperationId = first.OperationId } } });
        Assert.Null((await Status(framework, "r", count: 3)).Uuid);
        await framework.Send(CallType.ReconcileOperations, call => call.ReconcileOperations = new() { Operations = { new Declarative.Mesos.Protocol.SchedulerApi.Call.Types.ReconcileOperations.Types.Operation { OperationId = new() { Value = "x" }, AgentId = first.AgentId } } });
        Assert.Equal(OperationState.OperationUnknown, (await Status(framework, "x")).State);
    }

    [Fact]
    public async Task An_unacknowledged_status_survives_a_restart_of_the_master_until_it_is_acknowledged()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await framework.Subscribe();
        await Accept(framework, Reserve("r", Reserved("cpus", 1)));
        var first = await Status(framework, "r");
        world.RestartMaster();
        world.Agents[0].Disconnect();
        await using var again = world.Framework();
        again.Id = framework.Id;
        again.Info.Id = framework.Id;
        await again.Subscribe();
        var told = await Status(again, "r");
        Assert.Equal((first.State, first.Uuid, first.AgentId), (told.State, told.Uuid, told.AgentId));
        await again.Send(CallType.ReconcileOperations, call => call.ReconcileOperations = new());
        await Status(again, "r", count: 2);
        await again.Send(CallType.AcknowledgeOperationStatus, call => call.AcknowledgeOperationStatus = new() { AgentId = told.AgentId, OperationId = told.OperationId, Uuid = told.Uuid.Value });
        await world.Until(() => world.Master.View(cluster => cluster.Frameworks.Values.All(one => one.Operations.Count == 0)), "the acknowledgement");
        // The agent has forgotten it too: a third master hears nothing of it.
        world.RestartMaster();
        world.Agents[0].Disconnect();
        await world.Until(() => world.Master.View(cluster => cluster.Agents.Count) == 1, "the agent");
        Assert.Equal(0, world.Master.View(cluster => cluster.Frameworks.Count));
    }

    [Theory]
    [InlineData("not reserved at all", "is not dynamically reserved")]
    [InlineData("another role", "the framework can only reserve resources with role 'test'")]
    [InlineData("more than offered", "does not contain cpus(allocated: test):99")]
    [InlineData("a volume that is not reserved", "must be reserved")]
    [InlineData("a volume outside the sandbox", "must be relative")]
    [InlineData("twice the same volume", "already exists")]
    [InlineData("unreserve a volume", "destroy the persistent volume first")]
    [InlineData("destroy no volume", "Not a persistent volume")]
    public async Task What_makes_no_sense_is_refused_by_name(string what, string expected)
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await framework.Subscribe();
        var outside = Volume(64);
        outside.Disk.Volume.ContainerPath = "../x";
        var elsewhere = Reserved("cpus", 1);
        elsewhere.Reservations[0].Role = "other";
        var unreserved = Volume(64);
        unreserved.Reservations.Clear();
        await Accept(framework, what switch
        {
            "not reserved at all" => Reserve("o", TestFramework.Scalar("cpus", 1)),
            "another role" => Reserve("o", elsewhere),
            "more than offered" => Reserve("o", Reserved("cpus", 99)),
            "a volume that is not reserved" => Create("o", unreserved),
            "a volume outside the sandbox" => Create("o", outside),
            "twice the same volume" => Create("o", Volume(64), Volume(32)),
            "unreserve a volume" => Unreserve("o", Volume(64)),
            _ => Destroy("o", Reserved("disk", 64)),
        });
        var status = await Status(framework, "o");
        Assert.Equal(OperationState.OperationError, status.State);
        Assert.Contains(expected, status.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Operators_reserve_what_is_offered_and_it_stays_over_restarts_of_master_and_agent()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await framework.Subscribe();
        var offer = await framework.Offer();
        var other = Reserved("disk", 10000);
        other.Reservations[0].Role = "other";
        Assert.Equal(202, world.Master.Operate(desk => desk.Operations.Perform(offer.AgentId.Value, Reserve("", other))).Status);
        await world.Until(() => framework.Events.Any(one => one.Type == EventType.Rescind), "RESCIND");
        await Offer(framework, TestFramework.Scalar("disk", 240));
        var refused = world.Master.Operate(desk => desk.Operations.Perform(offer.AgentId.Value, Unreserve("", Reserved("disk", 64))));
        Assert.Equal((409, "cpus:8; mem:8192; disk:240; ports:[31000-32000]; disk(reservations: [(DYNAMIC,other)]):10000 does not contain disk(reservations: [(DYNAMIC,test)]):64"), (refused.Status, refused.Text));
        Assert.Equal(400, world.Master.Operate(desk => desk.Operations.Perform("no", Reserve("", other))).Status);
        world.RestartMaster();
        world.Agents[0].Disconnect();
        await world.Until(() => world.Master.View(cluster => cluster.Agents.Count) == 1, "the agent");
        Assert.Equal("[disk(reservations: [(DYNAMIC,other)]):10000]", $"[{world.Master.View(cluster => cluster.Agents.Values.Single().Slot.Total.Checkpointed().ToString())}]");
    }

    private static async Task Accept(TestFramework framework, Operation operation, Resource? has = null) =>
        await framework.Accept([await Offer(framework, has ?? TestFramework.Scalar("cpus", 1))], 0, operation);

    // The newest offer is the one that is still valid.
    internal static async Task<Offer> Offer(TestFramework framework, Resource has)
    {
        bool Fits(Offer offer) => ResourceBag.Of(offer.Resources).Contains(ResourceBag.Of([has]));
        var known = framework.Events.Count;
        if (known > 0 && framework.Events.LastOrDefault(one => one.Type == EventType.Offers) is { } last && last.Offers.Offers_.LastOrDefault(Fits) is { } held && !framework.Taken.Contains(held.Id.Value))
        {
            framework.Taken.Add(held.Id.Value);
            return held;
        }

        var offer = await framework.Offer(one => Fits(one) && !framework.Taken.Contains(one.Id.Value));
        framework.Taken.Add(offer.Id.Value);
        return offer;
    }

    internal static async Task<OperationStatus> Status(TestFramework framework, string id, int count = 1)
    {
        bool Wanted(Event one) => one.Type == EventType.UpdateOperationStatus && one.UpdateOperationStatus.Status.OperationId.Value == id;
        await framework.Until(() => framework.Events.Count(Wanted) >= count, $"status {count} of {id}");
        return framework.Events.Where(Wanted).ElementAt(count - 1).UpdateOperationStatus.Status;
    }

    private static Operation Reserve(string id, params Resource[] resources) => Named(id, new() { Type = OperationType.Reserve, Reserve = new() { Resources = { resources } } });

    private static Operation Unreserve(string id, params Resource[] resources) => Named(id, new() { Type = OperationType.Unreserve, Unreserve = new() { Resources = { resources } } });

    private static Operation Create(string id, params Resource[] volumes) => Named(id, new() { Type = OperationType.Create, Create = new() { Volumes = { volumes } } });

    private static Operation Destroy(string id, params Resource[] volumes) => Named(id, new() { Type = OperationType.Destroy, Destroy = new() { Volumes = { volumes } } });

    private static Operation Named(string id, Operation operation)
    {
        if (id.Length > 0)
            operation.Id = new() { Value = id };
        return operation;
    }

    internal static Resource Reserved(string name, double value)
    {
        var resource = TestFramework.Scalar(name, value);
        resource.Reservations.Add(new Resource.Types.ReservationInfo { Type = Resource.Types.ReservationInfo.Types.Type.Dynamic, Role = "test" });
        return resource;
    }

    internal static Resource Volume(double megabytes)
    {
        var volume = Reserved("disk", megabytes);
        volume.Disk = new() { Persistence = new() { Id = "vol" }, Volume = new() { ContainerPath = "data", Mode = Declarative.Mesos.Protocol.Volume.Types.Mode.Rw } };
        return volume;
    }
}
