using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Wire;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Storage;
using Declarative.Sim;
using Declarative.Tests.ApiServer.CustomResources;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>What the server says of itself as objects: its groups (APIService) and its parts (ComponentStatus).</summary>
public sealed class LocalServiceTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_group_and_version_is_local_and_available()
    {
        await using var api = await InProcessApi.Start();
        var items = (await api.Admin.List(new(Kind.ApiService), Stop)).Items;
        Assert.Equal(Kind.All.Where(x => x.Group != "apiregistration.k8s.io").Select(x => $"{x.Version}.{x.Group}").Distinct().Order(StringComparer.Ordinal), items.Select(x => x.Key.Name).Order(StringComparer.Ordinal));
        var apps = JsonNode.Parse(items.Single(x => x.Key.Name == "v1.apps").Json.Span)!;
        Assert.Equal("""{"group":"apps","version":"v1","groupPriorityMinimum":17800,"versionPriority":15}""", apps["spec"]!.ToJsonString());
        Assert.Equal(("Available", "True", "Local"), ((string)apps["status"]!["conditions"]![0]!["type"]!, (string)apps["status"]!["conditions"]![0]!["status"]!, (string)apps["status"]!["conditions"]![0]!["reason"]!));
    }

    [Fact]
    public async Task A_definition_s_versions_come_and_go_with_it()
    {
        await using var api = await InProcessApi.Start();
        await api.Admin.Create(ResourceKey.Of(Kind.CustomResourceDefinition, "", ""), Yaml.ToJson(Encoding.UTF8.GetBytes(CronTab.Definition)), stop: Stop);
        await Eventually.Async(async () => (await Custom()).SequenceEqual(["v1.stable.example.com", "v1beta1.stable.example.com"]), "both versions are there");
        await api.Admin.Delete(ResourceKey.Of(Kind.ApiService, "", "v1.stable.example.com"), stop: Stop);
        await Eventually.Async(async () => (await Custom()).Count() == 2, "the deleted one is there again");
        await api.Admin.Delete(ResourceKey.Of(Kind.CustomResourceDefinition, "", "crontabs.stable.example.com"), stop: Stop);
        await Eventually.Async(async () => !(await Custom()).Any(), "they are gone");

        async Task<IEnumerable<string>> Custom() => (await api.Admin.List(new(Kind.ApiService), Stop)).Items.Select(x => x.Key.Name).Where(x => x.EndsWith("example.com", StringComparison.Ordinal)).Order(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Who_makes_one_at_the_same_time_does_not_end_the_server()
    {
        await using var journal = new MemoryJournal();
        var log = await RevisionLog.Open(journal, Stop);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var looks = 0;
        await Upkeep.Of(log, [Kind.ApiService], _ =>
        {
            if (looks++ == 0) throw Status.AlreadyExists(Kind.ApiService, "v1.stable.example.com");
            ended.Cancel();
            return Task.FromResult(false);
        }, TimeProvider.System, ended.Token);
        Assert.Equal(2, looks);
    }

    [Theory]
    [InlineData("v1.other", "", "metadata.name: Invalid value: \"v1.other\": must be `spec.version+\".\"+spec.group`: \"v1.shop\"")]
    [InlineData("v1.shop", ",\"groupPriorityMinimum\":0", "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000")]
    [InlineData("v1.shop", ",\"insecureSkipTLSVerify\":true", "local APIServices may not have insecureSkipTLSVerify")]
    [InlineData("v1.shop", ",\"service\":{\"name\":\"s\"}", "spec.service.namespace: Required value")]
    [InlineData("v2.", ",\"group\":\"\",\"version\":\"v2\"", "spec.group: Required value: only v1 may have an empty group and it better be legacy kube")]
    [InlineData("1v.shop", ",\"version\":\"1v\"", "spec.version: Invalid value: \"1v\": a DNS-1035 label must")]
    [InlineData("v1.shop", ",\"insecureSkipTLSVerify\":true,\"caBundle\":\"YQ==\",\"service\":{\"name\":\"s\",\"namespace\":\"n\"}", "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present")]
    public async Task A_wrong_one_is_refused(string name, string more, string says)
    {
        await using var api = await InProcessApi.Start();
        var spec = JsonNode.Parse("""{"group":"shop","version":"v1","groupPriorityMinimum":100,"versionPriority":100}""")!.AsObject();
        foreach (var (key, value) in JsonNode.Parse($"{{\"a\":1{more}}}")!.AsObject().Where(x => x.Key != "a").ToList()) spec[key] = value!.DeepClone();
        var refused = await Assert.ThrowsAsync<ApiException>(() => api.Admin.Create(ResourceKey.Of(Kind.ApiService, "", name), Encoding.UTF8.GetBytes($$"""{"metadata":{"name":"{{name}}"},"spec":{{spec.ToJsonString()}} }"""), stop: Stop));
        Assert.Contains(says, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_names_a_service_is_stored_with_a_warning()
    {
        await using var api = await InProcessApi.Start();
        var warnings = new List<string>();
        var made = await api.Admin.Create(ResourceKey.Of(Kind.ApiService, "", ""),
            """{"metadata":{"name":"v1.shop"},"spec":{"group":"shop","version":"v1","groupPriorityMinimum":100,"versionPriority":100,"service":{"namespace":"default","name":"s"}}}"""u8.ToArray(), new() { Warnings = warnings }, Stop);
        Assert.Equal(443, (int)JsonNode.Parse(made.Json.Span)!["spec"]!["service"]!["port"]!);
        Assert.Equal(["v1.shop is stored, but requests for it are handed on to nobody here"], warnings);
    }

    [Fact]
    public async Task Parts_are_asked_when_somebody_looks()
    {
        var failure = (string?)null;
        await using var server = await RunningFace.Start(options => options with { Readiness = [new HealthCheck("placement", _ => ValueTask.FromResult(failure)), new HealthCheck("dns", _ => ValueTask.FromResult((string?)null))] });
        using var admin = server.Client();
        using (var answer = await admin.GetAsync("/api/v1/componentstatuses", Stop))
        {
            Assert.Equal(["299 - \"v1 ComponentStatus is deprecated in v1.19+\""], answer.Headers.GetValues("Warning"));
            var list = JsonNode.Parse(await answer.Content.ReadAsStringAsync(Stop))!;
            Assert.Equal(("ComponentStatusList", "placement dns"), ((string)list["kind"]!, string.Join(' ', list["items"]!.AsArray().Select(x => (string)x!["metadata"]!["name"]!))));
        }
        failure = "no master";
        var one = await admin.GetAsync("/api/v1/componentstatuses/placement", Stop).Json();
        Assert.Equal(("False", "no master"), (one.GetProperty("conditions")[0].Text("status"), one.GetProperty("conditions")[0].Text("error")));
        await admin.GetAsync("/api/v1/componentstatuses/none", Stop).Json(404);
        await admin.DeleteAsync("/api/v1/componentstatuses/dns", Stop).Json(405);
        await admin.PostAsync("/api/v1/componentstatuses", """{"metadata":{"name":"x"}}""".Body(), Stop).Json(405);
        using var dns = server.Client("dns");
        await dns.GetAsync("/api/v1/componentstatuses", Stop).Json(403);
    }
}
