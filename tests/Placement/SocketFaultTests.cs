using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;
using Xunit;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;

namespace Declarative.Tests.Placement;

/// <summary>Each fault of a Mesos cluster once over real sockets: no task is lost, none is there twice, and placement goes on.</summary>
public class SocketFaultTests
{
    [Fact]
    public Task A_master_that_comes_back_has_the_same_framework_and_tasks() => SocketCluster.Run(async x =>
    {
        await x.CreatePod("old");
        var before = await x.Running("old");
        await x.StopMaster();
        await x.Counted("unsubscribed");
        await x.CreatePod("new");
        await x.StartMaster();
        await x.Counted("subscribed", 2);
        await x.Running("new");
        Assert.Equal(before.Task!.Id, (await x.Running("old")).Task!.Id);
        Assert.Equal(2, x.Tasks.Count);
        Assert.Single((await x.Api.List(new(Kind.Node))).Items);
    });

    [Fact]
    public Task An_agent_that_restarts_keeps_its_tasks() => SocketCluster.Run(async x =>
    {
        await x.CreatePod("old");
        var before = await x.Running("old");
        x.StopAgent(0);
        x.StartAgent(0);
        await x.CreatePod("new");
        await x.Running("new");
        var after = await x.Running("old");
        Assert.Equal((before.Task!.Id, 0), (after.Task!.Id, after.Status.ContainerStatuses[0].RestartCount));
        Assert.Equal(2, x.Tasks.Count);
    });

    [Fact]
    public Task An_agent_that_is_lost_leaves_its_pod_unknown_and_brings_it_back() => SocketCluster.Run(async x =>
    {
        await x.CreatePod("old");
        var before = await x.Running("old");
        x.StopAgent(0);
        await SocketCluster.Until(async () => await x.Find("old") is { IsReady: false }, "the pod is not ready any more");
        x.StartAgent(0);
        var after = await x.Running("old");
        Assert.Equal((before.Task!.Id, 0), (after.Task!.Id, after.Status.ContainerStatuses[0].RestartCount));
        Assert.Single(x.Tasks);
    });

    [Fact]
    public Task Another_placement_goes_on_as_the_same_framework() => SocketCluster.Run(async x =>
    {
        await x.CreatePod("old");
        var before = await x.Running("old");
        var framework = (await x.Api.Get(ResourceKey.Of(Kind.ConfigMap, "kube-system", "mesos-framework-declarative"))).Json.ToArray();
        await x.StopPlacement();
        await x.CreatePod("new");
        x.StartPlacement("second");
        await x.Running("new");
        Assert.Equal(before.Task!.Id, (await x.Running("old")).Task!.Id);
        Assert.Equal(ConfigMap.Read(framework).Data["frameworkId"], ConfigMap.Read((await x.Api.Get(ResourceKey.Of(Kind.ConfigMap, "kube-system", "mesos-framework-declarative"))).Json).Data["frameworkId"]);
        Assert.Equal(1, x.Placement.Counters["adopted"]);
        Assert.Equal(2, x.Tasks.Count);
    });

    [Fact]
    public Task Lost_acknowledgements_bring_updates_again_which_change_nothing() => SocketCluster.Run(async x =>
    {
        var (lost, updates) = (0, 0);
        x.Spy.Lose = call => call.Type is CallType.Acknowledge && Interlocked.Increment(ref lost) > 0;
        x.Spy.Drop = happened =>
        {
            if (happened.Type is EventType.Update) Interlocked.Increment(ref updates);
            return false;
        };
        await x.CreatePod("job", spec: ""","restartPolicy":"Never" """);
        await SocketCluster.Until(() => Task.FromResult(lost > 0), "an acknowledgement is lost");
        // The agent sends again what nobody has acknowledged.
        var seen = updates;
        x.Agents[0].Disconnect();
        await SocketCluster.Until(() => Task.FromResult(updates > seen), "the update comes again");
        x.Spy.Lose = static _ => false;
        x.Agents[0].Disconnect();
        var pod = await x.Running("job");
        x.Agents[0].Exit(pod.Task!.Id, 0);
        await SocketCluster.Until(async () => await x.Find("job") is { Status.Phase: "Succeeded" }, "the end is stored");
        await SocketCluster.Until(() => Task.FromResult(x.Tasks.Count == 0), "the agent may forget the task: its end is acknowledged");
        Assert.Equal(1, x.Placement.Counters["launches"]);
    });

    [Fact]
    public Task An_offer_that_is_rescinded_before_the_launch_is_not_accepted()
    {
        var (asked, gate) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        return SocketCluster.Run(async x =>
        {
            await x.CreatePod("web");
            await asked.Task;
            x.StopAgent(0);
            await x.Counted("rescinds");
            gate.TrySetResult();
            await x.Counted("intents");
            Assert.Equal(0, x.Placement.Counters["accepts"]);
            x.StartAgent(0);
            await x.Running("web");
            Assert.Single(x.Tasks);
            Assert.Equal(1, x.Placement.Counters["launches"]);
        }, wrap: api => new HeldBindings(api, asked, gate.Task));
    }

    [Fact]
    public Task An_agent_whose_maintenance_is_announced_is_left_within_the_budget() => SocketCluster.Run(async x =>
    {
        await x.CreatePod("stays", metadata: ""","labels":{"app":"kept"} """);
        var stays = await x.Running("stays");
        await x.Api.Create(ResourceKey.Of(Kind.PodDisruptionBudget, "default", "kept"), """{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"kept"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"kept"}}}}"""u8.ToArray());
        await x.CreatePod("goes", spec: ""","terminationGracePeriodSeconds":1 """);
        await x.Running("goes");
        await x.Operate($$"""{"type":"UPDATE_MAINTENANCE_SCHEDULE","update_maintenance_schedule":{"schedule":{"windows":[{"machine_ids":[{"hostname":"agent-0","ip":"127.0.0.1"}],"unavailability":{"start":{"nanoseconds":{{(DateTimeOffset.UtcNow.AddMinutes(10) - DateTimeOffset.UnixEpoch).Ticks * 100}}} } }]} } }""");
        await SocketCluster.Until(async () => await x.Find("goes") is null, "the pod without a budget is evicted and its task ended");
        // Nothing new goes there; another agent takes it.
        await x.CreatePod("next");
        x.AddAgent();
        Assert.Equal("agent-1", (await x.Running("next")).Spec.NodeName);
        Assert.Equal(stays.Task!.Id, (await x.Running("stays")).Task!.Id);
        Assert.True(x.Placement.Counters["inverse-offers"] > 0);
    });

    [Fact]
    public Task A_drained_agent_ends_its_tasks_and_gets_no_others() => SocketCluster.Run(async x =>
    {
        await x.CreatePod("web");
        await x.Running("web");
        await x.Operate($$$"""{"type":"DRAIN_AGENT","drain_agent":{"agent_id":{"value":"{{{x.Agents[0].Id}}}"} } }""");
        await SocketCluster.Until(async () => await x.Find("web") is null or { IsReady: false }, "the pod is not ready any more");
        await x.CreatePod("next");
        x.AddAgent();
        Assert.Equal("agent-1", (await x.Running("next")).Spec.NodeName);
        Assert.DoesNotContain(x.Agents[0].Tasks, y => y.State is TaskState.TaskRunning);
    });

    [Fact]
    public Task A_group_waits_for_room_for_all_and_a_cordoned_node_takes_nobody() => SocketCluster.Run(async x =>
    {
        const string Group = ""","labels":{"declarative.mesos/group":"trio"},"annotations":{"declarative.mesos/group-size":"3"} """;
        for (var i = 0; i < 3; i++) await x.CreatePod($"trio-{i}", metadata: Group);
        await SocketCluster.Until(async () => (await x.Find("trio-0"))!.Status.Conditions.Any(y => y.Message.Contains("of the 3 pods of group trio fit at once", StringComparison.Ordinal)), "two of three would fit");
        Assert.Empty(x.Tasks);
        x.AddAgent();
        for (var i = 0; i < 3; i++) await x.Running($"trio-{i}");

        await x.Change(Kind.Node, "", "agent-0", """{"spec":{"unschedulable":true}}""");
        await x.Change(Kind.Node, "", "agent-1", """{"spec":{"unschedulable":true}}""");
        await x.CreatePod("late", cpu: "500m");
        await SocketCluster.Until(async () => (await x.Find("late"))!.Status.Conditions.Any(y => y.Message.Contains("are cordoned", StringComparison.Ordinal)), "it is told that all are cordoned");
        await x.Change(Kind.Node, "", "agent-1", """{"spec":{"unschedulable":null}}""");
        Assert.Equal("agent-1", (await x.Running("late")).Spec.NodeName);
    });

    /// <summary>Bindings are kept back until the test lets them go.</summary>
    private sealed class HeldBindings(IApi inner, TaskCompletionSource asked, System.Threading.Tasks.Task gate) : IApi
    {
        public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => inner.Get(key, subresource, stop);

        public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => inner.List(request, stop);

        public IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, CancellationToken stop = default) => inner.Watch(request, stop);

        public async Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default)
        {
            if (options?.Subresource == "binding")
            {
                asked.TrySetResult();
                await gate.WaitAsync(stop);
            }
            return await inner.Create(key, json, options, stop);
        }

        public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => inner.Update(key, json, options, stop);

        public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => inner.Patch(key, kind, patch, options, stop);

        public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => inner.Delete(key, options, stop);
    }
}
