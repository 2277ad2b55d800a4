using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MaintenanceApi;
using Declarative.Mesos.Protocol.QuotaApi;
using Xunit;
using Answered = Declarative.Mesos.Protocol.AllocatorApi.InverseOfferStatus.Types.Status;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using TaskStatus = Declarative.Mesos.Protocol.TaskStatus;
using Value = Declarative.Mesos.Protocol.Value;

namespace Declarative.Tests.Mesos;

/// <summary>What operators do to agents and machines: drain, deactivate, mark gone, maintain; and to roles: quota.</summary>
public sealed class MaintenanceTests
{
    private static readonly MachineID Machine = new() { Hostname = "agent-0" };

    [Fact]
    public async Task A_drained_agent_kills_its_tasks_is_offered_to_nobody_and_comes_back_when_it_is_reactivated()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        var agent = await Running(framework, "t");
        Assert.Equal("Unknown agent", world.Master.Operate(desk => desk.Drains.Drain("no", new())).Text);
        Assert.True(world.Master.Operate(desk => desk.Drains.Drain(agent, new())).IsTaken);
        Assert.False(world.Master.Operate(desk => desk.Drains.Reactivate(agent)).IsTaken);
        Assert.Equal(TaskStatus.Types.Reason.AgentDraining, (await framework.Update("t", TaskState.TaskKilled)).Reason);
        await world.Until(() => View(world, agent).DrainInfo?.State == DrainState.Drained, "DRAINED");
        Assert.Equal((false, true), (View(world, agent).Active, View(world, agent).Deactivated));
        // The registry keeps it.
        world.RestartMaster();
        world.Agents[0].Disconnect();
        await world.Until(() => world.Master.View(cluster => cluster.Agents.Count) == 1, "the agent");
        Assert.Equal(DrainState.Drained, View(world, agent).DrainInfo.State);
        await using var later = world.Framework();
        await later.Subscribe();
        Assert.Empty(later.Offers);
        Assert.True(world.Master.Operate(desk => desk.Drains.Reactivate(agent)).IsTaken);
        await later.Offer();
    }

    [Fact]
    public async Task A_drain_that_marks_gone_ends_with_an_agent_that_is_not_let_in_again()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        var agent = await Running(framework, "t");
        world.Master.Operate(desk => desk.Drains.Drain(agent, new() { MarkGone = true }));
        await world.Until(() => world.Master.View(cluster => cluster.GoneAgents.ContainsKey(agent)), "gone");
        await framework.Reconcile(("x", agent));
        Assert.Equal("Reconciliation: Task is gone", (await framework.Update("x", TaskState.TaskGoneByOperator)).Message);
        Assert.Null(world.Agents[0].Id);
    }

    [Fact]
    public async Task An_agent_marked_gone_loses_its_tasks_at_once()
    {
        await using var world = new MasterWorld();
        await using var framework = world.Framework();
        var agent = await Running(framework, "t");
        Assert.Equal((404, "Agent 'no' not found"), Both(world.Master.Operate(desk => desk.MarkGone(new() { Value = "no" }))));
        Assert.True(world.Master.Operate(desk => desk.MarkGone(new() { Value = agent })).IsTaken);
        var status = await framework.Update("t", TaskState.TaskGoneByOperator);
        Assert.Equal((TaskStatus.Types.Reason.AgentRemovedByOperator, "Agent has been marked gone", false), (status.Reason, status.Message, status.HasUuid));
    }

    [Fact]
    public async Task Maintenance_is_announced_asked_for_and_done()
    {
        await using var world = new MasterWorld(agents: 2);
        await using var framework = world.Framework();
        var agent = await Running(framework, "t", "agent-0");
        var window = new Window { MachineIds = { Machine }, Unavailability = new() { Start = new() { Nanoseconds = 1 } } };
        Assert.False(world.Master.Operate(desk => desk.Maintenance.Start([Machine])).IsTaken);
        Assert.True(world.Master.Operate(desk => desk.Maintenance.Update(new() { Windows = { window } })).IsTaken);
        Assert.False(world.Master.Operate(desk => desk.Maintenance.Update(new() { Windows = { window, window } })).IsTaken);
        await framework.Offer(offer => offer.AgentId.Value == agent && offer.Unavailability is not null);
        Assert.DoesNotContain(framework.Offers, offer => offer.AgentId.Value != agent && offer.Unavailability is not null);
        await world.Until(() => framework.Events.Any(one => one.Type == EventType.InverseOffers), "INVERSE_OFFERS");
        var asked = Assert.Single(framework.Events.Single(one => one.Type == EventType.InverseOffers).InverseOffers.InverseOffers_);
        Assert.Equal(agent, asked.AgentId.Value);
        await framework.Send(CallType.DeclineInverseOffers, call => call.DeclineInverseOffers = new() { InverseOfferIds = { asked.Id } });
        var machine = Assert.Single(world.Master.ViewOperator(desk => desk.Maintenance.Status()).DrainingMachines);
        Assert.Equal(Answered.Decline, Assert.Single(machine.Statuses).Status);
        // Asked again when the refusal is over.
        await world.Until(() => framework.Events.Count(one => one.Type == EventType.InverseOffers) == 2, "INVERSE_OFFERS again");
        world.RestartMaster();
        world.Agents[0].Disconnect();
        await world.Until(() => world.Master.View(cluster => cluster.Agents.ContainsKey(agent)), "the agent");
        Assert.True(world.Master.Operate(desk => desk.Maintenance.Start([Machine])).IsTaken);
        Assert.Equal([Machine], world.Master.ViewOperator(desk => desk.Maintenance.Status()).DownMachines);
        Assert.False(world.Master.View(cluster => cluster.Agents.ContainsKey(agent)));
        Assert.True(world.Master.Operate(desk => desk.Maintenance.Stop([Machine])).IsTaken);
        Assert.Empty(world.Master.ViewOperator(desk => desk.Maintenance.Schedule).Windows);
    }

    [Fact]
    public async Task A_limit_is_never_passed_and_a_guarantee_is_kept_back_for_its_role()
    {
        await using var world = new MasterWorld(agents: 2);
        Assert.False(world.Master.Operate(desk => desk.UpdateQuota([Quota("a/b", limit: 1)], force: true)).IsTaken);
        Assert.False(world.Master.Operate(desk => desk.UpdateQuota([Quota("a", limit: 1, guarantee: 2)], force: true)).IsTaken);
        Assert.False(world.Master.Operate(desk => desk.UpdateQuota([Quota("a", guarantee: 99)], force: false)).IsTaken);
        Assert.True(world.Master.Operate(desk => desk.UpdateQuota([Quota("a", limit: 3), Quota("b", guarantee: 12)], force: true)).IsTaken);
        world.RestartMaster();
        await world.Until(() => world.Master.View(cluster => cluster.Agents.Count) == 2, "the agents");
        await using var greedy = new TestFramework(world, world.Master.Client()) { Info = TestFramework.Describe(role: "c") };
        await greedy.Subscribe();
        await greedy.Offer();
        Assert.Equal(4, Cpus(greedy));
        await using var limited = new TestFramework(world, world.Master.Client()) { Info = TestFramework.Describe(role: "a/x") };
        await limited.Subscribe();
        await using var guaranteed = new TestFramework(world, world.Master.Client()) { Info = TestFramework.Describe(role: "b") };
        await guaranteed.Subscribe();
        await guaranteed.Offer();
        Assert.Equal(12, Cpus(guaranteed));
        foreach (var offer in guaranteed.Offers.ToList())
            await guaranteed.Decline(offer, 3600);
        // What the role does not want now stays its own.
        world.Time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal((4, 0), (Cpus(greedy), Cpus(limited)));
        Assert.True(world.Master.Operate(desk => desk.UpdateQuota([Quota("b")], force: false)).IsTaken);
        await limited.Send(CallType.Revive);
        await world.Until(() => Cpus(limited) > 0, "a limited offer");
        Assert.True(Cpus(limited) <= 3);
        Assert.Contains(world.Master.View(OperatorViews.Quota).Status.Configs, config => config.Role == "a" && config.Limits["cpus"].Value == 3);
    }

    private static double Cpus(TestFramework framework)
    {
        var gone = framework.Events.Where(one => one.Type == EventType.Rescind).Select(one => one.Rescind.OfferId.Value).ToHashSet();
        return framework.Offers.Where(offer => !gone.Contains(offer.Id.Value)).SelectMany(offer => offer.Resources).Where(one => one.Name == "cpus").Sum(one => one.Scalar.Value);
    }

    private static QuotaConfig Quota(string role, double? limit = null, double? guarantee = null)
    {
        var config = new QuotaConfig { Role = role };
        if (limit is { } most)
            config.Limits["cpus"] = new Value.Types.Scalar { Value = most };
        if (guarantee is { } least)
            config.Guarantees["cpus"] = new Value.Types.Scalar { Value = least };
        return config;
    }

    private static (int, string) Both(CallOutcome outcome) => (outcome.Status, outcome.Text);

    private static Declarative.Mesos.Protocol.MasterApi.Response.Types.GetAgents.Types.Agent View(MasterWorld world, string agent) =>
        world.Master.View(OperatorViews.Agents).Agents.Single(one => one.AgentInfo.Id.Value == agent);

    private static async Task<string> Running(TestFramework framework, string task, string? on = null)
    {
        await framework.Subscribe();
        var offer = await framework.Offer(one => on is null || one.Hostname == on);
        await framework.Accept([offer], 0, TestFramework.TaskOf(task, offer));
        await framework.Update(task, TaskState.TaskRunning);
        return offer.AgentId.Value;
    }
}
