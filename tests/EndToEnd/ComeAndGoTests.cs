using System.Collections.Concurrent;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Http;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>What is left when <c>up</c> is killed or stopped, and what the next one makes of it.</summary>
[Collection(EndToEndTests.Name)]
public sealed class ComeAndGoTests
{
    [Fact]
    public Task What_was_acknowledged_outlives_a_killed_up_and_running_tasks_are_adopted() => RunningPlatform.With(async platform =>
    {
        var up = await platform.Up("--apply", Installation.Hello);
        (await platform.RolledOut("hello")).Succeeds();
        var before = platform.WebServers;
        Assert.Equal(3, before.Count);

        // Killed in the middle of writes.
        var acknowledged = new ConcurrentBag<string>();
        var writers = Enumerable.Range(0, 4).Select(i => Task.Run(() => Write(platform, $"kept-{i}-", acknowledged))).ToList();
        await RunningPlatform.Until(() => acknowledged.Count >= 200, "200 writes are acknowledged");
        up.Kill();
        await up.Ended();
        await Task.WhenAll(writers);
        Assert.Equal(before.Select(Identity), platform.WebServers.Select(Identity));

        await platform.Up();
        var kept = (await platform.Kubectl("get", "configmaps", "-o", "name")).Succeeds().Output.Split('\n').ToHashSet(StringComparer.Ordinal);
        Assert.Empty(acknowledged.Select(x => "configmap/" + x).Except(kept));

        await IsAdopted(platform, before);
    });

    [Fact]
    public Task A_kill_in_the_middle_of_launches_starts_no_pod_twice() => RunningPlatform.With(async platform =>
    {
        var up = await platform.Up("--apply", Installation.Hello);
        // Every kill falls between one launch and the next.
        var survivors = new List<TaskProcess>();
        foreach (var replicas in (int[])[6, 9, 12])
        {
            var running = platform.WebServers.Count;
            (await platform.Kubectl("scale", "deployment/hello", $"--replicas={replicas}")).Succeeds();
            await RunningPlatform.Until(() => platform.WebServers.Count > running, "launches have begun");
            up.Kill();
            await up.Ended();
            survivors.AddRange(platform.WebServers);
            up = await platform.Up();
        }
        await RunningPlatform.Until(() =>
        {
            var servers = platform.WebServers;
            Assert.Equal(servers.Count, servers.Select(x => x.PodUid).Distinct().Count());
            return servers.Count == 12;
        }, "twelve processes run");
        (await platform.RolledOut("hello")).Succeeds();
        var pods = await platform.Pods("app=hello");
        Assert.Equal(pods.Select(x => (string)x["metadata"]!["uid"]!).Order(StringComparer.Ordinal), platform.WebServers.Select(x => x.PodUid).Order(StringComparer.Ordinal));
        // A launch that was decided and not done counts as an attempt; what ran went on.
        Assert.Empty(survivors.Select(Identity).Except(platform.WebServers.Select(Identity)));
    });

    [Theory]
    [InlineData(15)]
    [InlineData(2)]
    public Task A_stopped_up_leaves_workloads_says_so_and_the_next_one_adopts_them(int signal) => RunningPlatform.With(async platform =>
    {
        var up = await platform.Up("--apply", Installation.Hello);
        (await platform.RolledOut("hello")).Succeeds();
        var before = platform.WebServers;

        TaskProcess.Signal(up.Id, signal);
        var said = (await up.Ended()).Succeeds();
        Assert.Contains("3 tasks of your workloads run on", said.Output, StringComparison.Ordinal);
        Assert.Contains($"declarative down --data {platform.Data}", said.Output, StringComparison.Ordinal);
        Assert.Equal(before.Select(Identity), platform.WebServers.Select(Identity));

        up = await platform.Up();
        await IsAdopted(platform, before);

        // down stops the running up first, then its workloads.
        var down = (await platform.Down()).Succeeds();
        Assert.Contains($"Stopping process {up.Id}", down.Output, StringComparison.Ordinal);
        Assert.Contains("Ended 3 tasks", down.Output, StringComparison.Ordinal);
        (await up.Ended()).Succeeds();
        Assert.Empty(TaskProcess.Under(platform.Data));
        // Nothing is left to end: that is said, and no error.
        Assert.Contains("No workloads", (await platform.Down()).Succeeds().Output, StringComparison.Ordinal);
    });

    private static (int, string, string) Identity(TaskProcess process) => (process.Id, process.StartTicks, process.PodUid);

    private static async Task IsAdopted(RunningPlatform platform, IReadOnlyList<TaskProcess> before)
    {
        // A change goes the whole way only when the agent, Placement and the controllers have all found their state again.
        (await platform.Kubectl("scale", "deployment/hello", "--replicas=4")).Succeeds();
        (await platform.RolledOut("hello")).Succeeds();
        var now = platform.WebServers;
        Assert.Equal(4, now.Count);
        Assert.Equal(4, now.Select(x => x.PodUid).Distinct().Count());
        Assert.Empty(before.Select(Identity).Except(now.Select(Identity)));
        Assert.All(await platform.Pods("app=hello"), pod => Assert.Equal(0, (int)pod["status"]!["containerStatuses"]![0]!["restartCount"]!));
        await platform.Answers(platform.Hello);
        (await platform.Kubectl("scale", "deployment/hello", "--replicas=3")).Succeeds();
        await RunningPlatform.Until(() => platform.WebServers.Count == 3, "three processes are left");
    }

    private static async Task Write(RunningPlatform platform, string prefix, ConcurrentBag<string> acknowledged)
    {
        using var api = new HttpApi(Kubeconfig.Load(platform.Kubeconfig), TimeProvider.System);
        for (var i = 0; ; i++)
        {
            var name = $"{prefix}{i}";
            try
            {
                var json = System.Text.Encoding.UTF8.GetBytes($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"default"},"data":{"k":"v"}}""");
                await api.Create(new ResourceKey(Kind.ConfigMap, "default", name), json);
                acknowledged.Add(name);
            }
            catch (Exception e) when (e is HttpRequestException or ApiException or IOException)
            {
                return;
            }
        }
    }
}
