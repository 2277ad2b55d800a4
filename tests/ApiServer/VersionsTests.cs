using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>Kinds that are served in several versions are one set of objects.</summary>
public sealed class VersionsTests : IAsyncLifetime
{
    private InProcessApi _api = null!;

    public async ValueTask InitializeAsync() => _api = await InProcessApi.Start();

    public ValueTask DisposeAsync() => _api.DisposeAsync();

    [Fact]
    public async Task An_autoscaler_of_v1_is_one_of_v2_with_a_cpu_metric()
    {
        var (v1, v2) = (Key("autoscaling", "v1", "horizontalpodautoscalers", "a"), Key("autoscaling", "v2", "horizontalpodautoscalers", "a"));
        var made = await Create(v1, """{"spec":{"scaleTargetRef":{"kind":"Deployment","name":"web","apiVersion":"apps/v1"},"maxReplicas":5,"targetCPUUtilizationPercentage":70}}""");
        Assert.Equal("autoscaling/v1", made["apiVersion"]!.GetValue<string>());
        var read = await Read(v2);
        Assert.Equal("""[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":70}}}]""", read["spec"]!["metrics"]!.ToJsonString());

        await _api.Admin.Patch(v1, PatchKind.Merge, """{"spec":{"targetCPUUtilizationPercentage":60}}"""u8.ToArray(), stop: Stop);
        Assert.Equal(60, (await Read(v2))["spec"]!["metrics"]![0]!["resource"]!["target"]!["averageUtilization"]!.GetValue<int>());
        Assert.Equal(60, (await Read(v1))["spec"]!["targetCPUUtilizationPercentage"]!.GetValue<int>());
        Assert.Null((await Read(v1))["spec"]!["metrics"]);
    }

    [Fact]
    public async Task What_v1_can_not_say_survives_a_write_in_v1()
    {
        var (v1, v2) = (Key("autoscaling", "v1", "horizontalpodautoscalers", "a"), Key("autoscaling", "v2", "horizontalpodautoscalers", "a"));
        await Create(v2, """
            {"spec":{"scaleTargetRef":{"kind":"Deployment","name":"web"},"maxReplicas":5,"behavior":{"scaleDown":{"stabilizationWindowSeconds":60}},
            "metrics":[{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"10"}}}]}}
            """);
        var old = await Read(v1);
        Assert.Contains("rps", old["metadata"]!["annotations"]!["autoscaling.alpha.kubernetes.io/metrics"]!.GetValue<string>(), StringComparison.Ordinal);
        var before = await Read(v2);
        old["metadata"]!["labels"] = new JsonObject { ["touched"] = "yes" };
        await _api.Admin.Update(v1, Encoding.UTF8.GetBytes(old.ToJsonString()), stop: Stop);
        var after = await Read(v2);
        Assert.True(JsonNode.DeepEquals(before["spec"], after["spec"]), after["spec"]!.ToJsonString());
        Assert.Equal("yes", after["metadata"]!["labels"]!["touched"]!.GetValue<string>());
        Assert.Null(after["metadata"]!["annotations"]);
    }

    [Fact]
    public async Task An_ingress_of_v1beta1_names_its_backends_otherwise()
    {
        var (v1, beta) = (Key("networking.k8s.io", "v1", "ingresses", "i"), Key("networking.k8s.io", "v1beta1", "ingresses", "i"));
        await Create(beta, """{"spec":{"backend":{"serviceName":"all","servicePort":80},"rules":[{"host":"a.example.org","http":{"paths":[{"path":"/x","backend":{"serviceName":"web","servicePort":"http"}}]}}]}}""");
        var read = (await Read(v1))["spec"]!;
        Assert.Equal("""{"service":{"name":"all","port":{"number":80}}}""", read["defaultBackend"]!.ToJsonString());
        Assert.Equal("""{"path":"/x","backend":{"service":{"name":"web","port":{"name":"http"}}},"pathType":"ImplementationSpecific"}""", read["rules"]![0]!["http"]!["paths"]![0]!.ToJsonString());
        Assert.Null(read["backend"]);
        var old = await Read(beta);
        Assert.Equal("""{"serviceName":"all","servicePort":80}""", old["spec"]!["backend"]!.ToJsonString());
        await _api.Admin.Patch(beta, PatchKind.Merge, """{"spec":{"backend":{"servicePort":81}}}"""u8.ToArray(), stop: Stop);
        Assert.Equal(81, (await Read(v1))["spec"]!["defaultBackend"]!["service"]!["port"]!["number"]!.GetValue<int>());
    }

    [Fact]
    public async Task Events_of_both_groups_are_the_same_events()
    {
        var (core, group) = (Key("", "v1", "events", "e"), Key("events.k8s.io", "v1", "events", "e"));
        await Create(group, """{"regarding":{"kind":"Pod","name":"p","namespace":"default"},"note":"hello","reason":"R","type":"Normal","reportingController":"x","reportingInstance":"y","action":"Z","eventTime":"2024-01-01T00:00:00.000000Z"}""");
        var read = await Read(core);
        Assert.Equal("hello", read["message"]!.GetValue<string>());
        Assert.Equal("p", read["involvedObject"]!["name"]!.GetValue<string>());
        Assert.Equal("x", read["reportingComponent"]!.GetValue<string>());
        await _api.Admin.Patch(core, PatchKind.Merge, """{"count":3}"""u8.ToArray(), stop: Stop);
        Assert.Equal(3, (await Read(group))["deprecatedCount"]!.GetValue<int>());
        Assert.Equal(3, (await Read(Key("events.k8s.io", "v1beta1", "events", "e")))["deprecatedCount"]!.GetValue<int>());
    }

    [Fact]
    public async Task Slices_keep_their_topology_in_both_forms()
    {
        var (v1, beta) = (Key("discovery.k8s.io", "v1", "endpointslices", "s"), Key("discovery.k8s.io", "v1beta1", "endpointslices", "s"));
        await Create(beta, """{"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"topology":{"kubernetes.io/hostname":"n","topology.kubernetes.io/zone":"z","rack":"r"}}]}""");
        var endpoint = (await Read(v1))["endpoints"]![0]!;
        Assert.Equal(("n", "z"), (endpoint["nodeName"]!.GetValue<string>(), endpoint["zone"]!.GetValue<string>()));
        Assert.Equal("""{"rack":"r"}""", endpoint["deprecatedTopology"]!.ToJsonString());
        var topology = (await Read(beta))["endpoints"]![0]!["topology"]!.AsObject();
        Assert.Equal(["kubernetes.io/hostname", "rack", "topology.kubernetes.io/zone"], topology.Select(x => x.Key).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("networking.k8s.io", "v1beta1", "ingressclasses", """{"spec":{"controller":"example.org/x"}}""")]
    [InlineData("batch", "v1beta1", "cronjobs", """{"spec":{"schedule":"* * * * *","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"x"}]}}}}}}""")]
    [InlineData("policy", "v1beta1", "poddisruptionbudgets", """{"spec":{"minAvailable":1,"selector":{"matchLabels":{"a":"b"}}}}""")]
    public async Task Old_versions_list_watch_and_delete_the_same_objects(string group, string version, string plural, string body)
    {
        var (old, stored) = (Key(group, version, plural, "x"), Key(group, "v1", plural, "x"));
        var revision = (await _api.Admin.List(new ListRequest(old.Kind), Stop)).Revision;
        var made = await Create(old, body);
        Assert.Equal(made["metadata"]!["uid"]!.GetValue<string>(), (await Read(stored))["metadata"]!["uid"]!.GetValue<string>());
        var listed = Assert.Single((await _api.Admin.List(new ListRequest(old.Kind, "default"), Stop)).Items);
        Assert.Equal(old.Kind.ApiVersion, JsonNode.Parse(listed.Json.Span)!["apiVersion"]!.GetValue<string>());
        await foreach (var happened in _api.Admin.Watch(new WatchRequest(old.Kind) { From = revision }, Stop))
        {
            Assert.Equal((WatchEventType.Added, old.Kind.ApiVersion), (happened.Type, JsonNode.Parse(happened.Object!.Json.Span)!["apiVersion"]!.GetValue<string>()));
            break;
        }
        await _api.Admin.Patch(old, PatchKind.Apply, Encoding.UTF8.GetBytes($$$$"""{"apiVersion":"{{{{old.Kind.ApiVersion}}}}","kind":"{{{{old.Kind.Name}}}}","metadata":{"name":"x","labels":{"by":"apply"}}}"""), new() { FieldManager = "test" }, Stop);
        Assert.Equal("apply", (await Read(stored))["metadata"]!["labels"]!["by"]!.GetValue<string>());
        await _api.Admin.Delete(old, stop: Stop);
        Assert.True((await Assert.ThrowsAsync<ApiException>(() => _api.Admin.Get(stored, stop: Stop))).IsNotFound);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static ResourceKey Key(string group, string version, string plural, string name) => ResourceKey.Of(Kind.Find(group, version, plural)!, "default", name);

    private async Task<JsonNode> Create(ResourceKey key, string body)
    {
        var json = JsonNode.Parse(body)!;
        json["metadata"] = new JsonObject { ["name"] = key.Name, ["namespace"] = "default" };
        return JsonNode.Parse((await _api.Admin.Create(key, Encoding.UTF8.GetBytes(json.ToJsonString()), stop: Stop)).Json.Span)!;
    }

    private async Task<JsonNode> Read(ResourceKey key) => JsonNode.Parse((await _api.Admin.Get(key, stop: Stop)).Json.Span)!;
}
