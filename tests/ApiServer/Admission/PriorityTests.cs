using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.ApiServer.Admission;

/// <summary>PriorityClasses and the pods that name them, as Kubernetes' admission plugin Priority resolves them.</summary>
public sealed class PriorityTests : IAsyncLifetime
{
    private static readonly Kind Class = Kind.Find("scheduling.k8s.io", "v1", "priorityclasses")!;
    private InProcessApi _api = null!;
    private int _pods;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _api = await InProcessApi.Start();

    public ValueTask DisposeAsync() => _api.DisposeAsync();

    [Fact]
    public async Task A_pod_gets_the_number_of_its_class_or_of_the_default_or_none()
    {
        Assert.Equal("0  PreemptLowerPriority", await Pod(""));
        Assert.Equal("2000001000 system-node-critical PreemptLowerPriority", await Pod("\"priorityClassName\":\"system-node-critical\","));
        await Make("high", "\"value\":1000,\"preemptionPolicy\":\"Never\"");
        Assert.Equal("1000 high Never", await Pod("\"priorityClassName\":\"high\","));
        Assert.Equal("1000 high Never", await Pod("\"priorityClassName\":\"high\",\"priority\":1000,"));
        await Make("usual", "\"value\":5,\"globalDefault\":true");
        Assert.Equal("5 usual PreemptLowerPriority", await Pod(""));
        await Make("less", "\"value\":-3,\"globalDefault\":true");
        Assert.Equal("-3 less PreemptLowerPriority", await Pod(""));
    }

    [Fact]
    public async Task A_pod_says_how_long_it_stays_on_a_lost_node_or_it_is_five_minutes()
    {
        const string Both = "node.kubernetes.io/not-ready Exists NoExecute 300,node.kubernetes.io/unreachable Exists NoExecute 300";
        Assert.Equal(Both, await Tolerations("t0", ""));
        Assert.Equal("node.kubernetes.io/not-ready Exists NoExecute 5,node.kubernetes.io/unreachable Exists NoExecute 300",
            await Tolerations("t1", "{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":5}"));
        Assert.Equal(" Exists  ", await Tolerations("t2", "{\"operator\":\"Exists\"}"));
        Assert.Equal("node.kubernetes.io/unreachable Exists NoSchedule ," + Both,
            await Tolerations("t3", "{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\",\"effect\":\"NoSchedule\"}"));

        async Task<string> Tolerations(string name, string given)
        {
            var made = await _api.Admin.Create(new(Kind.Pod, "default", ""),
                Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"{{{name}}}"},"spec":{"tolerations":[{{{given}}}],"containers":[{"name":"c","command":["x"]}]}}"""), stop: Stop);
            return string.Join(',', JsonNode.Parse(made.Json.Span)!["spec"]!["tolerations"]!.AsArray().Select(x => $"{x!["key"]} {x["operator"]} {x["effect"]} {x["tolerationSeconds"]}"));
        }
    }

    [Fact]
    public async Task Unknown_classes_and_numbers_of_ones_own_are_refused()
    {
        var unknown = await Assert.ThrowsAsync<ApiException>(() => Pod("\"priorityClassName\":\"nope\","));
        Assert.Equal(403, unknown.Code);
        Assert.Contains("no PriorityClass with name nope was found", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("must not be provided", (await Assert.ThrowsAsync<ApiException>(() => Pod("\"priority\":7,"))).Message, StringComparison.Ordinal);
    }

    private Task<Stored> Make(string name, string fields) =>
        _api.Admin.Create(new(Class, "", name), Encoding.UTF8.GetBytes("{\"metadata\":{\"name\":\"" + name + "\"}," + fields + "}"), stop: Stop);

    private async Task<string> Pod(string fields)
    {
        var name = $"p{++_pods}";
        var made = await _api.Admin.Create(new(Kind.Pod, "default", name), Encoding.UTF8.GetBytes("{\"metadata\":{\"name\":\"" + name + "\"},\"spec\":{" + fields + "\"containers\":[{\"name\":\"c\",\"command\":[\"x\"]}]}}"), stop: Stop);
        var spec = JsonNode.Parse(made.Json.Span)!["spec"]!;
        return $"{spec["priority"]} {spec["priorityClassName"]} {spec["preemptionPolicy"]}";
    }
}
