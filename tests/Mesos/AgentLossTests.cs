using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Xunit;
using Offer = Declarative.Mesos.Protocol.Offer;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Reason = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;

namespace Declarative.Tests.Mesos;

public sealed class AgentLossTests
{
    private static async Task<Offer> Launch(TestFramework framework, string task)
    {
        await framework.Subscribe();
        var offer = await framework.Offer();
        await framework.Accept([offer], 0, TestFramework.TaskOf(task, offer));
        await framework.Update(task, TaskState.TaskRunning);
        return await framework.Offer(count: 2);
    }

    [Fact]
    public async Task A_silent_agent_is_unreachable_after_75_seconds_and_may_come_back()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        var held = await Launch(framework, "t");
        var door = world.Door.Master;
        using var dead = new MiniMaster(new(), world.Time, new Random(9));
        dead.Dispose();
        world.Door.Master = dead;
        var start = world.Time.GetUtcNow();
        world.Agents[0].Disconnect();
        await world.Until(() => framework.Events.Any(one => one.Type == EventType.Rescind), "the offer taken back");
        Assert.Equal(held.Id, framework.Events.First(one => one.Type == EventType.Rescind).Rescind.OfferId);
        var lost = await framework.Update("t", TaskState.TaskUnreachable);
        Assert.InRange((world.Time.GetUtcNow() - start).TotalSeconds, 60, 91);
        Assert.Equal((Reason.AgentRemoved, "health check timed out"), (lost.Reason, lost.Message));
        Assert.NotNull(lost.UnreachableTime);
        await world.Until(() => framework.Events.Any(one => one.Type == EventType.Failure), "FAILURE");

        await framework.Reconcile(("t", held.AgentId.Value), ("t", null));
        await framework.Update("t", TaskState.TaskUnreachable, status => status.Reason == Reason.Reconciliation);
        await framework.Update("t", TaskState.TaskUnknown);

        world.Door.Master = door;
        var back = await framework.Update("t", TaskState.TaskRunning, status => status.Reason == Reason.AgentReregistered);
        Assert.False(back.HasUuid);
        var offer = await framework.Offer(count: 3);
        Assert.Equal((held.AgentId, 7.9), (offer.AgentId, offer.Resources.Single(one => one.Name == "cpus").Scalar.Value));
    }

    [Fact]
    public async Task The_id_of_an_unreachable_task_is_not_free()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await Launch(framework, "t");
        await world.StopAgents();
        await framework.Update("t", TaskState.TaskUnreachable);
        world.AddAgent(1);
        var elsewhere = await framework.Offer(offer => offer.Hostname == "agent-1");
        await framework.Accept([elsewhere], 0, TestFramework.TaskOf("t", elsewhere));
        var refused = await framework.Update("t", TaskState.TaskError);
        Assert.Equal("Task reuses the ID of an unreachable task: t", refused.Message);
    }

    [Fact]
    public async Task Tasks_without_checkpoint_are_lost_at_once()
    {
        await using var world = new MasterWorld();
        await using var framework = new TestFramework(world, world.Master.Client()) { Info = TestFramework.Describe(checkpoint: false) };
        await Launch(framework, "t");
        world.Agents[0].Disconnect();
        var lost = await framework.Update("t", TaskState.TaskLost);
        Assert.Equal((Reason.AgentDisconnected, "Agent agent-0 disconnected"), (lost.Reason, lost.Message));
    }

    [Fact]
    public async Task A_short_break_changes_nothing()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await Launch(framework, "t");
        world.Agents[0].Disconnect();
        var offer = await framework.Offer(count: 3);
        Assert.Equal(7.9, offer.Resources.Single(one => one.Name == "cpus").Scalar.Value);
        await framework.Reconcile();
        await framework.Update("t", TaskState.TaskRunning, status => status.Reason == Reason.Reconciliation);
        Assert.DoesNotContain(framework.Updates, status => status.State is TaskState.TaskLost or TaskState.TaskUnreachable);
    }

    [Fact]
    public async Task A_launch_that_the_agent_never_got_is_dropped()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await Launch(framework, "t");
        // The agent forgets its tasks but keeps its id: as if its launch had been lost on the way.
        world.Agents[0].LoseTasks();
        var dropped = await framework.Update("t", TaskState.TaskDropped);
        Assert.Equal(Reason.Reconciliation, dropped.Reason);
    }

    [Fact]
    public async Task After_a_restart_the_master_is_silent_until_the_agents_are_back()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        var held = await Launch(framework, "t");
        await world.Until(() => world.Saved is { Agents.Count: 1 }, "the registry");
        using var closed = new MiniMaster(new(), world.Time, new Random(9));
        closed.Dispose();
        world.RestartMaster();
        var back = world.Door.Master;
        world.Door.Master = closed;
        await using var again = world.Framework();
        again.Id = framework.Id;
        await again.Subscribe();
        Assert.Equal(framework.Id, again.Id);
        await again.Reconcile(("t", held.AgentId.Value), ("other", null), ("other", "unheard-of"));
        await again.Update("other", TaskState.TaskUnknown, status => status.AgentId?.Value == "unheard-of");
        Assert.Single(again.Updates);

        world.Door.Master = back;
        await again.Offer();
        await again.Reconcile(("t", held.AgentId.Value), ("other", null));
        await again.Update("t", TaskState.TaskRunning, status => status.Reason == Reason.Reconciliation);
        await again.Update("other", TaskState.TaskUnknown, count: 2);
        await again.Kill("t");
        await again.Update("t", TaskState.TaskKilled);
    }

    [Fact]
    public async Task A_task_that_ended_while_the_master_was_away_is_reported()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        await Launch(framework, "t");
        await world.Until(() => world.Saved is { Agents.Count: 1 }, "the registry");
        world.RestartMaster();
        Assert.True(world.Agents[0].Exit("t", 7));
        await using var again = world.Framework();
        again.Id = framework.Id;
        await again.Subscribe();
        var failed = await again.Update("t", TaskState.TaskFailed);
        Assert.Equal("Command exited with status 7", failed.Message);
        await world.Until(() => world.Agents[0].Tasks.Count == 0, "the acknowledgement at the agent");
        var whole = await again.Offer(offer => offer.Resources.Any(one => one.Name == "cpus" && one.Scalar.Value == 8));
        Assert.NotNull(whole);
    }
}
