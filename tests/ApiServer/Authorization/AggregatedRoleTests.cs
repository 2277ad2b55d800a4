using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer.Authorization;

/// <summary>ClusterRoles that are made of others.</summary>
public sealed class AggregatedRoleTests : IAsyncLifetime
{
    private RunningFace _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _server = await RunningFace.Start();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task A_role_with_the_label_is_part_of_view_and_through_it_of_edit_and_admin()
    {
        await Write("widgets-view", """{"labels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}}""", "widgets");
        await Eventually.Async(async () => (await Resources("view")).Contains("widgets") && (await Resources("edit")).Contains("widgets") && (await Resources("admin")).Contains("widgets"), "it is part of all three");
        Assert.DoesNotContain("secrets", await Resources("view"));
        Assert.Contains("secrets", await Resources("edit"));

        await _server.Admin.Delete(new(Kind.ClusterRole, "", "widgets-view"), stop: Stop);
        await Eventually.Async(async () => !(await Resources("admin")).Contains("widgets"), "and no longer");
    }

    [Fact]
    public async Task What_is_written_into_an_aggregated_role_gives_way_to_its_parts()
    {
        await _server.Admin.Create(new(Kind.ClusterRole, "", "all"), """
            {"metadata":{"name":"all"},"aggregationRule":{"clusterRoleSelectors":[{"matchExpressions":[{"key":"part","operator":"In","values":["a","b"]}]}]},"rules":[{"apiGroups":[""],"resources":["nodes"],"verbs":["get"]}]}
            """u8.ToArray(), stop: Stop);
        await Eventually.Async(async () => (await Resources("all")).Count == 0, "nothing selected, nothing allowed");
        await Write("a", """{"labels":{"part":"a"}}""", "pods");
        await Write("b", """{"labels":{"part":"b"}}""", "pods");
        await Write("c", """{"labels":{"part":"c"}}""", "secrets");
        await Eventually.Async(async () => (await Resources("all")).SequenceEqual(["pods"]), "each rule once");
    }

    private Task<Stored> Write(string name, string metadata, string resource)
    {
        var json = new JsonObject { ["metadata"] = JsonNode.Parse(metadata), ["rules"] = new JsonArray(new JsonObject { ["apiGroups"] = new JsonArray(""), ["resources"] = new JsonArray(resource), ["verbs"] = new JsonArray("get") }) };
        json["metadata"]!["name"] = name;
        return _server.Admin.Create(new(Kind.ClusterRole, "", name), Encoding.UTF8.GetBytes(json.ToJsonString()), stop: Stop);
    }

    private async Task<List<string>> Resources(string role)
    {
        var json = JsonNode.Parse((await _server.Admin.Get(new(Kind.ClusterRole, "", role), stop: Stop)).Json.Span)!;
        return [.. (json["rules"]?.AsArray() ?? []).SelectMany(x => x!["resources"]!.AsArray()).Select(x => (string)x!)];
    }
}
