using Declarative.Mesos.Protocol;
using Xunit;
using Capability = Declarative.Mesos.Protocol.FrameworkInfo.Types.Capability;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;

namespace Declarative.Tests.Mesos;

/// <summary>Volumes that several tasks use at the same time (Mesos' document "Shared Persistent Volumes").</summary>
public sealed class SharedVolumeTests
{
    [Fact]
    public async Task A_shared_volume_is_offered_while_tasks_use_it_and_destroyed_when_none_does()
    {
        await using var world = new MasterWorld();
        await using var framework = await Sharing(world);
        var volume = await Created(framework);

        // Several tasks of one offer, and one of a later offer.
        var first = await Offered(framework, volume);
        await framework.Accept([first], 0, With(volume, "a", first), With(volume, "b", first));
        await framework.Update("a", TaskState.TaskRunning);
        await framework.Update("b", TaskState.TaskRunning);
        var second = await Offered(framework, volume);
        await framework.Accept([second], 0, With(volume, "c", second));
        await framework.Update("c", TaskState.TaskRunning);

        await framework.Accept([await Offered(framework, volume)], 0, Destroy("early", volume));
        var refused = await OperationTests.Status(framework, "early");
        Assert.Equal((OperationState.OperationError, "Persistent volumes in use"), (refused.State, refused.Message));
        Assert.Equal(409, world.Master.Operate(desk => desk.Operations.Perform(first.AgentId.Value, Destroy("", volume))).Status);

        // One that is held meanwhile names what is gone then, and is taken back.
        var held = await Offered(framework, volume);
        foreach (var task in (string[])["a", "b", "c"])
        {
            await framework.Kill(task);
            await framework.Update(task, TaskState.TaskKilled);
        }
        await framework.Accept([await Offered(framework, volume)], 0, Destroy("late", volume));
        Assert.Equal(OperationState.OperationFinished, (await OperationTests.Status(framework, "late")).State);
        await framework.Until(() => framework.Events.Any(one => one.Type == EventType.Rescind && one.Rescind.OfferId.Equals(held.Id)), "the held offer is taken back");
        await framework.Accept([await Offered(framework, OperationTests.Reserved("disk", 64))], 0, new Operation { Type = Operation.Types.Type.Unreserve, Unreserve = new() { Resources = { OperationTests.Reserved("disk", 64) } } });
        await framework.Offer(one => one.Resources.All(resource => resource.Reservations.Count == 0) && one.Resources.Any(resource => resource is { Name: "disk", Scalar.Value: 10240 }));
    }

    [Fact]
    public async Task An_operator_destroys_what_no_task_uses_and_offers_that_name_it_are_taken_back()
    {
        await using var world = new MasterWorld();
        await using var framework = await Sharing(world);
        var volume = await Created(framework);
        var held = await Offered(framework, volume);
        Assert.True(world.Master.Operate(desk => desk.Operations.Perform(held.AgentId.Value, Destroy("", volume))).IsTaken);
        await framework.Until(() => framework.Events.Any(one => one.Type == EventType.Rescind && one.Rescind.OfferId.Equals(held.Id)), "the held offer is taken back");
        await Offered(framework, OperationTests.Reserved("disk", 64));
        Assert.DoesNotContain(world.Master.View(cluster => cluster.Agents.Values.Single().Slot.Total.ToProtocol().ToList()), one => one.Disk?.Persistence is not null);
    }

    [Fact]
    public async Task A_framework_that_has_not_said_that_it_can_share_neither_makes_nor_sees_one()
    {
        await using var world = new MasterWorld();
        await using var framework = await Sharing(world);
        var volume = await Created(framework);
        await framework.Disconnect();
        await using var other = world.Framework();
        await other.Subscribe();
        var offer = await other.Offer(one => one.Resources.Any(resource => resource.Name == "mem"));
        Assert.DoesNotContain(offer.Resources, one => one.Shared is not null);
        var reserve = OperationTests.Reserved("disk", 32);
        await other.Accept([offer], 0, new Operation { Type = Operation.Types.Type.Reserve, Id = new() { Value = "r" }, Reserve = new() { Resources = { reserve } } });
        var own = volume.Clone();
        own.Scalar.Value = 32;
        own.Disk.Persistence.Id = "another";
        await other.Accept([await Offered(other, reserve)], 0, new Operation { Type = Operation.Types.Type.Create, Id = new() { Value = "no" }, Create = new() { Volumes = { own } } });
        var refused = await OperationTests.Status(other, "no");
        Assert.Equal(OperationState.OperationError, refused.State);
        Assert.Contains("SHARED_RESOURCES", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tasks_that_share_a_volume_are_known_again_after_a_restart_of_the_master()
    {
        await using var world = new MasterWorld();
        await using var framework = await Sharing(world);
        var volume = await Created(framework);
        var offer = await Offered(framework, volume);
        await framework.Accept([offer], 0, With(volume, "a", offer), With(volume, "b", offer));
        await framework.Update("a", TaskState.TaskRunning);
        await framework.Update("b", TaskState.TaskRunning);
        world.RestartMaster();
        world.Agents[0].Disconnect();
        await using var again = await Sharing(world, framework.Id);
        var seen = await Offered(again, volume);
        await again.Accept([seen], 0, Destroy("d", volume));
        Assert.Equal("Persistent volumes in use", (await OperationTests.Status(again, "d")).Message);
        Assert.Equal(2, world.Master.View(cluster => cluster.Agents.Values.Single().Tasks.Values.Count(task => task.HoldsResources)));
    }

    private static async Task<TestFramework> Sharing(MasterWorld world, FrameworkID? id = null)
    {
        var framework = world.Framework();
        framework.Info.Capabilities.Add(new Capability { Type = Capability.Types.Type.SharedResources });
        if (id is not null)
            framework.Id = framework.Info.Id = id;
        await framework.Subscribe();
        return framework;
    }

    private static async Task<Resource> Created(TestFramework framework)
    {
        var volume = OperationTests.Volume(64);
        volume.Shared = new();
        var offer = await framework.Offer(one => one.Resources.Any(resource => resource.Name == "disk"));
        framework.Taken.Add(offer.Id.Value);
        await framework.Accept([offer], 0, new Operation { Type = Operation.Types.Type.Reserve, Reserve = new() { Resources = { OperationTests.Reserved("disk", 64) } } });
        await framework.Accept([await Offered(framework, OperationTests.Reserved("disk", 64))], 0, new Operation { Type = Operation.Types.Type.Create, Id = new() { Value = "c" }, Create = new() { Volumes = { volume } } });
        Assert.Equal(OperationState.OperationFinished, (await OperationTests.Status(framework, "c")).State);
        return volume;
    }

    private static Task<Offer> Offered(TestFramework framework, Resource has) => OperationTests.Offer(framework, has);

    private static TaskInfo With(Resource volume, string id, Offer offer)
    {
        var task = TestFramework.TaskOf(id, offer);
        task.Resources.Add(volume);
        return task;
    }

    private static Operation Destroy(string id, Resource volume)
    {
        var operation = new Operation { Type = Operation.Types.Type.Destroy, Destroy = new() { Volumes = { volume } } };
        if (id.Length > 0)
            operation.Id = new() { Value = id };
        return operation;
    }
}
