using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Wire;
using Declarative.Controllers.Quotas;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.Controllers;
using Xunit;

namespace Declarative.Tests.ApiServer.Admission;

/// <summary>LimitRanges and ResourceQuotas.</summary>
public sealed class AmountTests
{
    private static Task<Stored> Create(IApi api, Kind kind, string yaml, WriteOptions? options = null) =>
        api.Create(ResourceKey.Of(kind, "default", ""), Yaml.ToJson(Encoding.UTF8.GetBytes(yaml)), options, TestContext.Current.CancellationToken);

    private static Task<Stored> MakePod(IApi api, string name, string resources = "", WriteOptions? options = null) =>
        Create(api, Kind.Pod, $$"""
            metadata: {name: {{name}} }
            spec: {containers: [{name: c, command: [x], resources: { {{resources}} } }]}
            """, options);

    private static async Task<string> Refusal(Task<Stored> write)
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() => write);
        Assert.Equal(403, refused.Code);
        return refused.Status.Message;
    }

    [Fact]
    public async Task A_limit_range_fills_in_and_bounds()
    {
        await using var api = await InProcessApi.Start();
        await Create(api.Admin, Kind.LimitRange, """
            metadata: {name: bounds}
            spec:
              limits:
              - {type: Container, default: {cpu: 500m, memory: 64Mi}, defaultRequest: {cpu: 100m}, min: {cpu: 50m}, max: {cpu: "1", memory: 128Mi}, maxLimitRequestRatio: {cpu: "10"} }
              - {type: Pod, max: {memory: 100Mi} }
            """);
        var pod = JsonNode.Parse((await MakePod(api.Admin, "plain")).Json.Span)!;
        Assert.Equal("""{"requests":{"cpu":"100m","memory":"64Mi"},"limits":{"cpu":"500m","memory":"64Mi"}}""", Sorted(pod["spec"]!["containers"]![0]!["resources"]!));
        Assert.Equal("LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c", (string)pod["metadata"]!["annotations"]!["kubernetes.io/limit-ranger"]!);
        Assert.Equal("Burstable", (string)pod["status"]!["qosClass"]!);
        Assert.Equal("pods \"small\" is forbidden: minimum cpu usage per Container is 50m, but request is 20m", await Refusal(MakePod(api.Admin, "small", "requests: {cpu: 20m}, limits: {cpu: 200m}")));
        Assert.Equal("pods \"large\" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000]",
            await Refusal(MakePod(api.Admin, "large", "requests: {cpu: 100m}, limits: {cpu: 2}")));
        Assert.Contains("maximum memory usage per Pod is 100Mi, but limit is 120Mi", await Refusal(MakePod(api.Admin, "wide", "limits: {memory: 120Mi}")), StringComparison.Ordinal);

        static string Sorted(JsonNode resources) => new JsonObject { ["requests"] = resources["requests"]!.DeepClone(), ["limits"] = resources["limits"]!.DeepClone() }.ToJsonString();
    }

    [Fact]
    public async Task A_quota_is_charged_by_writes_and_counted_again()
    {
        await using var cluster = await Cluster.Start(QuotaController.Run);
        var api = cluster.Api;
        await MakePod(api, "before", "requests: {cpu: 100m}");
        await Create(api, Kind.ResourceQuota, "metadata: {name: q}\nspec: {hard: {pods: '3', requests.cpu: 500m, count/configmaps: '2', services.nodeports: '1'} }");
        await Used("count/configmaps=1,pods=1,requests.cpu=100m,services.nodeports=0", "kube-root-ca.crt is not here in process", skipMaps: true);

        Assert.Equal("pods \"a\" is forbidden: failed quota: q: must specify requests.cpu for: c", await Refusal(MakePod(api, "a")));
        await MakePod(api, "a", "requests: {cpu: 300m}");
        Assert.Equal("pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=200m, used: requests.cpu=400m, limited: requests.cpu=500m", await Refusal(MakePod(api, "b", "requests: {cpu: 200m}")));
        await MakePod(api, "b", "requests: {cpu: 50m}", new() { DryRun = true });
        await MakePod(api, "b", "requests: {cpu: 50m}");
        Assert.Contains("exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3", await Refusal(MakePod(api, "c", "requests: {cpu: 10m}")), StringComparison.Ordinal);
        await api.Delete(ResourceKey.Of(Kind.Pod, "default", "a"), new() { GracePeriodSeconds = 0 }, TestContext.Current.CancellationToken);
        await Used("pods=2,requests.cpu=150m,services.nodeports=0", "given back", skipMaps: true);
        await MakePod(api, "c", "requests: {cpu: 10m}");

        async Task Used(string expected, string what, bool skipMaps = false)
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            var last = "";
            await foreach (var change in api.Watch(new(Kind.ResourceQuota) { From = 0 }, limit.Token))
            {
                if (change.Object is not { } stored) continue;
                var used = ResourceQuota.Read(stored.Json).Status.Used;
                last = string.Join(',', used.Where(x => !skipMaps || !x.Key.StartsWith("count/", StringComparison.Ordinal)).OrderBy(x => x.Key, StringComparer.Ordinal).Select(x => $"{x.Key}={x.Value}"));
                if (last == string.Join(',', expected.Split(',').Where(x => !skipMaps || !x.StartsWith("count/", StringComparison.Ordinal)))) return;
            }
            Assert.Fail($"{what}: {last}");
        }
    }

    [Fact]
    public async Task Of_many_writes_at_once_no_more_pass_than_the_quota_has()
    {
        await using var api = await InProcessApi.Start();
        await Create(api.Admin, Kind.ResourceQuota, "metadata: {name: q}\nspec: {hard: {pods: '5'} }");
        var made = await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            try
            {
                await MakePod(api.Admin, $"p{i}");
                return true;
            }
            catch (ApiException e) when (e.Code is 403 or 409)
            {
                return false;
            }
        }));
        Assert.InRange(made.Count(x => x), 1, 5);
        Assert.Equal(made.Count(x => x), (await api.Admin.List(new(Kind.Pod, "default"), TestContext.Current.CancellationToken)).Items.Count);
    }

    [Theory]
    [MemberData(nameof(Kubectls.Rows), MemberType = typeof(Kubectls))]
    public async Task Kubectl_makes_and_shows_a_quota(string name)
    {
        var path = Kubectls.Require(name);
        await using var face = await RunningFace.Start();
        var kubectl = new Kubectl(path, face.Face.KubeconfigPath, face.Directory);
        (await kubectl.Run("create", "quota", "q", "--hard=pods=1,secrets=1")).Succeeds();
        (await kubectl.Run("run", "one", "--image=x")).Succeeds();
        (await kubectl.Run("run", "two", "--image=x")).Fails("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1");
        Assert.Contains("pods", (await kubectl.Run("describe", "quota", "q")).Succeeds().Output, StringComparison.Ordinal);
    }
}
