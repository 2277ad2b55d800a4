using System.Net;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>One command from manifest to answered request, and what a user sees on the way.</summary>
[Collection(EndToEndTests.Name)]
public sealed class HelloTests
{
    [Fact]
    public Task One_command_leads_from_manifest_to_answered_request() => RunningPlatform.With(async platform =>
    {
        var up = await platform.Up("--apply", Installation.Hello);
        foreach (var line in (string[])["kubectl --kubeconfig", $"curl {platform.Hello}", $"dig @127.0.0.1 -p {platform.Ports.Dns}"]) Assert.Contains(line, up.Output, StringComparison.Ordinal);

        Assert.Equal("ok", (await platform.Kubectl("get", "--raw", "/readyz")).Succeeds().Output.Trim());
        (await platform.RolledOut("hello")).Succeeds();
        Assert.Matches(@"hello +3/3 +3 +3", (await platform.Kubectl("get", "deployment", "hello")).Succeeds().Output);
        var pods = await platform.Pods("app=hello");
        var names = pods.Select(x => (string)x["metadata"]!["name"]!).Order(StringComparer.Ordinal).ToList();
        Assert.Equal(3, names.Count);

        // All three answer in turn.
        await platform.Answers(platform.Hello);
        var answers = new List<string>();
        await RunningPlatform.Until(async () =>
        {
            answers = [.. await Task.WhenAll(Enumerable.Range(0, 9).Select(_ => platform.Http.GetStringAsync(platform.Hello)))];
            return answers.Distinct().Count() == 3;
        }, "all three pods are routed to");
        Assert.Equal(names, answers.Select(x => x.Trim()).Distinct().Order(StringComparer.Ordinal));
        Assert.All(answers.CountBy(x => x), x => Assert.Equal(3, x.Value));

        var service = await platform.Get("service", "hello");
        Assert.Equal("127.0.0.1", (string?)service["status"]!["loadBalancer"]!["ingress"]![0]!["ip"]);

        var logs = (await platform.Kubectl("logs", names[0])).Succeeds().Output;
        Assert.StartsWith(names[0] + " listens on ", logs, StringComparison.Ordinal);
        Assert.Contains("GET / 200", logs, StringComparison.Ordinal);
        Assert.Single((await platform.Kubectl("logs", names[0], "--tail=1")).Succeeds().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    });

    [Fact]
    public async Task Names_are_found_by_dig_over_udp_and_tcp()
    {
        Assert.SkipWhen(Installation.OnPath("dig") is null, "there is no dig on PATH");
        await RunningPlatform.With(async platform =>
        {
            await platform.Up("--apply", Installation.Hello);
            (await platform.RolledOut("hello")).Succeeds();
            var ports = (await platform.Pods("app=hello")).Select(x => (string)x["metadata"]!["annotations"]!["declarative.mesos/task"]!)
                .Select(x => (int)System.Text.Json.Nodes.JsonNode.Parse(x)!["ports"]!["web/8080"]!).Order().ToList();
            foreach (var over in (string[])["+notcp", "+tcp"])
            {
                await RunningPlatform.Until(async () => (await Dig(over, "+short", "_hello._tcp.declarative.mesos", "SRV")).Count == 3, "three SRV records");
                Assert.Equal(["127.0.0.1"], (await Dig(over, "+short", "hello.declarative.mesos", "A")).Distinct());
                Assert.Equal(["127.0.0.1"], (await Dig(over, "+short", "hello.default.svc.cluster.local", "A")).Select(x => x.StartsWith("127.", StringComparison.Ordinal) ? "127.0.0.1" : x));
                var records = await Dig(over, "+short", "_hello._tcp.declarative.mesos", "SRV");
                Assert.Equal(ports, records.Select(x => int.Parse(x.Split(' ')[2], System.Globalization.CultureInfo.InvariantCulture)).Order());
                // The targets' addresses come along.
                var additional = await Dig(over, "+noall", "+additional", "_hello._tcp.declarative.mesos", "SRV");
                Assert.Equal(records.Select(x => x.Split(' ')[3]).Order(StringComparer.Ordinal), additional.Where(x => x.Contains("127.0.0.1", StringComparison.Ordinal)).Select(x => x.Split(' ', '\t')[0]).Order(StringComparer.Ordinal));
            }
            Assert.Contains("NXDOMAIN", string.Join('\n', await Dig("+noall", "+comments", "nobody.declarative.mesos", "A")), StringComparison.Ordinal);

            async Task<IReadOnlyList<string>> Dig(params string[] arguments) =>
                (await ChildProcess.Run("dig", ["@127.0.0.1", "-p", $"{platform.Ports.Dns}", "+time=5", .. arguments])).Succeeds().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        });
    }

    [Fact]
    public async Task The_executable_tells_its_version()
    {
        Installation.Require();
        Assert.Matches(@"^\d+\.\d+\.\d+(\+[0-9a-f]+)?$", (await RunningPlatform.Run("--version")).Succeeds().Output.Trim());
    }

    [Fact]
    public Task A_killed_task_is_restarted_and_its_endpoint_goes_and_returns() => RunningPlatform.With(async platform =>
    {
        await platform.Up("--apply", Installation.Hello);
        (await platform.RolledOut("hello")).Succeeds();
        await platform.Answers(platform.Hello);
        var victim = platform.WebServers[0];
        var name = (string)(await platform.Pods("app=hello")).Single(x => (string?)x["metadata"]!["uid"] == victim.PodUid)["metadata"]!["name"]!;
        // Watched from before the kill, so that no state is missed however fast it is mended.
        using var watch = ChildProcess.Start(ApiServer.Http.Kubectls.All[^1],
            ["get", "endpointslices", "-l", "kubernetes.io/service-name=hello", "--watch", "-o", "jsonpath={.endpoints[*].targetRef.name}={.endpoints[*].conditions.ready}{\"\\n\"}", "--kubeconfig", platform.Kubeconfig]);
        await RunningPlatform.Until(() => watch.Output.Contains(name + "=true", StringComparison.Ordinal), "the endpoint is seen");
        var before = watch.Output.Length;

        TaskProcess.Signal(victim.Id, 9);
        await RunningPlatform.Until(async () =>
        {
            var status = (await platform.Get("pod", name))["status"]?["containerStatuses"]?[0];
            return status is not null && (int)status["restartCount"]! == 1 && (bool)status["ready"]!;
        }, "the pod is ready again with one restart");

        await RunningPlatform.Until(() => watch.Output[before..].Contains(name + "=true", StringComparison.Ordinal), "the endpoint returns");
        var seen = watch.Output[before..];
        Assert.True(seen.IndexOf(name + "=false", StringComparison.Ordinal) is >= 0 and var gone && gone < seen.LastIndexOf(name + "=true", StringComparison.Ordinal), seen);
        var status = (await platform.Get("pod", name))["status"]!["containerStatuses"]![0]!;
        Assert.Equal(137, (int)status["lastState"]!["terminated"]!["exitCode"]!);
        var now = platform.WebServers.Single(x => x.PodUid == victim.PodUid);
        Assert.NotEqual((victim.Id, victim.StartTicks), (now.Id, now.StartTicks));
        Assert.Contains($"{name} listens on", (await platform.Kubectl("logs", name, "--previous")).Succeeds().Output, StringComparison.Ordinal);
        var answered = new HashSet<string>(StringComparer.Ordinal);
        await RunningPlatform.Until(async () =>
        {
            answered.Add((await platform.Http.GetStringAsync(platform.Hello)).Trim());
            return answered.Contains(name);
        }, "the restarted pod answers requests");
    });

    [Fact]
    public Task Scaling_up_and_down_under_load_fails_no_request() => RunningPlatform.With(async platform =>
    {
        await platform.Up("--apply", Installation.Hello);
        (await platform.RolledOut("hello")).Succeeds();
        await platform.Answers(platform.Hello);
        await using var load = new Load(platform.Hello, clients: 4, TimeSpan.FromMilliseconds(5));
        await load.More(100);
        (await platform.Kubectl("scale", "deployment/hello", "--replicas=10")).Succeeds();
        (await platform.RolledOut("hello")).Succeeds();
        await RunningPlatform.Until(() => load.Answers.Count == 10, "all ten pods have answered");
        (await platform.Kubectl("scale", "deployment/hello", "--replicas=1")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Pods("app=hello")).Count == 1, "one pod is left");
        await RunningPlatform.Until(() => platform.WebServers.Count == 1, "one process is left");
        await load.More(100);
        await load.HasNotFailed();
        Assert.Equal(HttpStatusCode.OK, await platform.Status(platform.Hello));
    });
}
