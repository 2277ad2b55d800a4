using System.Text.Json;
using System.Text.Json.Nodes;

namespace Declarative.ApiServer.Registry.Versions;

/// <summary>
/// autoscaling/v1 knows one metric, the CPU utilisation; the other metrics, the behaviour and the conditions of v2 stand in its annotations
/// (Kubernetes: pkg/apis/autoscaling/v1 conversion), here in v2's own form.
/// </summary>
internal static class AutoscalerVersions
{
    private const string Prefix = "autoscaling.alpha.kubernetes.io/";
    private static readonly (string Annotation, string Parent, string Field)[] Kept =
    [
        ("metrics", "spec", "metrics"),
        ("behavior", "spec", "behavior"),
        ("current-metrics", "status", "currentMetrics"),
        ("conditions", "status", "conditions"),
    ];

    public static void ToV1(JsonObject json)
    {
        if (TakeCpu(json.Object("spec"), "metrics", "target", "averageUtilization") is { } target) json.Need("spec")["targetCPUUtilizationPercentage"] = target;
        if (TakeCpu(json.Object("status"), "currentMetrics", "current", "averageUtilization") is { } current) json.Need("status")["currentCPUUtilizationPercentage"] = current;
        foreach (var (annotation, parent, field) in Kept)
        {
            if (json.Object(parent) is not { } from || !from.Remove(field, out var value) || value is null or JsonArray { Count: 0 }) continue;
            Metadata.Of(json).Need("annotations")[Prefix + annotation] = value.ToJsonString();
        }
    }

    public static void ToV2(JsonObject json)
    {
        if (Metadata.Of(json).Object("annotations") is { } annotations)
        {
            foreach (var (annotation, parent, field) in Kept)
            {
                if (!annotations.Remove(Prefix + annotation, out var text) || Parse(text) is not { } value) continue;
                json.Need(parent)[field] = value;
            }
            if (annotations.Count == 0) Metadata.Of(json).Remove("annotations");
        }
        PutCpu(json.Object("spec"), "targetCPUUtilizationPercentage", "metrics", "target", withType: true);
        PutCpu(json.Object("status"), "currentCPUUtilizationPercentage", "currentMetrics", "current", withType: false);
    }

    private static JsonNode? TakeCpu(JsonObject? parent, string list, string part, string field)
    {
        if (parent?.List(list) is not { } metrics) return null;
        foreach (var metric in metrics.OfType<JsonObject>())
        {
            if (metric.Text("type") != "Resource" || metric.Object("resource") is not { } resource || resource.Text("name") != "cpu") continue;
            if (resource.Object(part)?[field] is not { } value) continue;
            metrics.Remove(metric);
            return value.DeepClone();
        }
        return null;
    }

    private static void PutCpu(JsonObject? parent, string field, string list, string part, bool withType)
    {
        if (parent is null || !parent.Remove(field, out var value) || value is null) return;
        var amount = new JsonObject();
        if (withType) amount["type"] = "Utilization";
        amount["averageUtilization"] = value;
        if (parent.List(list) is not { } metrics) parent[list] = metrics = [];
        metrics.Insert(0, new JsonObject { ["type"] = "Resource", ["resource"] = new JsonObject { ["name"] = "cpu", [part] = amount } });
    }

    // The annotation is a user's text: what is no JSON list or object of v2 is left out, as Kubernetes does.
    private static JsonNode? Parse(JsonNode? text)
    {
        if (text is not JsonValue value || !value.TryGetValue<string>(out var json)) return null;
        try
        {
            return JsonNode.Parse(json) is JsonArray or JsonObject ? JsonNode.Parse(json) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
