using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Controllers.Placement;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Sim;
using Xunit;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;

namespace Declarative.Tests.Placement;

/// <summary>Placement from end to end in the simulated world: API server, embedded master, emulated agents.</summary>
public class PlacementTests
{
    [Fact]
    public void A_pod_runs_on_an_agent_and_its_status_says_so() => Cluster.Run(async x =>
    {
        await x.CreatePod("web", ""","ports":[{"name":"http","containerPort":8080}]""");
        var pod = await x.WaitRunning("web");
        Assert.Equal("agent-0", pod.Spec.NodeName);
        Assert.Equal($"{pod.Uid}.0", pod.Task!.Id);
        Assert.InRange(pod.Task.HostPort("web", 8080), 31000, 32000);
        Assert.StartsWith("mesos://", pod.Status.ContainerStatuses[0].ContainerID, StringComparison.Ordinal);
        Assert.Equal(1, x.LiveTasks(pod.Uid));
        await x.WaitUntil(() => Task.FromResult(x.Spy.Log.Contains("SUPPRESS")), "SUPPRESS when nothing waits");
        await x.WaitUntil(() => Task.FromResult(x.Spy.Log.Count(y => y.StartsWith("ACKNOWLEDGE", StringComparison.Ordinal)) >= 2), "both updates acknowledged");
    });

    [Fact]
    public void An_accept_is_sent_only_after_the_intent_and_the_identity_are_stored() => Cluster.Run(async x =>
    {
        var violations = new List<string>();
        x.Spy.Before = call =>
        {
            if (call.Type is not Call.Types.Type.Accept) return;
            foreach (var task in call.Accept.Operations.SelectMany(y => y.Launch.TaskInfos))
            {
                var stored = x.Api.List(new(Kind.Pod)).Result.Items.Select(y => Pod.Read(y.Json)).FirstOrDefault(y => y.Task?.Id == task.TaskId.Value);
                if (stored is null) violations.Add($"no intent of {task.TaskId.Value}");
            }
            var identity = ConfigMap.Read(x.Api.Get(ResourceKey.Of(Kind.ConfigMap, "kube-system", "mesos-framework-declarative")).Result.Json);
            if (identity.Data["frameworkId"] != call.FrameworkId.Value) violations.Add("no identity");
        };
        for (var i = 0; i < 20; i++) await x.CreatePod($"web-{i}");
        for (var i = 0; i < 20; i++) await x.WaitRunning($"web-{i}");
        Assert.Empty(violations);
    }, agents: 3);

    [Fact]
    public void A_task_that_dies_is_started_again_at_once_and_then_with_growing_delays() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        var begin = x.World.Elapsed;
        x.Agents[0].Exit($"{pod.Uid}.0", 137);
        pod = await x.WaitRunning("web", attempt: 1);
        Assert.InRange((x.World.Elapsed - begin).TotalSeconds, 0, 2);
        Assert.Equal(137, pod.Status.ContainerStatuses[0].LastState.Terminated!.ExitCode);
        Assert.Equal("Error", pod.Status.ContainerStatuses[0].LastState.Terminated!.Reason);

        begin = x.World.Elapsed;
        x.Agents[0].Exit($"{pod.Uid}.1", 1);
        pod = await x.WaitPod("web", y => y.Status.ContainerStatuses[0].State.Waiting?.Reason == "CrashLoopBackOff");
        Assert.Contains("back-off 10s", pod.Status.ContainerStatuses[0].State.Waiting!.Message, StringComparison.Ordinal);
        Assert.Equal("Running", pod.Status.Phase);
        Assert.False(pod.IsReady);
        await x.WaitRunning("web", attempt: 2);
        Assert.InRange((x.World.Elapsed - begin).TotalSeconds, 10, 12);

        begin = x.World.Elapsed;
        x.Agents[0].Exit($"{pod.Uid}.2", 1);
        await x.WaitRunning("web", attempt: 3);
        Assert.InRange((x.World.Elapsed - begin).TotalSeconds, 20, 22);
    });

    [Theory]
    [InlineData("Never", 0, "Succeeded")]
    [InlineData("Never", 3, "Failed")]
    [InlineData("OnFailure", 0, "Succeeded")]
    public void A_pod_that_is_not_restarted_ends(string policy, int exit, string phase) => Cluster.Run(async x =>
    {
        await x.CreatePod("job", spec: $""","restartPolicy":"{policy}" """);
        var pod = await x.WaitRunning("job");
        x.Agents[0].Exit($"{pod.Uid}.0", exit);
        pod = await x.WaitPod("job", y => y.Status.Phase == phase);
        Assert.Equal(exit, pod.Status.ContainerStatuses[0].State.Terminated!.ExitCode);
        Assert.False(pod.IsReady);
        await x.Sleep(30);
        Assert.Equal(0, x.LiveTasks(pod.Uid));
    });

    [Fact]
    public void A_deleted_pod_is_killed_once_with_its_grace_and_then_removed() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "web"));
        await x.WaitUntil(async () => !await x.Exists("web"), "the pod is removed");
        // Nobody balances or resolves here: nothing is waited for, the process gets the whole period.
        var kill = Assert.Single(x.Spy.Log, y => y.StartsWith("KILL", StringComparison.Ordinal));
        Assert.StartsWith($"KILL {pod.Uid}.0 ", kill, StringComparison.Ordinal);
        Assert.InRange(double.Parse(kill.Split(' ')[2], null), 28, 30);
        Assert.Equal(0, x.LiveTasks(pod.Uid));
    });

    [Fact]
    public void A_pod_removed_by_force_leaves_no_task() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "web"), new() { GracePeriodSeconds = 0 });
        await x.WaitUntil(() => Task.FromResult(x.LiveTasks(pod.Uid) == 0), "the task ends");
        Assert.False(await x.Exists("web"));
    });

    [Fact]
    public void Running_tasks_are_adopted_by_the_next_Placement() => Cluster.Run(async x =>
    {
        for (var i = 0; i < 5; i++) await x.CreatePod($"web-{i}");
        for (var i = 0; i < 5; i++) await x.WaitRunning($"web-{i}");
        await x.KillPlacement();
        await x.CreatePod("late");
        await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "web-4"));
        x.StartPlacement();
        await x.WaitRunning("late");
        await x.WaitUntil(async () => !await x.Exists("web-4"), "a pod deleted meanwhile is removed");
        await x.Sleep(60);
        for (var i = 0; i < 4; i++)
        {
            var pod = await x.GetPod($"web-{i}");
            Assert.Equal("Running", pod.Status.Phase);
            Assert.Equal($"{pod.Uid}.0", pod.Task!.Id);
            Assert.Equal(1, x.LiveTasks(pod.Uid));
        }
        Assert.Single(x.Spy.Log.Where(y => y.StartsWith("SUBSCRIBE ", StringComparison.Ordinal)).Skip(1));
        Assert.Contains(x.Spy.Log, y => y.StartsWith("SUBSCRIBE ", StringComparison.Ordinal) && !y.StartsWith("SUBSCRIBE  ", StringComparison.Ordinal));
    });

    [Fact]
    public void A_crash_between_intent_and_accept_leads_to_one_new_attempt() => Cluster.Run(async x =>
    {
        x.Spy.Lose = static call => call.Type is Call.Types.Type.Accept;
        await x.CreatePod("web");
        await x.WaitPod("web", y => y.Task is not null);
        await x.KillPlacement();
        Assert.Equal(0, x.LiveTasks((await x.GetPod("web")).Uid));
        x.StartPlacement();
        var pod = await x.WaitRunning("web", attempt: 1);
        Assert.Equal(1, x.LiveTasks(pod.Uid));
    });

    [Fact]
    public void An_accept_whose_answer_is_lost_never_leads_to_two_live_tasks() => Cluster.Run(async x =>
    {
        var lost = 0;
        x.Spy.Lose = call => call.Type is Call.Types.Type.Accept && lost++ < 3;
        await x.CreatePod("web");
        var pod = await x.WaitPod("web", y => y.IsReady, seconds: 120);
        Assert.Equal(1, x.LiveTasks(pod.Uid));
        Assert.True(lost >= 3);
    });

    [Fact]
    public void A_launch_of_which_no_update_comes_is_asked_for() => Cluster.Run(async x =>
    {
        var dropped = 0;
        x.Spy.Drop = happened => happened.Type is Event.Types.Type.Update && dropped++ < 2;
        await x.CreatePod("web");
        await x.WaitPod("web", y => y.IsReady, seconds: 40);
        Assert.Contains("RECONCILE", x.Spy.Log);
    });

    [Fact]
    public void The_loss_of_the_master_leaves_tasks_running() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        x.Agents[0].Disconnect();
        await x.Sleep(20);
        pod = await x.GetPod("web");
        Assert.True(pod.IsReady);
        Assert.Equal(1, x.LiveTasks(pod.Uid));
    });

    [Fact]
    public void An_unreachable_agent_makes_the_pod_unknown_and_its_return_ready_again() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        x.StopAgent(0);
        pod = await x.WaitPod("web", y => y.Status.Conditions.Any(z => z is { Type: "Ready", Status: "Unknown" }), seconds: 120);
        Assert.Equal("Running", pod.Status.Phase);
        x.RestartAgent(0);
        pod = await x.WaitRunning("web");
        Assert.Equal(1, x.LiveTasks(pod.Uid));
    });

    [Fact]
    public void A_pod_that_fits_nowhere_says_why() => Cluster.Run(async x =>
    {
        await x.CreatePod("small");
        await x.WaitRunning("small");
        await x.CreatePod("big", ""","resources":{"requests":{"cpu":"100"}}""");
        var pod = await x.WaitPod("big", y => y.Status.Conditions.Any(z => z is { Type: "PodScheduled", Status: "False", Reason: "Unschedulable" }));
        var condition = pod.Status.Conditions.Single(y => y.Type == "PodScheduled");
        Assert.Contains("0/2 agents fit", condition.Message, StringComparison.Ordinal);
        Assert.Contains("needs 100 cpus, agent-", condition.Message, StringComparison.Ordinal);
        Assert.Contains("short", condition.Message, StringComparison.Ordinal);
        Assert.Contains("agent-1:", Why.Text(pod), StringComparison.Ordinal);
        x.AddAgent(new() { Hostname = "huge", Port = 6000, Cpus = 200 });
        pod = await x.WaitRunning("big");
        Assert.Equal("huge", pod.Spec.NodeName);
        Assert.DoesNotContain(Why.Annotation, pod.Metadata.Annotations.Keys);
    }, agents: 2);

    [Fact]
    public void A_missing_ConfigMap_keeps_the_pod_waiting_until_it_is_there() => Cluster.Run(async x =>
    {
        await x.CreatePod("web", ""","env":[{"name":"COLOUR","valueFrom":{"configMapKeyRef":{"name":"paint","key":"colour"}}}]""");
        var pod = await x.WaitPod("web", y => y.Status.ContainerStatuses.Any(z => z.State.Waiting?.Reason == "CreateContainerConfigError"));
        Assert.Contains("configmap \"paint\" not found", pod.Status.ContainerStatuses[0].State.Waiting!.Message, StringComparison.Ordinal);
        await x.Create("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"paint","namespace":"default"},"data":{"colour":"red"}}""");
        await x.WaitRunning("web");
    });

    [Fact]
    public void A_pod_of_two_containers_is_a_task_group_that_restarts_together() => Cluster.Run(async x =>
    {
        await x.Create("""
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"two","namespace":"default"},
             "spec":{"containers":[{"name":"a","command":["sleep","1"]},{"name":"b","command":["sleep","2"]}]}}
            """);
        var pod = await x.WaitRunning("two");
        Assert.Equal(2, x.LiveTasks(pod.Uid));
        Assert.Contains(pod.Status.Conditions, y => y.Type == "declarative.mesos/RestartsTogether");
        x.Agents[0].Exit($"{pod.Uid}.0.a", 1);
        pod = await x.WaitPod("two", y => y.IsReady && y.Status.ContainerStatuses.All(z => z.RestartCount == 1));
        Assert.Equal(2, x.LiveTasks(pod.Uid));
        await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "two"));
        await x.WaitUntil(async () => !await x.Exists("two"), "the pod is removed");
        Assert.Equal(0, x.LiveTasks(pod.Uid));
    });

    [Fact]
    public void Readiness_follows_the_check() => Cluster.Run(async x =>
    {
        await x.CreatePod("web", ""","readinessProbe":{"exec":{"command":["true"]},"periodSeconds":2,"failureThreshold":3}""");
        var pod = await x.WaitRunning("web");
        x.Agents[0].SetCheck($"{pod.Uid}.0", false);
        var failed = x.World.Elapsed;
        await x.WaitPod("web", y => !y.IsReady);
        Assert.InRange((x.World.Elapsed - failed).TotalSeconds, 4, 5); // (3 − 1) × 2 s
        x.Agents[0].SetCheck($"{pod.Uid}.0", true);
        pod = await x.WaitPod("web", y => y.IsReady);
        Assert.Equal(0, pod.Status.ContainerStatuses[0].RestartCount);
    });

    [Fact]
    public void A_container_killed_for_its_health_is_restarted() => Cluster.Run(async x =>
    {
        await x.CreatePod("web", ""","livenessProbe":{"exec":{"command":["true"]}}""");
        var pod = await x.WaitRunning("web");
        x.Agents[0].KillUnhealthy($"{pod.Uid}.0");
        pod = await x.WaitRunning("web", attempt: 1);
        Assert.NotEqual(0, pod.Status.ContainerStatuses[0].LastState.Terminated!.ExitCode);
    });

    [Fact]
    public void Many_pods_spread_over_the_agents() => Cluster.Run(async x =>
    {
        for (var i = 0; i < 30; i++) await x.CreatePod($"web-{i}");
        for (var i = 0; i < 30; i++) await x.WaitRunning($"web-{i}");
        Assert.All(x.Agents, y => Assert.InRange(y.Tasks.Count, 5, 15));
    }, agents: 3);

    [Theory]
    [InlineData(0.007, 2)]
    [InlineData(0.007, 3)]
    [InlineData(0.02, 2)]
    [InlineData(0.02, 4)]
    public void Pods_that_come_one_by_one_spread_over_the_agents(double gap, int agents)
    {
        Cluster? cluster = null;
        Cluster.Run(async x =>
        {
            cluster = x;
            for (var i = 0; i < 24; i++)
            {
                await x.CreatePod($"web-{i}");
                await x.Sleep(gap);
            }
            for (var i = 0; i < 24; i++) await x.WaitRunning($"web-{i}");
            var counts = string.Join(' ', x.Agents.Select(y => y.Tasks.Count));
            Assert.True(x.Agents.All(y => Math.Abs(y.Tasks.Count - 24 / agents) <= 1), counts);
        }, agents, wrap: api => new SlowBindings(api, () => cluster!.World));
    }

    /// <summary>Bindings take 2 to 40 ms, as on a server that has others to serve.</summary>
    private sealed class SlowBindings(IApi inner, Func<World> world) : IApi
    {
        public async Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default)
        {
            if (options?.Subresource == "binding") await Task.Delay(TimeSpan.FromMilliseconds(world().Random.Next(2, 40)), world().Time, stop);
            return await inner.Create(key, json, options, stop);
        }

        public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => inner.Get(key, subresource, stop);
        public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => inner.List(request, stop);
        public IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, CancellationToken stop = default) => inner.Watch(request, stop);
        public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => inner.Update(key, json, options, stop);
        public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => inner.Patch(key, kind, patch, options, stop);
        public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => inner.Delete(key, options, stop);
    }

    [Fact]
    public void A_restart_that_finds_no_room_on_its_agent_fails_after_a_minute() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        await x.CreatePod("all", container: ""","resources":{"requests":{"cpu":"8"}}""");
        x.Agents[0].Exit($"{pod.Uid}.0", 1); // the first restart is at once, the second after 10 s: meanwhile the other takes all
        pod = await x.WaitRunning("web", attempt: 1);
        x.Agents[0].Exit($"{pod.Uid}.1", 1);
        await x.WaitRunning("all");
        pod = await x.WaitPod("web", y => y.Status.Phase == "Failed", seconds: 120);
        Assert.Equal("ResourcesTaken", pod.Status.Reason);
    });

    [Fact]
    public void Offers_that_nothing_can_use_are_given_back_for_long_and_wanted_again_when_a_node_changes() => Cluster.Run(async x =>
    {
        await x.CreatePod("picky", spec: ""","nodeSelector":{"site":"one"}""");
        await x.Sleep(300);
        // Five minutes without news: a few looks, not one every few seconds.
        Assert.InRange(x.Spy.Log.Count(y => y == "REVIVE"), 1, 20);
        Assert.InRange(x.Spy.Log.Count(y => y == "DECLINE"), 1, 20);
        var before = x.World.Elapsed;
        await x.LabelNode("agent-0", "site", "one");
        await x.WaitRunning("picky");
        Assert.InRange((x.World.Elapsed - before).TotalSeconds, 0, 5);
    });

    [Fact]
    public void What_becomes_free_is_seen_at_once_though_less_of_it_was_refused() => Cluster.Run(async x =>
    {
        await x.CreatePod("most", container: ""","resources":{"requests":{"cpu":"7"}}""");
        await x.WaitRunning("most");
        await x.CreatePod("next", container: ""","resources":{"requests":{"cpu":"6"}}""");
        await x.Sleep(60);
        var before = x.World.Elapsed;
        await x.Api.Delete(ResourceKey.Of(Kind.Pod, "default", "most"), new() { GracePeriodSeconds = 0 });
        await x.WaitRunning("next");
        Assert.InRange((x.World.Elapsed - before).TotalSeconds, 0, 5);
    });

    [Fact]
    public void A_pod_restarts_on_its_agent_though_that_takes_no_new_pods() => Cluster.Run(async x =>
    {
        await x.CreatePod("web");
        var pod = await x.WaitRunning("web");
        await x.CloseByTaint("agent-0");
        x.Agents[0].Exit($"{pod.Uid}.0", 1);
        await x.WaitRunning("web", attempt: 1);
        await x.CreatePod("new");
        await x.WaitPod("new", y => y.Status.Conditions.Any(z => z.Message.Contains("1 have a taint", StringComparison.Ordinal)), seconds: 30);
    });

    [Fact]
    public void An_agent_that_offers_nothing_keeps_its_host_and_zone_from_pods_that_stay_apart() => Cluster.Run(async x =>
    {
        const string Apart = ""","affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"site","labelSelector":{"matchLabels":{"app":"db"}}}]}}""";
        await x.CreatePod("first", container: ""","resources":{"requests":{"cpu":"8"}}""", spec: Apart, metadata: ""","labels":{"app":"db"}""");
        var first = await x.WaitRunning("first");
        await x.LabelNode("agent-0", "site", "one");
        await x.LabelNode("agent-1", "site", "one");
        await x.CreatePod("second", spec: Apart, metadata: ""","labels":{"app":"db"}""");
        var second = await x.WaitPod("second", y => y.Status.Conditions.Any(z => z.Message.Contains("pod to stay away from", StringComparison.Ordinal)), seconds: 30);
        Assert.Contains("0/2 agents fit: 2 have a pod to stay away from", second.Status.Conditions[0].Message, StringComparison.Ordinal);
        await x.LabelNode(first.Spec.NodeName == "agent-0" ? "agent-1" : "agent-0", "site", "two");
        Assert.NotEqual(first.Spec.NodeName, (await x.WaitRunning("second")).Spec.NodeName);
    }, agents: 2);

    [Fact]
    public void The_whole_history_is_the_same_for_the_same_seed()
    {
        Assert.Equal(History(5), History(5));

        static string History(int seed)
        {
            var text = new StringBuilder();
            Cluster.Run(async x =>
            {
                for (var i = 0; i < 10; i++) await x.CreatePod($"web-{i}");
                for (var i = 0; i < 10; i++) await x.WaitRunning($"web-{i}");
                text.AppendJoin('\n', x.Spy.Log).Append(x.World.Elapsed);
            }, agents: 3, seed: seed);
            return text.ToString();
        }
    }
}
