using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>What one metric of an autoscaler says.</summary>
/// <param name="Name">As events name it.</param>
/// <param name="Current">Its row of status.currentMetrics.</param>
/// <param name="Reason">Of the condition and event of a failure, such as FailedGetResourceMetric; "" = none.</param>
/// <param name="Error">What failed; "" = nothing.</param>
internal sealed record MetricReading(string Name, int Replicas, JsonObject Current, string Reason = "", string Error = "")
{
    /// <summary>Metrics of applications come from an adapter, which is an aggregated API server: there is none here. In the words of Kubernetes' controller without one.</summary>
    private const string NoCustomMetrics = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";

    public bool IsValid => Reason.Length == 0;

    public static MetricReading Of(MetricSpec metric, int current, TargetPods pods, Tolerances tolerances, ReplicaCalculator calculator) => metric switch
    {
        { Type: "Resource", Resource: { } source } => OfResource(new() { Name = source.Name, Target = source.Target }, "Resource", "resource", $"{source.Name} resource", current, pods, tolerances, calculator),
        { Type: "ContainerResource", ContainerResource: { } source } =>
            OfResource(source, "ContainerResource", "containerResource", $"{source.Name} container resource", current, pods, tolerances, calculator),
        { Type: "Pods", Pods.Metric.Name: var name } => Failed("FailedGetPodsMetric", $"unable to get metric {name}: {NoCustomMetrics}"),
        { Type: "Object", Object: { Metric.Name: var name, DescribedObject: var about } } =>
            Failed("FailedGetObjectMetric", $"unable to get metric {name}: {about.Kind} on {pods.Namespace} {about.Name}/{NoCustomMetrics}"),
        { Type: "External", External.Metric.Name: var name } => Failed("FailedGetExternalMetric",
            $"unable to get external metric {pods.Namespace}/{name}: unable to fetch metrics from external metrics API: the server could not find the requested resource (get {name}.external.metrics.k8s.io)"),
        _ => Failed("InvalidMetricSourceType", $"unknown metric source type {metric.Type}"),
    };

    /// <param name="source">Without a container = all of the pod together.</param>
    private static MetricReading OfResource(ContainerResourceMetricSource source, string type, string member, string name, int current, TargetPods pods, Tolerances tolerances, ReplicaCalculator calculator)
    {
        var (reason, target) = ($"FailedGet{type}Metric", source.Target);
        var byAverage = target.AverageValue is { Milli: > 0 };
        if (!byAverage && target.AverageUtilization is not > 0) return Failed(reason, "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set");
        var what = byAverage ? "usage" : "utilization";
        if (pods.UsageError.Length > 0) return Failed(reason, $"failed to get {source.Name} {what}: unable to get metrics for resource {source.Name}: {pods.UsageError}");
        var usages = PodUsage.Of(pods.Usage, source.Name, source.Container);
        var proposal = byAverage
            ? calculator.ByAverage(current, target.AverageValue!.Value, source.Name, pods.Pods, usages, tolerances)
            : calculator.ByUtilization(current, target.AverageUtilization!.Value, source.Name, source.Container, pods.Pods, usages, tolerances);
        if (proposal.Error.Length > 0) return Failed(reason, $"failed to get {source.Name} {what}: {proposal.Error}");
        var amount = new JsonObject { ["averageValue"] = new Quantity(proposal.AverageMilli).ToString() };
        if (proposal.Utilization is { } percent) amount["averageUtilization"] = percent;
        var row = new JsonObject { ["name"] = source.Name, ["current"] = amount };
        if (source.Container.Length > 0) row["container"] = source.Container;
        return new(byAverage ? name : name + " utilization (percentage of request)", proposal.Replicas, new() { ["type"] = type, [member] = row });
    }

    // Kubernetes leaves a row without a type in the place of a metric that can not be read, so that the rows stay those of spec.metrics.
    private static MetricReading Failed(string reason, string error) => new("", 0, new() { ["type"] = "" }, reason, error);
}
