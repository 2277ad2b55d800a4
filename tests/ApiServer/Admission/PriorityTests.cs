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
