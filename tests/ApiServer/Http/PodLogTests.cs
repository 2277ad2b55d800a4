using System.Net;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Protocol;
using Declarative.Tests.Client;
using Declarative.Tests.Mesos.Agent;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>kubectl logs against a real agent with real processes.</summary>
public sealed class PodLogTests : IAsyncLifetime
{
    private readonly AgentBench _bench = new();
    private AgentServer _agent = null!;
    private RunningFace _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string> Versions => Kubectls.Rows;

    public async ValueTask InitializeAsync()
    {
        await _bench.Start();
        _agent = await AgentServer.Start(_bench.Agent, new IPEndPoint(IPAddress.Loopback, 0), Stop);
        _server = await RunningFace.Start();
        await _server.Admin.Create(new(Kind.Node, "", "agent-0"), """{"apiVersion":"v1","kind":"Node","metadata":{"name":"agent-0"}}"""u8.ToArray(), stop: Stop);
        await _server.Admin.Patch(new(Kind.Node, "", "agent-0"), PatchKind.Merge,
            Encoding.UTF8.GetBytes("""{"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":PORT}}}}""".Replace("PORT", $"{_agent.Port}", StringComparison.Ordinal)),
            new() { Subresource = "status" }, Stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _agent.DisposeAsync();
        await _bench.DisposeAsync();
    }

    [Theory]
    [MemberData(nameof(Versions))]
    public async Task Shows_what_a_process_says(string version)
    {
        var kubectl = new Kubectl(Kubectls.Require(version), _server.Face.KubeconfigPath, _server.Directory);
        var uid = await MakePod("talker", attempt: 1);
        (await kubectl.Run("logs", "talker")).Fails("container \"c\" in pod \"talker\" is waiting to start");
        _bench.Master.Run(AgentBench.Shell($"{uid}.0", "echo before"));
        await _bench.Master.Until($"{uid}.0", TaskState.TaskFinished);
        _bench.Master.Run(AgentBench.Shell($"{uid}.1", "echo one; echo two; echo three; echo oops >&2; while [ ! -e go ]; do sleep 0.05; done; echo last; exit 0"));
        await _bench.Master.Until($"{uid}.1", TaskState.TaskRunning);
        await Eventually.Async(async () => (await kubectl.Run("logs", "talker")).Output == "one\ntwo\nthree\noops\n", "the first lines are there");

        Assert.Equal("before\n", (await kubectl.Run("logs", "talker", "--previous")).Succeeds().Output);
        Assert.Equal(2, (await kubectl.Run("logs", "talker", "--tail=2")).Succeeds().Lines.Count);
        Assert.Equal("one\n", (await kubectl.Run("logs", "talker", "--limit-bytes=4")).Succeeds().Output);
        Assert.Contains("Warning: timestamps has no effect", (await kubectl.Run("logs", "talker", "--timestamps")).Succeeds().Errors, StringComparison.Ordinal);
        (await kubectl.Run("logs", "talker", "-c", "x")).Fails("container x is not valid for pod talker");
        (await kubectl.Run("logs", "nobody")).Fails("pods \"nobody\" not found");

        using var following = kubectl.Start(["logs", "-f", "talker"]);
        foreach (var line in (string[])["one", "two", "three", "oops"]) Assert.Equal(line, await following.StandardOutput.ReadLineAsync(Stop));
        await File.WriteAllTextAsync(Path.Combine(_bench.Agent.Runs.Last().Sandbox, "go"), "", Stop);
        Assert.Equal("last", await following.StandardOutput.ReadLineAsync(Stop));
        await following.WaitForExitAsync(Stop);
        Assert.Equal(0, following.ExitCode);
    }

    [Fact]
    public async Task Says_what_is_missing()
    {
        using var client = _server.Client();
        await _server.Admin.Create(new(Kind.Pod, "default", ""), """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"waiting"},"spec":{"containers":[{"name":"a","image":"x"},{"name":"b","image":"x"}]}}"""u8.ToArray(), stop: Stop);
        const string Path = "/api/v1/namespaces/default/pods/waiting/log";
        Assert.Equal("a container name must be specified for pod waiting, choose one of: [a b]", (await client.GetAsync(Path, Stop).Json(400)).Text("message"));
        Assert.StartsWith("container \"a\" in pod \"waiting\" is waiting to start", (await client.GetAsync(Path + "?container=a", Stop).Json(400)).Text("message"), StringComparison.Ordinal);
        Assert.Equal(405, (await client.PostAsync(Path, "{}".Body(), Stop).Json(405)).GetProperty("code").GetInt32());
        await client.GetAsync(Path + "?container=a&tailLines=-3", Stop).Json(400);

        await MakePod("lost", attempt: 0);
        await _agent.DisposeAsync();
        var lost = await client.GetAsync("/api/v1/namespaces/default/pods/lost/log", Stop).Json(503);
        Assert.Contains($"the Mesos agent at http://127.0.0.1:{_agent.Port}/ does not answer", lost.Text("message"), StringComparison.Ordinal);
        using var dns = _server.Client("dns");
        await dns.GetAsync("/api/v1/namespaces/default/pods/lost/log", Stop).Json(403);
    }

    /// <summary>A pod of one container, bound and with the intent of an attempt, as Placement leaves it.</summary>
    private async Task<string> MakePod(string name, int attempt)
    {
        var made = await _server.Admin.Create(new(Kind.Pod, "default", ""), Encoding.UTF8.GetBytes($$$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}"},"spec":{"containers":[{"name":"c","command":["x"]}]}}"""), stop: Stop);
        var task = new TaskAnnotation { Id = $"{made.Uid}.{attempt}", Agent = "S-1" }.ToJson().Replace("\"", "\\\"", StringComparison.Ordinal);
        await _server.Admin.Create(made.Key, Encoding.UTF8.GetBytes($$$"""{"apiVersion":"v1","kind":"Binding","metadata":{"name":"{{{name}}}","annotations":{"{{{TaskAnnotation.Key}}}":"{{{task}}}"}},"target":{"kind":"Node","name":"agent-0"}}"""),
            new() { Subresource = "binding" }, Stop);
        return made.Uid;
    }
}
