using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>Two processes of controllers with the defaults: the one that leads is killed, again and again, and the other goes on where it was.</summary>
[Collection(EndToEndTests.Name)]
public sealed class TakeoverTests(ITestOutputHelper output)
{
    private const string Sleepers = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: sleepers}
        spec:
          replicas: 4
          selector: {matchLabels: {app: sleepers}}
          template:
            metadata: {labels: {app: sleepers}}
            spec: {containers: [{name: main, command: [sleep, "100000"], resources: {requests: {cpu: 10m, memory: 32Mi}}}]}
        """;

    private static int Rounds => int.TryParse(Environment.GetEnvironmentVariable("TAKEOVER_ROUNDS"), CultureInfo.InvariantCulture, out var n) ? n : 2;

    [Fact]
    public Task After_kill_9_the_other_leads_as_the_same_framework_and_loses_no_task() => RunningPlatform.With(async platform =>
    {
        var mesos = platform.Start(["mesos", "--data", platform.Data, "--port-offset", platform.Offset]);
        var api = platform.Start(["apiserver", "--data", platform.Data, "--port-offset", platform.Offset]);
        await Says(mesos, "Mesos master at");
        await Says(api, "API server at");
        string[] arguments = ["controllers", "--data", platform.Data, "--master", $"http://127.0.0.1:{platform.Ports.Master}"];
        var (leader, standby) = (platform.Start(arguments), default(ChildProcess));
        await Says(leader, "Controllers on");
        (await platform.Apply(Sleepers)).Succeeds();
        (await platform.RolledOut("sleepers")).Succeeds();
        var framework = await FrameworkId(platform);
        await using var clock = new TakeoverClock(platform);
        await RunningPlatform.Until(() => clock.Running == 4, "the clock sees what there is");
        for (var round = 0; round < Rounds; round++)
        {
            standby = platform.Start(arguments);
            await Says(standby, "Controllers on");
            var holder = await Holder(platform);
            await RunningPlatform.Until(async () => await RenewTime(platform) is var first && await RenewTime(platform) != first, "the leader renews");
            var before = await Running(platform);
            Assert.Equal(4 + round, before.Count);

            leader.Kill();
            var killed = Stopwatch.GetTimestamp();
            (await platform.Kubectl("scale", "deployment/sleepers", $"--replicas={5 + round}")).Succeeds();
            await RunningPlatform.Until(async () => await Holder(platform) != holder, "the other holds the lease");
            await RunningPlatform.Until(() => clock.Running == 5 + round, "a pod more runs");
            output.WriteLine($"round {round}, from kill -9: {string.Join(", ", TakeoverClock.Stages.Select(x => clock.Text(killed, x)))}");
            await leader.Ended();

            Assert.NotEqual(holder, await Holder(platform));
            Assert.Equal(framework, await FrameworkId(platform));
            // Every task that ran goes on, in the same attempt, and the new one is placed by the new leader.
            var now = await Running(platform);
            Assert.Empty(before.Except(now));
            leader = standby;
        }
    });

    /// <summary>Running pods with their tasks and restarts.</summary>
    private static async Task<IReadOnlyList<string>> Running(RunningPlatform platform) =>
        [.. (await platform.Pods("app=sleepers")).Where(x => (string?)x["status"]?["phase"] == "Running").Select(x => $"{x["metadata"]!["uid"]} {x["metadata"]!["annotations"]!["declarative.mesos/task"]} {x["status"]!["containerStatuses"]![0]!["restartCount"]}")];

    private static async Task<JsonNode> Lease(RunningPlatform platform) => (await platform.Get("lease", "placement", "--namespace", "kube-system"))["spec"]!;

    private static async Task<string?> Holder(RunningPlatform platform) => (string?)(await Lease(platform))["holderIdentity"];

    private static async Task<string?> RenewTime(RunningPlatform platform) => (string?)(await Lease(platform))["renewTime"];

    private static async Task<string?> FrameworkId(RunningPlatform platform) =>
        (string?)(await platform.Get("configmap", "mesos-framework-declarative", "--namespace", "kube-system"))["data"]?["frameworkId"];

    private static async Task Says(ChildProcess role, string what)
    {
        await RunningPlatform.Until(() => role.Output.Contains(what, StringComparison.Ordinal) || role.HasExited, what);
        Assert.False(role.HasExited, role.Errors);
    }
}
