using System.Text.Json;

namespace Declarative.ApiServer.Tables;

internal static class WorkloadRows
{
    private const string Pods = "|*Containers|*Images|*Selector";
    public const string DeploymentColumns = "Ready|Up-to-date|Available|Age" + Pods;
    public const string ReplicaSetColumns = "#Desired|#Current|#Ready|Age" + Pods;
    public const string StatefulSetColumns = "Ready|Age|*Containers|*Images";
    public const string DaemonSetColumns = "#Desired|#Current|#Ready|#Up-to-date|#Available|Node Selector|Age" + Pods;
    public const string JobColumns = "Status|Completions|Duration|Age" + Pods;
    public const string CronJobColumns = "Schedule|Timezone|?Suspend|#Active|Last Schedule|Age" + Pods;
    public const string AutoscalerColumns = "Reference|Targets|MinPods|MaxPods|Replicas|Age";
    public const string RevisionColumns = "Controller|Revision|Age";
    public const string ScaleColumns = "#Desired|#Available|Age";

    public static Cell[] Deployment(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        return
        [
            $"{status.Number("readyReplicas")}/{spec.Number("replicas", 1)}", status.Number("updatedReplicas"), status.Number("availableReplicas"), o.Created(),
            Containers(spec), Images(spec), spec.Selector("selector"),
        ];
    }

    public static Cell[] ReplicaSet(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        return [spec.Number("replicas", 1), status.Number("replicas"), status.Number("readyReplicas"), o.Created(), Containers(spec), Images(spec), Labels(spec)];
    }

    public static Cell[] StatefulSet(JsonElement o)
    {
        var spec = o.At("spec");
        return [$"{o.At("status").Number("readyReplicas")}/{spec.Number("replicas", 1)}", o.Created(), Containers(spec), Images(spec)];
    }

    public static Cell[] DaemonSet(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        return
        [
            status.Number("desiredNumberScheduled"), status.Number("currentNumberScheduled"), status.Number("numberReady"), status.Number("updatedNumberScheduled"),
            status.Number("numberAvailable"), spec.At("template", "spec").Pairs("nodeSelector"), o.Created(), Containers(spec), Images(spec), spec.Selector("selector"),
        ];
    }

    public static Cell[] Job(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        var wanted = spec.At("completions").ValueKind == JsonValueKind.Number ? spec.Number("completions").ToString(System.Globalization.CultureInfo.InvariantCulture)
            : spec.Number("parallelism", 1) > 1 ? $"1 of {spec.Number("parallelism")}" : "1";
        var word = new[] { "Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet" }
            .FirstOrDefault(type => status.Items("conditions").Any(x => x.Text("type") == type && x.Text("status") == "True"));
        word = o.At("metadata").Text("deletionTimestamp").Length > 0 && word is null ? "Terminating" : word ?? "Running";
        Cell duration = status.Time("startTime") is not { } started ? "" : status.Time("completionTime") is { } completed ? Age.Of((completed - started).Ticks) : Cell.Since(started);
        return [word, $"{status.Number("succeeded")}/{wanted}", duration, o.Created(), Containers(spec), Images(spec), spec.Selector("selector")];
    }

    public static Cell[] CronJob(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        var last = status.Time("lastScheduleTime");
        var job = spec.At("jobTemplate", "spec");
        return
        [
            spec.Text("schedule"), spec.Text("timeZone").OrNone(), spec.IsTrue("suspend") ? "True" : "False", status.Count("active"),
            last is null ? Json.None : Cell.Since(last), o.Created(), Containers(job), Images(job), job.Selector("selector"),
        ];
    }

    public static Cell[] Autoscaler(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        var target = spec.At("scaleTargetRef");
        var targets = spec.Count("metrics") > 0 ? string.Join(", ", spec.Items("metrics").Select((metric, i) => Metric(metric, status.Items("currentMetrics").ElementAtOrDefault(i))))
            : spec.At("targetCPUUtilizationPercentage").ValueKind == JsonValueKind.Number
                ? $"cpu: {Percent(status, "currentCPUUtilizationPercentage")}/{spec.Number("targetCPUUtilizationPercentage")}%"
                : Json.None;
        return
        [
            $"{target.Text("kind")}/{target.Text("name")}", targets, spec.Text("minReplicas", "<unset>"), spec.Number("maxReplicas"),
            status.Number("currentReplicas"), o.Created(),
        ];

        static string Percent(JsonElement element, string name) => element.At(name).ValueKind == JsonValueKind.Number ? $"{element.Number(name)}%" : "<unknown>";

        static string Metric(JsonElement metric, JsonElement current)
        {
            var resource = metric.At("resource");
            if (resource.ValueKind != JsonValueKind.Object) return "<unknown>";
            var wanted = resource.At("target");
            var now = current.At("resource", "current");
            return wanted.Text("type") == "Utilization"
                ? $"{resource.Text("name")}: {Percent(now, "averageUtilization")}/{wanted.Number("averageUtilization")}%"
                : $"{resource.Text("name")}: {now.Text("averageValue", "<unknown>")}/{wanted.Text("averageValue")}";
        }
    }

    public static Cell[] Revision(JsonElement o)
    {
        var owner = o.At("metadata").Items("ownerReferences").FirstOrDefault(x => x.IsTrue("controller"));
        var name = owner.ValueKind == JsonValueKind.Object ? $"{owner.Text("kind").ToLowerInvariant()}.{owner.Text("apiVersion").Split('/')[0]}/{owner.Text("name")}" : Json.None;
        return [name, o.Number("revision"), o.Created()];
    }

    public static Cell[] Scale(JsonElement o) => [o.At("spec").Number("replicas"), o.At("status").Number("replicas"), o.Created()];

    public static string Containers(JsonElement spec) => string.Join(',', spec.At("template", "spec").Items("containers").Select(x => x.Text("name"))).OrNone();

    public static string Images(JsonElement spec) => string.Join(',', spec.At("template", "spec").Items("containers").Select(x => x.Text("image", Json.None))).OrNone();

    // A ReplicationController's selector is a plain map.
    private static string Labels(JsonElement spec) =>
        spec.At("selector", "matchLabels").ValueKind == JsonValueKind.Object || spec.At("selector", "matchExpressions").ValueKind == JsonValueKind.Array
            ? spec.Selector("selector") : spec.Pairs("selector");
}
