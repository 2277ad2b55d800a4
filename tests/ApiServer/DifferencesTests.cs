using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>The rows of docs/guide/differences.md that no other test shows.</summary>
public sealed class DifferencesTests : IAsyncLifetime
{
    private InProcessApi _api = null!;

    public async ValueTask InitializeAsync() => _api = await InProcessApi.Start();

    public ValueTask DisposeAsync() => _api.DisposeAsync();

    [Fact]
    public async Task A_container_without_image_needs_a_command()
    {
        var made = await Create(Kind.Pod, """{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","command":["serve"]}]}}""");
        Assert.Null(made["spec"]!["containers"]![0]!["image"]);
        Assert.Null(made["spec"]!["volumes"]);
        var refused = await Assert.ThrowsAsync<ApiException>(() => Create(Kind.Pod, """{"metadata":{"name":"q"},"spec":{"containers":[{"name":"c"}]}}"""));
        Assert.Equal("spec.containers[0].command", Assert.Single(refused.Status.Causes).Field);
    }

    [Fact]
    public async Task Endpoints_may_be_on_loopback()
    {
        await Create(Kind.EndpointSlice, """{"metadata":{"name":"s"},"addressType":"IPv4","endpoints":[{"addresses":["127.0.0.1"]}],"ports":[{"port":80}]}""");
        await Create(Kind.Endpoints, """{"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"127.0.0.1"}],"ports":[{"port":80}]}]}""");
    }

    [Fact]
    public async Task Cluster_addresses_are_on_loopback()
    {
        var made = await Create(Kind.Service, """{"metadata":{"name":"s"},"spec":{"ports":[{"port":80}]}}""");
        Assert.StartsWith("127.", made["spec"]!["clusterIP"]!.GetValue<string>(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ownership_of_fields_begins_with_the_first_apply()
    {
        Assert.Null((await Create(Kind.ConfigMap, """{"metadata":{"name":"c"},"data":{"a":"b"}}"""))["metadata"]!["managedFields"]);
        var applied = await _api.Admin.Patch(ResourceKey.Of(Kind.ConfigMap, "default", "c"), PatchKind.Apply,
            """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"x":"y"}}"""u8.ToArray(), new() { FieldManager = "m" }, TestContext.Current.CancellationToken);
        Assert.Equal(2, JsonNode.Parse(applied.Json.Span)!["metadata"]!["managedFields"]!.AsArray().Count);
    }

    [Fact]
    public async Task Kinds_without_effect_are_stored_with_a_warning()
    {
        var kind = Kind.All.First(x => x.Name == "RuntimeClass");
        var warnings = new List<string>();
        await _api.Admin.Create(ResourceKey.Of(kind, "", ""), """{"metadata":{"name":"r"},"handler":"h"}"""u8.ToArray(), new() { Warnings = warnings }, TestContext.Current.CancellationToken);
        Assert.Contains("nothing acts on it here", Assert.Single(warnings), StringComparison.Ordinal);
    }

    private async Task<JsonNode> Create(Kind kind, string json) =>
        JsonNode.Parse((await _api.Admin.Create(ResourceKey.Of(kind, "default", ""), Encoding.UTF8.GetBytes(json), stop: TestContext.Current.CancellationToken)).Json.Span)!;
}
