using System.Globalization;
using System.Net;
using Declarative.Tests.ApiServer.Storage;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>The platform as separate processes, connected only through HTTPS, the kubeconfigs and the Mesos HTTP API.</summary>
[Collection(EndToEndTests.Name)]
public sealed class SeparateProcessesTests
{
    private const string Framework = "shop";

    [Fact]
    public Task Hello_answers_and_a_rolling_restart_fails_no_request() => RunningPlatform.With(async platform =>
    {
        var parts = await Start(platform);
        (await platform.Kubectl("apply", "-f", Installation.Hello)).Succeeds();
        (await platform.RolledOut("hello")).Succeeds();
        await platform.Answers(platform.Hello);
        if (Installation.OnPath("dig") is not null)
        {
            await RunningPlatform.Until(async () => (await ChildProcess.Run("dig", ["@127.0.0.1", "-p", $"{platform.Ports.Dns}", "+short", $"_hello._tcp.{Framework}.mesos", "SRV"])).Succeeds().Output.Split('\n').Length == 4, "three SRV records");
        }
        await RunningPlatform.Until(async () => (string?)(await platform.Get("service", "hello"))["status"]?["loadBalancer"]?["ingress"]?[0]?["ip"] == "127.0.0.1", "the status says where the Service is reached");

        var before = platform.WebServers.Select(x => x.Id).ToList();
        await using (var load = new Load(platform.Hello, clients: 4, TimeSpan.FromMilliseconds(5)))
        {
            await load.More(100);
            (await platform.Kubectl("rollout", "restart", "deployment/hello")).Succeeds();
            (await platform.RolledOut("hello")).Succeeds();
            await RunningPlatform.Until(() => platform.WebServers.Count == 3 && !platform.WebServers.Any(x => before.Contains(x.Id)), "three new processes alone are left");
            await load.More(100);
            await load.HasNotFailed();
            Assert.True(load.Answers.Count >= 6, string.Join(", ", load.Answers));
        }

        // Stopped one by one, what faces the users first; each ends as it was asked to.
        foreach (var part in parts)
        {
            part.Terminate();
            (await part.Ended()).Succeeds();
        }
        Assert.Equal(3, platform.WebServers.Count);
    });

    [Fact]
    public Task A_pod_gets_term_only_after_the_request_in_flight_is_answered() => RunningPlatform.With(async platform =>
    {
        await Start(platform);
        (await platform.Apply(AbruptWeb.Manifest("abrupt", 9002))).Succeeds();
        (await platform.RolledOut("abrupt")).Succeeds();
        await platform.Answers(platform.At(9002));
        var pod = (await platform.Pods("app=abrupt")).Single();
        var (name, uid) = ((string)pod["metadata"]!["name"]!, (string)pod["metadata"]!["uid"]!);
        var output = AbruptWeb.Output(platform, uid);

        var routed = await Routed(platform);
        var slow = platform.Http.GetAsync(new Uri(platform.At(9002), "slow?ms=5000"));
        await RunningPlatform.Until(async () => await Routed(platform) == routed + 1, "the slow request is on its way");
        (await platform.Kubectl("delete", "pod", name, "--wait=false")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Get("endpointslices", "-l", "kubernetes.io/service-name=abrupt"))["items"]!.AsArray()
            .SelectMany(x => x!["endpoints"]?.AsArray() ?? []).All(x => (string?)x!["targetRef"]?["name"] != name || (bool?)x["conditions"]?["terminating"] == true), "the endpoint is marked terminating or gone");

        using var answer = await slow;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(name, (await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Trim());
        await RunningPlatform.Until(async () => !(await platform.Get("pod", name)).AsObject().ContainsKey("metadata"), "the pod is gone");
        var lines = (await File.ReadAllLinesAsync(output, TestContext.Current.CancellationToken)).ToList();
        var (answered, termed) = (lines.FindIndex(x => x.StartsWith("GET /slow?ms=5000 200", StringComparison.Ordinal)), lines.FindIndex(x => x.StartsWith(AbruptWeb.Term, StringComparison.Ordinal)));
        Assert.True(answered >= 0 && termed > answered, string.Join('\n', lines));
        // Its successor answers.
        await platform.Answers(platform.At(9002));
    });

    [Fact]
    public Task Requests_are_answered_while_the_other_parts_are_killed_and_come_back() => RunningPlatform.With(async platform =>
    {
        var parts = await Start(platform);
        (await platform.Kubectl("apply", "-f", Installation.Hello)).Succeeds();
        (await platform.RolledOut("hello")).Succeeds();
        await platform.Answers(platform.Hello);
        var before = platform.WebServers;
        await using var load = new Load(platform.Hello, clients: 2, TimeSpan.FromMilliseconds(10));
        foreach (var part in parts.Skip(1))
        {
            await load.More(50);
            part.Kill();
            await part.Ended();
            await load.More(50);
            var again = platform.Start(part.Arguments);
            await RunningPlatform.Until(() => again.Output.Contains("Stop with Ctrl-C", StringComparison.Ordinal) || again.HasExited, "it is back");
            Assert.False(again.HasExited, again.Errors);
        }
        (await platform.Kubectl("scale", "deployment/hello", "--replicas=4")).Succeeds();
        await RunningPlatform.Until(async () => (int?)(await platform.Get("deployment", "hello"))["status"]?["readyReplicas"] == 4, "a fourth pod is ready");
        await RunningPlatform.Until(() => load.Answers.Count == 4, "the fourth pod answers");
        await load.HasNotFailed();
        var now = platform.WebServers;
        Assert.Equal(4, now.Count);
        Assert.Empty(before.Select(x => (x.Id, x.StartTicks)).Except(now.Select(x => (x.Id, x.StartTicks))));
    });

    [Fact]
    public Task Of_two_processes_of_controllers_one_works_and_down_ends_every_part() => RunningPlatform.With(async platform =>
    {
        var parts = await Start(platform);
        var second = platform.Start(parts[2].Arguments);
        await Says(second, "Controllers on");
        (await platform.Kubectl("apply", "-f", Installation.Hello)).Succeeds();
        (await platform.RolledOut("hello")).Succeeds();
        var leases = (await platform.Get("leases", "--namespace", "kube-system"))["items"]!.AsArray();
        var holders = leases.Where(x => (string)x!["metadata"]!["name"]! != "lb-status").Select(x => (string?)x!["spec"]!["holderIdentity"]).ToList();
        Assert.Equal(3, holders.Count); // of all controllers, of Placement, and of the nodes
        Assert.Single(holders.Distinct());

        parts[2].Terminate();
        (await parts[2].Ended()).Succeeds();
        (await platform.Kubectl("scale", "deployment/hello", "--replicas=4")).Succeeds();
        (await platform.RolledOut("hello")).Succeeds();
        Assert.Equal(4, platform.WebServers.Count);

        // The leader is killed: the next goes on as the same framework, with the same tasks.
        var (framework, running) = (await FrameworkId(platform), platform.WebServers.Select(x => x.Id).Order().ToList());
        var third = platform.Start(parts[2].Arguments);
        await Says(third, "Controllers on");
        second.Kill();
        await second.Ended();
        (await platform.Kubectl("scale", "deployment/hello", "--replicas=5")).Succeeds();
        (await platform.RolledOut("hello")).Succeeds();
        Assert.Equal(framework, await FrameworkId(platform));
        Assert.Empty(running.Except(platform.WebServers.Select(x => x.Id)));
        Assert.Equal(5, platform.WebServers.Count);

        // While the API server is away each part says so once, and once that it is back.
        parts[3].Kill();
        await parts[3].Ended();
        await RunningPlatform.Until(() => parts[0].Output.Contains("out of reach", StringComparison.Ordinal), "the balancer misses the API server");
        var api = platform.Start(parts[3].Arguments);
        await Says(api, "API server at");
        await RunningPlatform.Until(() => parts[0].Output.Contains("answers again", StringComparison.Ordinal), "the balancer has found the API server");
        Assert.InRange(parts[0].Output.Split('\n').Count(x => x.Contains("warn:", StringComparison.Ordinal) || x.Contains("fail:", StringComparison.Ordinal)), 2, 6);

        (await platform.Down()).Succeeds();
        foreach (var part in (ChildProcess[])[third, parts[0], parts[1], parts[4], api])
        {
            await RunningPlatform.Until(() => part.HasExited, string.Join(' ', part.Arguments) + " has ended");
            Assert.True((await part.Ended()).Code == 0, $"{part.Output}\n{part.Errors}");
        }
    });

    [Fact]
    public Task Two_api_servers_stand_on_one_etcd_and_outlive_its_end() => RunningPlatform.With(first => RunningPlatform.With(async second =>
    {
        EtcdServer.SkipUnlessInstalled();
        await using var etcd = new EtcdServer();
        await etcd.Start();
        await Start(first);
        // The same clients are known to both.
        var pki = Directory.CreateDirectory(Path.Combine(second.Data, "pki"));
        foreach (var file in Directory.GetFiles(Path.Combine(first.Data, "pki"))) File.Copy(file, Path.Combine(pki.FullName, Path.GetFileName(file)));
        await Start(second);
        (await first.Kubectl("create", "configmap", "x", "--from-literal=a=b")).Succeeds();
        Assert.Equal("b", (await second.Kubectl("get", "configmap", "x", "-o", "jsonpath={.data.a}")).Succeeds().Output.Trim());
        // Each server's kubeconfig is good for the other.
        Assert.Equal("b", (await first.Kubectl("--server", $"https://127.0.0.1:{second.Ports.Api}", "get", "configmap", "x", "-o", "jsonpath={.data.a}")).Succeeds().Output.Trim());
        Assert.Contains("[+]etcd ok", (await second.Kubectl("get", "--raw", "/readyz?verbose")).Succeeds().Output, StringComparison.Ordinal);

        await etcd.Kill();
        Assert.NotEqual(0, (await second.Kubectl("get", "configmap", "x", "--request-timeout=20s")).Code);
        await etcd.Start();
        await RunningPlatform.Until(async () => (await second.Kubectl("delete", "configmap", "x", "--request-timeout=20s")).Code == 0, "the second server writes again");
        Assert.Contains("not found", (await first.Kubectl("get", "configmap", "x")).Errors, StringComparison.Ordinal);

        async Task Start(RunningPlatform platform) =>
            await Says(platform.Start(["apiserver", "--data", platform.Data, "--port-offset", platform.Offset, "--etcd", etcd.Url.ToString(), "--etcd-prefix", "/two"]), "API server at");
    }));

    private static async Task<string?> FrameworkId(RunningPlatform platform) =>
        (string?)(await platform.Get("configmap", $"mesos-framework-{Framework}", "--namespace", "kube-system"))["data"]?["frameworkId"];

    [Theory]
    [InlineData("mesos", "--agents")]
    [InlineData("apiserver", "--service-cluster-ip-range")]
    [InlineData("controllers", "--master")]
    [InlineData("dns", "--kubeconfig")]
    [InlineData("lb", "--kubeconfig")]
    public async Task Each_role_tells_its_options(string role, string option)
    {
        Installation.Require();
        Assert.Contains(option, (await RunningPlatform.Run(role, "--help")).Succeeds().Output, StringComparison.Ordinal);
    }

    /// <summary>All five roles, in the order in which they can start; returned in the order in which they are stopped.</summary>
    private static async Task<IReadOnlyList<ChildProcess>> Start(RunningPlatform platform)
    {
        string[] common = ["--data", platform.Data];
        string[] offset = ["--port-offset", platform.Offset];
        var mesos = platform.Start(["mesos", .. common, .. offset]);
        var api = platform.Start(["apiserver", .. common, .. offset]);
        await Says(api, "API server at");
        await Says(mesos, "Mesos master at");
        var controllers = platform.Start(["controllers", .. common, "--master", $"http://127.0.0.1:{platform.Ports.Master}", "--framework-name", Framework, "--framework-role", "eng/shop"]);
        var dns = platform.Start(["dns", .. common, .. offset, "--framework-name", Framework]);
        var lb = platform.Start(["lb", .. common, .. offset]);
        await Says(controllers, "Controllers on");
        await Says(dns, "DNS at");
        await Says(lb, "Load balancer at");
        Assert.Equal("ok", (await platform.Kubectl("get", "--raw", "/readyz")).Succeeds().Output.Trim());
        return [lb, dns, controllers, api, mesos];
    }

    private static async Task Says(ChildProcess role, string what)
    {
        await RunningPlatform.Until(() => role.Output.Contains(what, StringComparison.Ordinal) || role.HasExited, what);
        Assert.False(role.HasExited, role.Errors);
    }

    private static async Task<int> Routed(RunningPlatform platform)
    {
        const string Counter = "declarative_lb_requests_total{namespace=\"default\",service=\"abrupt\",port=\"9002\"} ";
        var metrics = await platform.Http.GetStringAsync($"http://127.0.0.1:{platform.Ports.LbAdmin}/metrics");
        return int.Parse(metrics.Split('\n').Single(x => x.StartsWith(Counter, StringComparison.Ordinal))[Counter.Length..], CultureInfo.InvariantCulture);
    }
}
