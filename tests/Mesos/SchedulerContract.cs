using Declarative.Mesos.Protocol;
using Declarative.Mesos.Scheduler;
using Xunit;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using Reason = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;

namespace Declarative.Tests.Mesos;

/// <summary>What every way to a master must do, as recorded from a real one.</summary>
public abstract class SchedulerContract : IAsyncDisposable
{
    internal abstract Task<IMaster> Client(MasterWorld world);

    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task<TestFramework> Framework(MasterWorld world, FrameworkInfo? info = null) =>
        new(world, await Client(world)) { Info = info ?? TestFramework.Describe() };

    [Fact]
    public async Task Subscribes_beats_and_offers()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        await framework.Subscribe();
        var offer = await framework.Offer();
        Assert.Equal([EventType.Subscribed, EventType.Heartbeat, EventType.Offers], framework.Events.Take(3).Select(one => one.Type));
        var subscribed = framework.Events[0].Subscribed;
        Assert.Equal(15, subscribed.HeartbeatIntervalSeconds);
        Assert.Equal("1.11.0", subscribed.MasterInfo.Version);
        Assert.Equal(16777343u, subscribed.MasterInfo.Ip);
        Assert.Equal($"{world.Master.Id}-0000", subscribed.FrameworkId.Value);
        Assert.Equal($"{world.Master.Id}-S0", offer.AgentId.Value);
        Assert.Equal("test", offer.AllocationInfo.Role);
        Assert.Equal(["ports", "cpus", "mem", "disk"], offer.Resources.Select(one => one.Name));
        Assert.All(offer.Resources, one => Assert.Equal("test", one.AllocationInfo.Role));
        await world.Until(() => framework.Events.Count(one => one.Type == EventType.Heartbeat) == 3, "two more beats", 1);
    }

    [Fact]
    public async Task Launches_and_kills()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        await framework.Subscribe();
        var offer = await framework.Offer();
        await framework.Accept([offer], 0, TestFramework.TaskOf("t1", offer), TestFramework.TaskOf("t2", offer));
        await framework.Update("t1", TaskState.TaskRunning);
        await framework.Update("t2", TaskState.TaskRunning);
        var rest = await framework.Offer(count: 2);
        Assert.Equal(7.8, rest.Resources.Single(one => one.Name == "cpus").Scalar.Value);
        await framework.Kill("t1");
        await framework.Update("t1", TaskState.TaskKilled);
        Assert.Equal(
            [TaskState.TaskStarting, TaskState.TaskRunning, TaskState.TaskKilling, TaskState.TaskKilled],
            framework.Updates.Where(one => one.TaskId.Value == "t1").Select(one => one.State)
        );
        // What the killed task had comes as a fragment beside the offer that is still held.
        var fragment = await framework.Offer(count: 3);
        Assert.Equal(0.1, fragment.Resources.Single(one => one.Name == "cpus").Scalar.Value);
        await framework.Accept([rest, fragment], 0, TestFramework.TaskOf("t3", offer, cpus: 7.9));
        await framework.Update("t3", TaskState.TaskRunning);
    }

    [Fact]
    public async Task Task_groups_live_and_die_together()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        await framework.Subscribe();
        var offer = await framework.Offer();
        var group = new Operation.Types.LaunchGroup
        {
            Executor = new()
            {
                ExecutorId = new() { Value = "pod" },
                Type = ExecutorInfo.Types.Type.Default,
                Resources = { TestFramework.Scalar("cpus", 0.1), TestFramework.Scalar("mem", 32), TestFramework.Scalar("disk", 16) },
            },
            TaskGroup = new() { Tasks = { TestFramework.TaskOf("a", offer), TestFramework.TaskOf("b", offer) } },
        };
        await framework.Accept([offer], 0, new Operation { Type = Operation.Types.Type.LaunchGroup, LaunchGroup = group });
        var running = await framework.Update("a", TaskState.TaskRunning);
        Assert.Equal("pod", running.ExecutorId.Value);
        Assert.NotNull(running.ContainerStatus.ContainerId.Parent);
        await framework.Update("b", TaskState.TaskRunning);
        var rest = await framework.Offer(count: 2);
        Assert.Equal("pod", Assert.Single(rest.ExecutorIds).Value);
        Assert.Equal(7.7, rest.Resources.Single(one => one.Name == "cpus").Scalar.Value);
        Assert.True(world.Agents[0].Exit("a", 1));
        await framework.Update("a", TaskState.TaskFailed);
        await framework.Update("b", TaskState.TaskKilled);
        await world.Until(() => framework.Events.Any(one => one.Type == EventType.Failure), "the executor's end");
        var failure = framework.Events.First(one => one.Type == EventType.Failure).Failure;
        Assert.Equal(("pod", 0), (failure.ExecutorId.Value, failure.Status));

        // Without disk a default executor is refused, and every task of the group with it.
        var bad = group.Clone();
        bad.Executor.Resources.RemoveAt(2);
        bad.Executor.ExecutorId.Value = "pod-2";
        bad.TaskGroup.Tasks[0].TaskId.Value = "a2";
        bad.TaskGroup.Tasks[1].TaskId.Value = "b2";
        await framework.Accept([rest], 0, new Operation { Type = Operation.Types.Type.LaunchGroup, LaunchGroup = bad });
        Assert.Equal(Reason.TaskGroupInvalid, (await framework.Update("a2", TaskState.TaskError)).Reason);
        await framework.Update("b2", TaskState.TaskError);
    }

    [Fact]
    public async Task Refused_offers_come_again_when_the_filter_ends()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        await framework.Subscribe();
        var offer = await framework.Offer();
        var start = world.Time.GetUtcNow();
        await framework.Decline(offer, 3);
        var again = await framework.Offer(count: 2);
        Assert.InRange((world.Time.GetUtcNow() - start).TotalSeconds, 3, 4.5);
        await framework.Decline(again, 3600);
        world.Time.Advance(TimeSpan.FromSeconds(20));
        await framework.Send(CallType.Revive);
        var revived = await framework.Offer(count: 3);
        await framework.Send(CallType.Suppress);
        await framework.Decline(revived, 0);
        world.Time.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(3, framework.Offers.Count());
        await framework.Send(CallType.Revive, call => call.Revive = new() { Roles = { "test" } });
        await framework.Offer(count: 4);
    }

    [Fact]
    public async Task Suppressed_roles_get_nothing_until_revive()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        await framework.Subscribe("test");
        await world.Until(() => world.Agents[0].IsConnected, "the agent");
        world.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Empty(framework.Offers);
        await framework.Send(CallType.Revive);
        await framework.Offer();
    }

    [Fact]
    public async Task Bad_offers_and_bad_tasks_are_answered_by_updates()
    {
        await using var world = new MasterWorld(agents: 2);
        await using var framework = await Framework(world);
        await framework.Subscribe();
        var one = await framework.Offer();
        var two = await framework.Offer(count: 2);
        await framework.Accept([one], 0, TestFramework.TaskOf("big", one, cpus: 1000), TestFramework.TaskOf("good", one));
        var big = await framework.Update("big", TaskState.TaskError);
        Assert.Equal(Reason.TaskInvalid, big.Reason);
        Assert.StartsWith("Total resources cpus(allocated: test):1000; mem(allocated: test):32 required by task", big.Message, StringComparison.Ordinal);
        Assert.False(big.HasUuid);
        await framework.Update("good", TaskState.TaskRunning);

        await framework.Accept([one], 0, TestFramework.TaskOf("stale", one));
        var stale = await framework.Update("stale", TaskState.TaskDropped);
        Assert.Equal(Reason.InvalidOffers, stale.Reason);
        Assert.Equal($"Task launched with invalid offers: Offer {one.Id.Value} is no longer valid", stale.Message);

        var rest = await framework.Offer(offer => offer.AgentId.Equals(one.AgentId), 2);
        await framework.Accept([rest, two], 0, TestFramework.TaskOf("both", one));
        Assert.Contains("must belong to one single agent", (await framework.Update("both", TaskState.TaskDropped)).Message, StringComparison.Ordinal);

        rest = await framework.Offer(offer => offer.AgentId.Equals(one.AgentId), 3);
        await framework.Accept([rest], 0, TestFramework.TaskOf("good", one));
        var twice = await framework.Update("good", TaskState.TaskError);
        Assert.Equal("Task has duplicate ID: good", twice.Message);
        Assert.Equal(TaskState.TaskRunning, world.Agents.SelectMany(agent => agent.Tasks).Single(task => task.Id == "good").State);
    }

    [Fact]
    public async Task Reconciliation_tells_what_is_known()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        await framework.Subscribe();
        var offer = await framework.Offer();
        var agent = offer.AgentId.Value;
        await framework.Accept([offer], 0, TestFramework.TaskOf("t", offer));
        await framework.Update("t", TaskState.TaskRunning);
        static bool Answer(Declarative.Mesos.Protocol.TaskStatus status) => status.Reason == Reason.Reconciliation;
        await framework.Reconcile(("t", agent), ("t", null), ("no", null), ("no", agent), ("no", "other"));
        await framework.Update("t", TaskState.TaskRunning, Answer, 2);
        Assert.Equal("Reconciliation: Task is unknown", (await framework.Update("no", TaskState.TaskUnknown, Answer, 2)).Message);
        Assert.Equal("Reconciliation: Task is unknown to the agent", (await framework.Update("no", TaskState.TaskGone, Answer)).Message);
        await framework.Reconcile();
        await framework.Update("t", TaskState.TaskRunning, Answer, 3);
        await framework.Kill("no");
        await framework.Update("no", TaskState.TaskUnknown, Answer, 3);
    }

    [Fact]
    public async Task Unacknowledged_updates_come_again_in_order()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        framework.AcknowledgeAll = false;
        await framework.Subscribe();
        var offer = await framework.Offer();
        await framework.Accept([offer], 0, TestFramework.TaskOf("t", offer));
        var first = await framework.Update("t", TaskState.TaskStarting);
        var again = await framework.Update("t", TaskState.TaskStarting, count: 2);
        Assert.Equal(first.Uuid, again.Uuid);
        Assert.DoesNotContain(framework.Updates, status => status.State == TaskState.TaskRunning);
        await framework.Acknowledge(again);
        await framework.Update("t", TaskState.TaskRunning);
    }

    [Fact]
    public async Task A_framework_comes_back_with_its_id()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        framework.AcknowledgeAll = false;
        await framework.Subscribe();
        var offer = await framework.Offer();
        await framework.Accept([offer], 0, TestFramework.TaskOf("t", offer));
        await framework.Update("t", TaskState.TaskStarting);
        var id = framework.Id!.Value;
        await framework.Disconnect();
        framework.AcknowledgeAll = true;
        await framework.Subscribe();
        Assert.Equal(id, framework.Id.Value);
        await framework.Update("t", TaskState.TaskStarting, count: 2);
        await framework.Update("t", TaskState.TaskRunning);
    }

    [Fact]
    public async Task A_second_subscription_takes_over()
    {
        await using var world = new MasterWorld();
        await using var old = await Framework(world);
        await old.Subscribe();
        await using var young = await Framework(world);
        young.Id = old.Id;
        await young.Subscribe();
        await world.Until(() => old.Ended, "the old stream's end");
        Assert.Equal("Framework failed over", old.Events[^1].Error.Message);
        await Assert.ThrowsAsync<CallRefused>(() => old.Send(CallType.Revive));
        await young.Offer();
    }

    [Fact]
    public async Task Teardown_kills_and_closes_the_id_for_good()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        await framework.Subscribe();
        var offer = await framework.Offer();
        await framework.Accept([offer], 0, TestFramework.TaskOf("t", offer));
        await framework.Update("t", TaskState.TaskRunning);
        await framework.Send(CallType.Teardown);
        await world.Until(() => framework.Ended && world.Agents[0].Tasks.Count == 0, "the end of the stream and of the task");
        var refused = await Assert.ThrowsAsync<CallRefused>(() => framework.Send(CallType.Revive));
        Assert.Equal((400, "Framework cannot be found"), (refused.Status, refused.Text));
        await framework.Subscribe();
        Assert.Equal("Framework has been removed", framework.Events[^1].Error.Message);
    }

    [Fact]
    public async Task A_subscription_that_is_wrong_gets_an_error_event()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world, TestFramework.Describe(role: "a b/.."));
        await framework.Subscribe();
        await world.Until(() => framework.Ended, "the end of the stream");
        Assert.Equal(
            "'FrameworkInfo.roles' contains invalid role: Role component 'a b' is invalid because it contains backspace or whitespace",
            Assert.Single(framework.Events).Error.Message
        );
    }

    [Fact]
    public async Task Without_failover_timeout_a_lost_framework_is_removed()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world, TestFramework.Describe(failoverTimeout: 0));
        await framework.Subscribe();
        var offer = await framework.Offer();
        await framework.Accept([offer], 0, TestFramework.TaskOf("t", offer));
        await framework.Update("t", TaskState.TaskRunning);
        await framework.Disconnect();
        await world.Until(() => world.Agents[0].Tasks.Count == 0, "the task's end");
        await framework.Subscribe();
        Assert.Equal("Framework has been removed", framework.Events[^1].Error.Message);
    }

    [Fact]
    public async Task A_master_that_ends_is_noticed()
    {
        await using var world = new MasterWorld();
        await using var framework = await Framework(world);
        await framework.Subscribe();
        world.Master.Dispose();
        await world.Until(() => framework.Lost is not null, "the loss");
        Assert.IsType<MasterUnavailable>(framework.Lost);
        await Assert.ThrowsAsync<MasterUnavailable>(() => framework.Send(CallType.Revive));
    }
}
