using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry.Strategies;
using Declarative.Tests.Architecture;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>Defaults, validation and immutable fields per kind, from the tables in <c>Kinds/</c>.</summary>
public sealed class KindRulesTests : IAsyncLifetime
{
    private InProcessApi _api = null!;

    public async ValueTask InitializeAsync() => _api = await InProcessApi.Start();

    public ValueTask DisposeAsync() => _api.DisposeAsync();

    [Fact]
    public async Task Defaults_are_those_of_Kubernetes()
    {
        foreach (var row in Rows("defaults.tsv"))
        {
            var made = await Create(row[0], row[1], row[2]);
            Assert.True(Contains(made, JsonNode.Parse(row[3])!, out var at), $"{row[1]}: {at} in {made.ToJsonString()}");
        }
    }

    [Fact]
    public async Task Defaulting_a_second_time_changes_nothing()
    {
        foreach (var row in Rows("defaults.tsv").Where(x => x[1] is not "Secret"))
        {
            var made = await Create(row[0], row[1], row[2]);
            var kind = Kind.FindByName(row[0], row[1])!;
            var again = await _api.Admin.Update(ResourceKey.Of(kind, "default", "x"), Encoding.UTF8.GetBytes(made.ToJsonString()), stop: Stop);
            Assert.Equal(made["metadata"]!["resourceVersion"]!.GetValue<string>(), JsonNode.Parse(again.Json.Span)!["metadata"]!["resourceVersion"]!.GetValue<string>());
        }
    }

    [Fact]
    public async Task What_is_wrong_is_told_with_its_field()
    {
        var differs = new List<string>();
        foreach (var row in Rows("invalid.tsv"))
        {
            var refused = (ApiException?)await Record.ExceptionAsync(() => Create(row[0], row[1], row[2]));
            var told = refused is { Code: 422 } && refused.Status.Causes.Any(x => x.Field == row[3] && x.Reason == row[4] && x.Message.Contains(row[5], StringComparison.Ordinal));
            if (!told) differs.Add($"{row[1]} {row[3]} ({row[5]}): {refused?.Message ?? "accepted"}");
        }
        Assert.True(differs.Count == 0, string.Join('\n', differs));
    }

    [Fact]
    public async Task What_stands_next_to_the_wrong_is_accepted()
    {
        var refused = new List<string>();
        foreach (var row in Rows("valid.tsv"))
        {
            if (await Record.ExceptionAsync(() => Create(row[0], row[1], row[2])) is { } error) refused.Add($"{row[1]} {row[2]}: {error.Message}");
        }
        Assert.True(refused.Count == 0, string.Join('\n', refused));
    }

    [Fact]
    public async Task Immutable_fields_stay()
    {
        foreach (var row in Rows("immutable.tsv"))
        {
            await Create(row[0], row[1], row[2]);
            var key = ResourceKey.Of(Kind.FindByName(row[0], row[1])!, "default", "x");
            var refused = await Assert.ThrowsAsync<ApiException>(() => _api.Admin.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(row[3]), stop: Stop));
            Assert.True(refused.Code == 422 && refused.Status.Causes.Any(x => x.Field == row[4] && x.Message.Contains(row[5], StringComparison.Ordinal)), $"{row[1]} {row[4]}: {refused.Message}");
        }
    }

    [Fact]
    public void A_template_that_is_older_than_a_rule_stays_writable()
    {
        var before = JsonNode.Parse("""{"replicas":1,"template":{"spec":{"containers":[{"name":"c","image":"x"}],"restartPolicy":"Always","volumes":[{"name":"v"}]}}}""")!.AsObject();
        var scaled = before.DeepClone().AsObject();
        scaled["replicas"] = 2;
        Assert.Empty(Causes(scaled));
        scaled["template"]!["spec"]!["hostname"] = "h";
        Assert.Equal("spec.template.spec.volumes[0]", Assert.Single(Causes(scaled)).Field);

        List<StatusCause> Causes(JsonObject wanted)
        {
            var causes = new List<StatusCause>();
            PodTemplateValidation.Check(wanted, before, "spec", causes, "ReplicaSet");
            return causes;
        }
    }

    [Fact]
    public async Task A_service_leaves_what_only_its_old_type_had()
    {
        await Create("v1", "Service", """{"spec":{"type":"LoadBalancer","ports":[{"port":80}]}}""");
        var key = ResourceKey.Of(Kind.Service, "default", "x");
        var patched = JsonNode.Parse((await _api.Admin.Patch(key, PatchKind.Merge, """{"spec":{"type":"ClusterIP"}}"""u8.ToArray(), stop: Stop)).Json.Span)!["spec"]!;
        Assert.Null(patched["externalTrafficPolicy"]);
        Assert.Null(patched["allocateLoadBalancerNodePorts"]);
        Assert.Null(patched["ports"]![0]!["nodePort"]);
    }

    [Fact]
    public async Task A_job_selects_its_pods_by_its_own_uid()
    {
        var job = await Create("batch/v1", "Job", """{"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"x"}]}}}}""");
        var uid = job["metadata"]!["uid"]!.GetValue<string>();
        Assert.Equal(uid, job["spec"]!["selector"]!["matchLabels"]!["batch.kubernetes.io/controller-uid"]!.GetValue<string>());
        Assert.Equal((uid, "x"), (Label("controller-uid"), Label("batch.kubernetes.io/job-name")));

        string Label(string name) => job["spec"]!["template"]!["metadata"]!["labels"]![name]!.GetValue<string>();
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Creates the object under the name x, in the place of an earlier one.</summary>
    private async Task<JsonNode> Create(string apiVersion, string name, string body)
    {
        var kind = Kind.FindByName(apiVersion, name)!;
        var key = ResourceKey.Of(kind, "default", "x");
        try
        {
            await _api.Admin.Delete(key, stop: Stop);
        }
        catch (ApiException absent) when (absent.IsNotFound)
        {
            Assert.Equal(404, absent.Code);
        }
        var json = JsonNode.Parse(body)!;
        json["metadata"] = new JsonObject { ["name"] = "x" };
        return JsonNode.Parse((await _api.Admin.Create(key, Encoding.UTF8.GetBytes(json.ToJsonString()), stop: Stop)).Json.Span)!;
    }

    private static IEnumerable<string[]> Rows(string file) =>
        File.ReadLines(Path.Combine(Repository.Root, "tests", "ApiServer", "Kinds", file)).Skip(1).Where(x => x.Length > 0).Select(x => x.Split('\t'));

    /// <summary>True where every member of the part is in the whole; lists are compared element by element.</summary>
    private static bool Contains(JsonNode? whole, JsonNode part, out string at)
    {
        at = "";
        if (part is JsonObject members)
        {
            foreach (var (name, value) in members)
            {
                if (whole is JsonObject json && json[name] is { } found && Contains(found, value!, out at)) continue;
                at = $".{name}{at}";
                return false;
            }
            return true;
        }
        if (part is JsonArray items)
        {
            if (whole is not JsonArray list || list.Count != items.Count) return false;
            for (var i = 0; i < items.Count; i++)
            {
                if (Contains(list[i], items[i]!, out at)) continue;
                at = $"[{i}]{at}";
                return false;
            }
            return true;
        }
        return JsonNode.DeepEquals(whole, part);
    }
}
