using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.HorizontalPodAutoscalers;
using Declarative.Tests.ApiServer;
using Declarative.Tests.Client;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>Autoscalers on an API server in this process that is told what pods use; nothing else changes replicas or pods.</summary>
public sealed class AutoscalerTests : IAsyncLifetime
{
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private InProcessApi _server = null!;

    /// <summary>The memory of each pod; null = nothing is told.</summary>
    private string? _memory = "100Mi";

    /// <summary>What the look at a scale waits for.</summary>
    private Func<ResourceKey, Task> _beforeScale = _ => Task.CompletedTask;

    private IApi Api => _server.Admin;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await InProcessApi.Start(options: new() { Usage = Usage });
        _running = HorizontalPodAutoscalerController.Run(new SlowScales(Api, x => _beforeScale(x)), new() { SyncPeriod = TimeSpan.FromMilliseconds(20) }, TimeProvider.System, new Random(1), NullLogger.Instance, _stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await _server.DisposeAsync();
        _stop.Dispose();
    }

    private async Task<StoredList> Usage(ListRequest request, CancellationToken stop)
    {
        if (_memory is not { } memory) return new([], 0, "", null);
        var pods = await Api.List(request with { Kind = Kind.Pod }, stop);
        return new([.. pods.Items.Select(x => new Stored(x.Key with { Kind = Kind.PodMetrics }, "", 0, Encoding.UTF8.GetBytes($$$"""
            {"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1","metadata":{"name":"{{{x.Key.Name}}}","namespace":"default"},"timestamp":"2030-01-01T00:00:00Z","window":"15s",
             "containers":[{"name":"web","usage":{"cpu":"1n","memory":"{{{memory}}}"} }]}
            """)))], 0, "", null);
    }

    private Task<Stored> Create(Kind kind, string json) => Api.Create(ResourceKey.Of(kind, "default", ""), Encoding.UTF8.GetBytes(json), stop: Stop);

    private Task<Stored> Merge(Kind kind, string name, string json, string subresource = "") =>
        Api.Patch(ResourceKey.Of(kind, "default", name), PatchKind.Merge, Encoding.UTF8.GetBytes(json), new() { Subresource = subresource }, Stop);

    private async Task Web(int replicas, int pods)
    {
        await Create(Kind.Deployment, Cluster.WebDeployment(replicas));
        for (var i = 0; i < pods; i++)
        {
            await Create(Kind.Pod, $$$"""{"metadata":{"name":"web-{{{i}}}","labels":{"app":"web"}},"spec":{"containers":[{"name":"web","command":["serve"],"resources":{"requests":{"memory":"100Mi"} } }]} }""");
            await Merge(Kind.Pod, $"web-{i}", """{"status":{"phase":"Running"}}""", "status");
        }
    }

    private Task<Stored> Autoscale(string metrics, int least = 1, int most = 4, string target = """ "apiVersion":"apps/v1","kind":"Deployment","name":"web" """, string more = "") =>
        Create(Kind.HorizontalPodAutoscaler, $$$"""{"metadata":{"name":"web"},"spec":{"scaleTargetRef":{{{{target}}}},"minReplicas":{{{least}}},"maxReplicas":{{{most}}},"metrics":[{{{metrics}}}]{{{more}}} } }""");

    private static string Memory(string target) => $$$"""{"type":"Resource","resource":{"name":"memory","target":{{{{target}}}} } }""";

    private static string Percent(int percent) => Memory($"\"type\":\"Utilization\",\"averageUtilization\":{percent}");

    private async Task<JsonObject> Status(string condition, string reason)
    {
        JsonObject? status = null;
        var last = "";
        await Eventually.Async(async () =>
        {
            var json = JsonNode.Parse((await Api.Get(ResourceKey.Of(Kind.HorizontalPodAutoscaler, "default", "web"), stop: Stop)).Json.Span)!;
            status = json["status"] as JsonObject;
            last = status?.ToJsonString() ?? "";
            return status?["conditions"] is JsonArray all && all.Any(x => (string?)x!["type"] == condition && (string?)x["reason"] == reason);
        }, $"{condition} {reason}: {last}");
        return status!;
    }

    private async Task<int> Replicas() => Deployment.Read((await Api.Get(ResourceKey.Of(Kind.Deployment, "default", "web"), stop: Stop)).Json).Spec.Replicas;

    private Task Event(string reason, string message) => Eventually.Async(async () =>
        (await Api.List(new(Kind.Event, "default"), Stop)).Items.Select(x => JsonNode.Parse(x.Json.Span)!).Any(x => (string?)x["reason"] == reason && (string?)x["message"] == message
            && (string?)x["involvedObject"]!["kind"] == "HorizontalPodAutoscaler"), $"event {reason}: {message}");

    private static JsonNode Condition(JsonObject status, string type) => status["conditions"]!.AsArray().Single(x => (string?)x!["type"] == type)!;

    [Fact]
    public async Task Usage_above_the_target_scales_up_as_far_as_is_allowed()
    {
        await Web(2, 2);
        await Autoscale(Percent(40)); // 100 % of the request: 2 × 2.5 = 5
        await Event("SuccessfulRescale", "New size: 4; reason: memory resource utilization (percentage of request) above target");
        Assert.Equal(4, await Replicas());
        var status = await Status("ScalingLimited", "TooManyReplicas");
        Assert.Equal(4, (int)status["desiredReplicas"]!);
        Assert.NotNull(status["lastScaleTime"]);
        Assert.Equal("""[{"type":"Resource","resource":{"name":"memory","current":{"averageValue":"100Mi","averageUtilization":100}}}]""", status["currentMetrics"]!.ToJsonString());
        Assert.Equal(("True", "ValidMetricFound"), ((string?)Condition(status, "ScalingActive")["status"], (string?)Condition(status, "ScalingActive")["reason"]));
    }

    [Fact]
    public async Task Usage_below_the_target_scales_down_when_its_window_has_passed()
    {
        await Web(2, 2);
        await Autoscale(Memory("\"type\":\"AverageValue\",\"averageValue\":\"200Mi\""));
        var status = await Status("AbleToScale", "ScaleDownStabilized");
        Assert.Equal(2, (int)status["desiredReplicas"]!);
        await Merge(Kind.HorizontalPodAutoscaler, "web", """{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":0}}}}""");
        await Event("SuccessfulRescale", "New size: 1; reason: All metrics below target");
        Assert.Equal(1, await Replicas());
    }

    [Fact]
    public async Task Within_the_tolerance_nothing_is_scaled()
    {
        await Web(2, 2);
        await Autoscale(Percent(95));
        var status = await Status("ScalingLimited", "DesiredWithinRange");
        Assert.Equal(("ReadyForNewScale", 2, 2), ((string?)Condition(status, "AbleToScale")["reason"], (int)status["currentReplicas"]!, (int)status["desiredReplicas"]!));
        Assert.Null(status["lastScaleTime"]);
        _memory = "101Mi"; // the next look sees another average
        await Eventually.Async(async () => (await Status("ScalingLimited", "DesiredWithinRange"))["currentMetrics"]![0]!["resource"]!["current"]!["averageValue"]!.ToString() == "101Mi", "the new average");
        Assert.Equal(2, await Replicas());
    }

    [Theory]
    [InlineData(7, 4, "Current number of replicas above Spec.MaxReplicas")]
    [InlineData(1, 2, "Current number of replicas below Spec.MinReplicas")]
    public async Task Outside_of_its_range_no_metric_is_asked(int replicas, int becomes, string why)
    {
        _memory = null;
        await Web(replicas, 0);
        await Autoscale(Percent(50), least: 2);
        await Event("SuccessfulRescale", $"New size: {becomes}; reason: {why}");
        Assert.Equal(becomes, await Replicas());
    }

    [Fact]
    public async Task Zero_replicas_switch_it_off()
    {
        await Web(0, 0);
        await Autoscale(Percent(50));
        var status = await Status("ScalingActive", "ScalingDisabled");
        Assert.Equal("False", (string?)Condition(status, "ScalingActive")["status"]);
        Assert.Equal(0, await Replicas());
    }

    [Fact]
    public async Task Usage_that_nobody_tells_is_said_and_changes_nothing()
    {
        _memory = null;
        await Web(3, 3);
        await Autoscale(Percent(50));
        const string Why = "failed to get memory utilization: unable to get metrics for resource memory: no metrics returned from resource metrics API";
        var status = await Status("ScalingActive", "FailedGetResourceMetric");
        Assert.Equal("the HPA was unable to compute the replica count: " + Why, (string?)Condition(status, "ScalingActive")["message"]);
        await Event("FailedGetResourceMetric", Why);
        await Event("FailedComputeMetricsReplicas", "invalid metrics (1 invalid out of 1), first error is: " + Why);
        Assert.Equal(3, await Replicas());
        _memory = "100Mi"; // and when it is told again
        await Event("SuccessfulRescale", "New size: 4; reason: memory resource utilization (percentage of request) above target");
    }

    [Theory]
    [InlineData("""{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"1k"} } }""", "FailedGetPodsMetric", "unable to get metric rps: unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered")]
    [InlineData("""{"type":"External","external":{"metric":{"name":"queue"},"target":{"type":"Value","value":"5"} } }""", "FailedGetExternalMetric", "unable to get external metric default/queue: unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue.external.metrics.k8s.io)")]
    [InlineData("""{"type":"Object","object":{"metric":{"name":"hits"},"describedObject":{"kind":"Service","name":"web"},"target":{"type":"Value","value":"5"} } }""", "FailedGetObjectMetric", "unable to get metric hits: Service on default web/unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered")]
    [InlineData("""{"type":"ContainerResource","containerResource":{"name":"memory","container":"none","target":{"type":"Utilization","averageUtilization":50} } }""", "FailedGetContainerResourceMetric", "")]
    public async Task Metrics_that_are_not_served_are_named(string metric, string reason, string why)
    {
        await Web(2, 2);
        await Autoscale(metric);
        var condition = Condition(await Status("ScalingActive", reason), "ScalingActive");
        Assert.Equal("False", (string?)condition["status"]);
        if (why.Length > 0) Assert.Equal("the HPA was unable to compute the replica count: " + why, (string?)condition["message"]);
        Assert.Equal(2, await Replicas());
    }

    [Fact]
    public async Task Of_several_for_the_same_pods_none_scales()
    {
        await Web(2, 2);
        await Autoscale(Percent(40));
        await Event("SuccessfulRescale", "New size: 4; reason: memory resource utilization (percentage of request) above target");
        await Create(Kind.Deployment, Cluster.WebDeployment(1).Replace("\"name\":\"web\"", "\"name\":\"twin\"", StringComparison.Ordinal));
        await Create(Kind.HorizontalPodAutoscaler, $$"""{"metadata":{"name":"other"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"twin"},"maxReplicas":4,"metrics":[{{Percent(40)}}]} }""");
        const string Why = "pods by selector app=web are controlled by multiple HPAs: [{other default} {web default}]";
        var status = await Status("ScalingActive", "AmbiguousSelector");
        Assert.Equal(("False", Why), ((string?)Condition(status, "ScalingActive")["status"], (string?)Condition(status, "ScalingActive")["message"]));
        await Event("AmbiguousSelector", Why);
        Assert.Equal(1, Deployment.Read((await Api.Get(ResourceKey.Of(Kind.Deployment, "default", "twin"), stop: Stop)).Json).Spec.Replicas);

        // And when there is one again.
        await Api.Delete(ResourceKey.Of(Kind.HorizontalPodAutoscaler, "default", "other"), stop: Stop);
        await Status("ScalingActive", "ValidMetricFound");
    }

    [Fact]
    public async Task One_that_went_while_it_was_looked_at_keeps_none_from_scaling()
    {
        await Web(2, 2);
        await Create(Kind.Deployment, Cluster.WebDeployment(1).Replace("\"name\":\"web\"", "\"name\":\"twin\"", StringComparison.Ordinal));
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var looks = 0;
        _beforeScale = key =>
        {
            if (key.Name == "twin")
            {
                asked.TrySetResult();
                return gate.Task;
            }
            Interlocked.Increment(ref looks);
            return Task.CompletedTask;
        };
        await Create(Kind.HorizontalPodAutoscaler, $$"""{"metadata":{"name":"other"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"twin"},"maxReplicas":4,"metrics":[{{Percent(40)}}]} }""");
        await asked.Task.WaitAsync(Stop);
        await Api.Delete(ResourceKey.Of(Kind.HorizontalPodAutoscaler, "default", "other"), stop: Stop);
        await Autoscale(Percent(100));
        await Status("ScalingActive", "ValidMetricFound"); // and so the deletion before it has been seen
        gate.SetResult();
        var before = Volatile.Read(ref looks);
        await Eventually.Async(() => Task.FromResult(Volatile.Read(ref looks) > before + 5), "the other's look is over");
        _memory = "200Mi";
        await Event("SuccessfulRescale", "New size: 4; reason: memory resource utilization (percentage of request) above target");
    }

    [Fact]
    public async Task What_is_not_known_stands_against_scaling_down_alone()
    {
        await Web(2, 2);
        const string Unknown = """,{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"1k"} } }""";
        await Autoscale(Percent(400) + Unknown, more: ""","behavior":{"scaleDown":{"stabilizationWindowSeconds":0} }""");
        await Status("ScalingActive", "FailedGetPodsMetric");
        Assert.Equal(2, await Replicas());
        _memory = "1Gi";
        await Event("SuccessfulRescale", "New size: 4; reason: memory resource utilization (percentage of request) above target");
    }

    [Theory]
    [InlineData(""" "apiVersion":"apps/v1","kind":"Deployment","name":"other" """, "deployments.apps \"other\" not found")]
    [InlineData(""" "apiVersion":"shop/v1","kind":"Basket","name":"b" """, "no matches for kind \"Basket\" in group \"shop\"")]
    public async Task A_target_that_is_not_there_is_named(string target, string why)
    {
        await Autoscale(Percent(50), target: target);
        var status = await Status("AbleToScale", "FailedGetScale");
        Assert.Equal("the HPA controller was unable to get the target's current scale: " + why, (string?)Condition(status, "AbleToScale")["message"]);
        await Event("FailedGetScale", why);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_custom_object_with_a_scale_is_scaled(bool hasSelector)
    {
        await Web(1, 1);
        await Api.Create(ResourceKey.Of(Kind.CustomResourceDefinition, "", ""), Encoding.UTF8.GetBytes($$$"""
            {"metadata":{"name":"farms.shop.example"},"spec":{"group":"shop.example","scope":"Namespaced","names":{"kind":"Farm","plural":"farms"},
             "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
               "properties":{"spec":{"type":"object","properties":{"count":{"type":"integer"} } },"status":{"type":"object","properties":{"count":{"type":"integer"},"selector":{"type":"string"} } } } } },
               "subresources":{"status":{},"scale":{"specReplicasPath":".spec.count","statusReplicasPath":".status.count","labelSelectorPath":".status.selector"} } }]} }
            """), stop: Stop);
        await Eventually.Async(async () => CustomResourceDefinition.Read((await Api.Get(ResourceKey.Of(Kind.CustomResourceDefinition, "", "farms.shop.example"), stop: Stop)).Json).Served() is not null, "established");
        var kind = new Kind { Group = "shop.example", Version = "v1", Name = "Farm", Plural = "farms", Namespaced = true };
        await Create(kind, """{"apiVersion":"shop.example/v1","kind":"Farm","metadata":{"name":"f"},"spec":{"count":1} }""");
        if (hasSelector) await Merge(kind, "f", """{"status":{"count":1,"selector":"app=web"} }""", "status");
        await Autoscale(Percent(50), target: """ "apiVersion":"shop.example/v1","kind":"Farm","name":"f" """);
        if (!hasSelector)
        {
            await Status("ScalingActive", "InvalidSelector");
            return;
        }
        await Event("SuccessfulRescale", "New size: 2; reason: memory resource utilization (percentage of request) above target");
        Assert.Equal(2, (int)JsonNode.Parse((await Api.Get(ResourceKey.Of(kind, "default", "f"), stop: Stop)).Json.Span)!["spec"]!["count"]!);
    }

    private sealed class SlowScales(IApi inner, Func<ResourceKey, Task> before) : IApi
    {
        public async Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default)
        {
            if (subresource == "scale") await before(key).WaitAsync(stop);
            return await inner.Get(key, subresource, stop);
        }

        public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => inner.List(request, stop);

        public IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, CancellationToken stop = default) => inner.Watch(request, stop);

        public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => inner.Create(key, json, options, stop);

        public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => inner.Update(key, json, options, stop);

        public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => inner.Patch(key, kind, patch, options, stop);

        public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => inner.Delete(key, options, stop);
    }
}
