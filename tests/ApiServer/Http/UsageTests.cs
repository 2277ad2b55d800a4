using System.Net;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Http;
using Declarative.Mesos.Mini.Http;
using Declarative.Tests.ApiServer.Streams;
using Declarative.Tests.Mesos.Agent;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

public sealed class UsageTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_agent_on_which_nothing_runs_uses_nothing()
    {
        await using var bench = new AgentBench();
        await bench.Start();
        await using var agent = await AgentServer.Start(bench.Agent, new IPEndPoint(IPAddress.Loopback, 0), Stop);
        await using var server = await RunningFace.Start();
        await RunningPod.MakeNode(server, "agent-0", agent.Port);
        using var client = server.Client();
        var node = await client.GetAsync("/apis/metrics.k8s.io/v1beta1/nodes/agent-0", Stop).Json();
        Assert.Equal(("0n", "0Ki"), (node.Text("usage", "cpu"), node.Text("usage", "memory")));

        // Controllers ask in this process or, from their own, over HTTPS.
        var request = new ListRequest(Kind.Find("metrics.k8s.io", "v1beta1", "nodes")!);
        Assert.Equal("agent-0", Assert.Single((await server.Face.Usage(request, Stop)).Items).Key.Name);
        using var controllers = new HttpApi(Kubeconfig.Load(Path.Combine(server.Face.Pki.Directory, "controllers.kubeconfig")), TimeProvider.System);
        Assert.Equal("agent-0", Assert.Single((await controllers.List(request, Stop)).Items).Key.Name);
        Assert.Empty((await controllers.List(new(Kind.PodMetrics, "default"), Stop)).Items);
    }
}
