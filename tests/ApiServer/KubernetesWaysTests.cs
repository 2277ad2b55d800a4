using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>Rules of kube-apiserver that clients rely on and that belong to no kind alone.</summary>
public sealed class KubernetesWaysTests : IAsyncLifetime
{
    private InProcessApi _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private IApi Api => _server.Admin;

    public async ValueTask InitializeAsync() => _server = await InProcessApi.Start();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("pods", "spec.hostNetwork=false", 1)]
    [InlineData("pods", "spec.hostNetwork=true", 0)]
    [InlineData("pods", "spec.hostNetwork!=true", 1)]
    [InlineData("nodes", "spec.unschedulable=false", 1)]
    [InlineData("nodes", "spec.unschedulable=true", 0)]
    public async Task A_member_that_is_not_written_is_selected_by_what_it_stands_for(string plural, string selector, int found)
    {
        await Pod("a");
        await Create(ResourceKey.Of(Kind.Node, "", "n"), """{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"}}""");
        var kind = Kind.Find("", "v1", plural)!;
        Assert.Equal(found, (await Api.List(new(kind, null) { Fields = FieldSelector.Parse(selector) }, Stop)).Items.Count);
    }

    [Fact]
    public async Task What_goes_away_gets_no_new_finalizers_and_loses_its_old_ones()
    {
        var key = ResourceKey.Of(Kind.ConfigMap, "default", "a");
        await Create(key, """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","finalizers":["x.io/a","x.io/b"]}}""");
        await Api.Delete(key, new(), Stop);
        var refused = await Refused(() => Merge(key, """{"metadata":{"finalizers":["x.io/a","x.io/c"]}}"""));
        Assert.Equal((422, "metadata.finalizers"), (refused.Code, refused.Status.Causes.Single().Field));
        Assert.Contains("no new finalizers can be added if the object is being deleted, found new finalizers [\"x.io/c\"]", refused.Message, StringComparison.Ordinal);
        await Merge(key, """{"metadata":{"finalizers":["x.io/b"]}}""");
        await Merge(key, """{"metadata":{"finalizers":[]}}""");
        Assert.Equal(404, (await Refused(() => Api.Get(key, stop: Stop))).Code);
    }

    [Theory]
    [InlineData("bad", false)]
    [InlineData("foregroundDeletion", true)]
    [InlineData("example.io/good", true)]
    public async Task A_finalizer_has_a_domain_or_is_one_of_three(string name, bool accepted)
    {
        var key = ResourceKey.Of(Kind.ConfigMap, "default", "f");
        var body = $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"f","finalizers":["{{{name}}}"]}}""";
        if (accepted) await Create(key, body);
        else Assert.Contains("name is neither a standard finalizer name nor is it fully qualified", (await Refused(() => Create(key, body))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pod_runs_as_an_account_that_is_there_and_has_its_pull_secrets()
    {
        var refused = await Refused(() => Pod("a", "\"serviceAccountName\":\"robot\","));
        Assert.Equal((403, "pods \"a\" is forbidden: error looking up service account default/robot: serviceaccount \"robot\" not found"), (refused.Code, refused.Message));
        await Create(ResourceKey.Of(Kind.ServiceAccount, "default", "robot"), """{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"robot"},"imagePullSecrets":[{"name":"registry"}]}""");
        var pod = Json(await Pod("a", "\"serviceAccountName\":\"robot\","));
        Assert.Equal("""[{"name":"registry"}]""", pod["spec"]!["imagePullSecrets"]!.ToJsonString());
    }

    [Fact]
    public async Task A_scale_is_applied_by_its_own_kind()
    {
        var key = await Deployment();
        var scaled = await Apply(key, "scale", """{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"d"},"spec":{"replicas":4}}""", force: true);
        Assert.Equal(("Scale", 4), ((string?)Json(scaled)["kind"], (int)Json(scaled)["spec"]!["replicas"]!));
        Assert.Equal(4, (int)Json(await Api.Get(key, stop: Stop))["spec"]!["replicas"]!);
        Assert.Equal(400, (await Refused(() => Apply(key, "scale", """{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":4}}""", force: true))).Code);
    }

    [Fact]
    public async Task Who_applies_a_status_owns_nothing_of_the_spec()
    {
        var key = await Deployment();
        await Apply(key, "", """{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":2}}""", force: true, manager: "one");
        var applied = Json(await Apply(key, "status", """{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":9},"status":{"replicas":7}}""", force: false, manager: "two"));
        Assert.Equal((2, 7), ((int)applied["spec"]!["replicas"]!, (int)applied["status"]!["replicas"]!));
    }

    [Fact]
    public async Task An_approval_changes_the_status_of_a_signing_request()
    {
        var kind = Kind.Find("certificates.k8s.io", "v1", "certificatesigningrequests")!;
        var key = ResourceKey.Of(kind, "", "jack");
        using var pair = System.Security.Cryptography.ECDsa.Create();
        var pem = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=jack", pair, System.Security.Cryptography.HashAlgorithmName.SHA256).CreateSigningRequestPem();
        var request = Convert.ToBase64String(Encoding.UTF8.GetBytes(pem));
        var made = Json(await Create(key, $$$"""{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"jack"},"spec":{"request":"{{{request}}}","signerName":"example.io/x","usages":["client auth"]}}"""));
        made["status"] = JsonNode.Parse("""{"conditions":[{"type":"Approved","status":"True","reason":"Because"}]}""");
        var approved = Json(await Api.Update(key, Encoding.UTF8.GetBytes(made.ToJsonString()), new() { Subresource = "approval" }, Stop));
        Assert.Equal("Approved", (string?)approved["status"]!["conditions"]![0]!["type"]);
    }

    [Fact]
    public async Task A_page_after_the_history_says_how_to_go_on()
    {
        for (var i = 0; i < 4; i++) await Map($"m{i}", 10);
        var request = new ListRequest(Kind.ConfigMap, "default") { Limit = 2 };
        var first = await Api.List(request, Stop);
        // The history of 64 MiB is long past then.
        for (var i = 0; i < 70; i++) await Map("z-large", 1_000_000 + i);
        var expired = await Refused(async () => { await Api.List(request with { Continue = first.Continue }, Stop); });
        Assert.Equal(410, expired.Code);
        Assert.Contains("The provided continue parameter is too old to display a consistent list result", expired.Message, StringComparison.Ordinal);
        var rest = await Api.List(request with { Continue = expired.Status.Continue, Limit = 0 }, Stop);
        Assert.Equal(["m2", "m3", "z-large"], rest.Items.Select(x => x.Key.Name));
        Assert.Equal(expired.Status.Continue, (string?)JsonNode.Parse(expired.Status.ToJson())!["metadata"]!["continue"]);
    }

    private async Task Map(string name, int bytes)
    {
        var body = Encoding.UTF8.GetBytes($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}"},"data":{"x":"{{{new string('x', bytes)}}}"}}""");
        var key = ResourceKey.Of(Kind.ConfigMap, "default", name);
        try
        {
            await Api.Update(key, body, stop: Stop);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            await Api.Create(key, body, stop: Stop);
        }
    }

    private async Task<ResourceKey> Deployment()
    {
        var key = ResourceKey.Of(Kind.Deployment, "default", "d");
        await Create(key, """
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},
            "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","command":["true"]}]}}}}
            """);
        return key;
    }

    private Task<Stored> Pod(string name, string spec = "") => Create(ResourceKey.Of(Kind.Pod, "default", name),
        $$$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}"},"spec":{ {{{spec}}} "containers":[{"name":"c","command":["true"]}]}}""");

    private Task<Stored> Create(ResourceKey key, string json) => Api.Create(key, Encoding.UTF8.GetBytes(json), stop: Stop);

    private Task<Stored> Merge(ResourceKey key, string json) => Api.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(json), stop: Stop);

    private Task<Stored> Apply(ResourceKey key, string subresource, string json, bool force, string manager = "me") =>
        Api.Patch(key, PatchKind.Apply, Encoding.UTF8.GetBytes(json), new() { Subresource = subresource, FieldManager = manager, Force = force }, Stop);

    private static JsonNode Json(Stored stored) => JsonNode.Parse(stored.Json.Span)!;

    private static async Task<ApiException> Refused(Func<Task> call) => await Assert.ThrowsAsync<ApiException>(call);
}
