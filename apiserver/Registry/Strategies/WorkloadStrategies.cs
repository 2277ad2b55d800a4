using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>What workloads with a selector and a pod template have in common.</summary>
internal abstract class WorkloadStrategy : Strategy
{
    protected WorkloadStrategy() => HasStatus = true;

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        if (HasReplicas) spec.Default("replicas", 1);
        var template = spec.Need("template");
        template.Need("metadata");
        PodDefaults.Apply(template.Need("spec"));
    }

    protected virtual bool HasReplicas => true;

    /// <summary>As messages about its template name it.</summary>
    protected abstract string KindName { get; }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        Common(json, old, causes);
        Immutable(json, old, "spec", "selector", causes);
    }

    protected void Common(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        if (spec.Number("replicas") is < 0 and var replicas) causes.Add(Metadata.Invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
        Rules.NotNegative(spec, "spec", causes, "minReadySeconds", "revisionHistoryLimit");
        var template = spec.Need("template");
        PodTemplateValidation.Check(spec, old?.Object("spec"), "spec", causes, KindName, Claims(spec));
        if (old is null) SelectorValidation.Labels(new(spec, "spec", causes), "selector");
        Selector(spec, template, causes);
    }

    public override void Warn(JsonObject json, JsonObject? old, ICollection<string> warnings) =>
        PodValidation.Warn(json.Need("spec").Need("template").Need("spec"), "spec.template.spec", warnings);

    private static IEnumerable<string> Claims(JsonObject spec) => (spec.List("volumeClaimTemplates") ?? []).OfType<JsonObject>().Select(Metadata.Name);

    private static void Selector(JsonObject spec, JsonObject template, List<StatusCause> causes)
    {
        if (spec.Object("selector") is not { } selector)
        {
            causes.Add(Metadata.Required("spec.selector"));
            return;
        }
        var parsed = selector.Deserialize<LabelSelectorSpec>(JsonSerializerOptions.Web)!.ToSelector();
        if (parsed.IsEverything)
        {
            causes.Add(Metadata.InvalidJson("spec.selector", selector, "empty selector is invalid: it would select every pod"));
            return;
        }
        var labels = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in template.Need("metadata").Object("labels") ?? []) labels[name] = value?.GetValue<string>() ?? "";
        if (!parsed.Matches(labels))
        {
            causes.Add(Metadata.InvalidJson("spec.template.metadata.labels", template.Need("metadata").Object("labels") ?? [], $"`selector` ({parsed}) does not match template `labels`"));
        }
    }
}

internal sealed class DeploymentStrategy : WorkloadStrategy
{
    // Kubernetes names the set that a deployment makes.
    protected override string KindName => "ReplicaSet";

    public override void Default(JsonObject json)
    {
        base.Default(json);
        var spec = json.Need("spec");
        spec.Default("revisionHistoryLimit", 10);
        spec.Default("progressDeadlineSeconds", 600);
        var strategy = spec.Need("strategy");
        strategy.Default("type", "RollingUpdate");
        if (strategy.Text("type") != "RollingUpdate") return;
        var rolling = strategy.Need("rollingUpdate");
        rolling.Default("maxUnavailable", "25%");
        rolling.Default("maxSurge", "25%");
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        base.Validate(json, old, causes);
        var spec = json.Need("spec");
        Rules.NotNegative(spec, "spec", causes, "progressDeadlineSeconds");
        if (spec.Number("progressDeadlineSeconds") is { } deadline && deadline <= (spec.Number("minReadySeconds") ?? 0))
        {
            causes.Add(Metadata.Invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"));
        }
        var strategy = spec.Need("strategy");
        var type = strategy.Text("type");
        PodValidation.OneOf(type, ["RollingUpdate", "Recreate"], "spec.strategy.type", causes);
        var rolling = strategy.Object("rollingUpdate");
        if (type == "Recreate" && rolling is not null)
        {
            causes.Add(new("FieldValueForbidden", "Forbidden: may not be specified when strategy `type` is 'Recreate'", "spec.strategy.rollingUpdate"));
        }
        if (type == "RollingUpdate" && rolling is not null && Amount(rolling, "maxSurge", causes) == 0 && Amount(rolling, "maxUnavailable", causes) == 0)
        {
            causes.Add(Metadata.InvalidJson("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0"));
        }
    }

    private static int Amount(JsonObject rolling, string name, List<StatusCause> causes)
    {
        var node = rolling[name];
        if (rolling.Number(name) is { } number)
        {
            if (number < 0) causes.Add(Metadata.Invalid($"spec.strategy.rollingUpdate.{name}", number, "must be greater than or equal to 0"));
            return (int)number;
        }
        var text = rolling.Text(name);
        if (text.EndsWith('%') && int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var percent)) return percent;
        if (node is not null) causes.Add(Metadata.Invalid($"spec.strategy.rollingUpdate.{name}", text, "must be a number or a percentage such as '25%'"));
        return 0;
    }
}

internal sealed class ReplicaSetStrategy : WorkloadStrategy
{
    public override IReadOnlyList<string> SelectableFields => ["status.replicas"];

    protected override string KindName => "ReplicaSet";
}

internal sealed class StatefulSetStrategy : WorkloadStrategy
{
    protected override string KindName => "StatefulSet";

    private static readonly string[] Changeable = ["replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"];

    public override void Default(JsonObject json)
    {
        base.Default(json);
        var spec = json.Need("spec");
        spec.Default("podManagementPolicy", "OrderedReady");
        spec.Default("revisionHistoryLimit", 10);
        var update = spec.Need("updateStrategy");
        update.Default("type", "RollingUpdate");
        if (update.Text("type") == "RollingUpdate") update.Need("rollingUpdate").Default("partition", 0);
        var retention = spec.Need("persistentVolumeClaimRetentionPolicy");
        retention.Default("whenDeleted", "Retain");
        retention.Default("whenScaled", "Retain");
        foreach (var claim in (spec.List("volumeClaimTemplates") ?? []).OfType<JsonObject>())
        {
            claim.Default("apiVersion", "v1");
            claim.Default("kind", "PersistentVolumeClaim");
            claim.Need("spec").Default("volumeMode", "Filesystem");
            claim.Default("status", new JsonObject { ["phase"] = "Pending" });
        }
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        PodValidation.OneOf(spec.Text("podManagementPolicy"), ["OrderedReady", "Parallel"], "spec.podManagementPolicy", causes);
        PodValidation.OneOf(spec.Need("updateStrategy").Text("type"), ["RollingUpdate", "OnDelete"], "spec.updateStrategy.type", causes);
        if (spec.Need("updateStrategy").Object("rollingUpdate") is { } rolling) Rules.NotNegative(rolling, "spec.updateStrategy.rollingUpdate", causes, "partition");
        foreach (var name in (ReadOnlySpan<string>)["whenDeleted", "whenScaled"])
        {
            PodValidation.OneOf(spec.Need("persistentVolumeClaimRetentionPolicy").Text(name), ["Retain", "Delete"], $"spec.persistentVolumeClaimRetentionPolicy.{name}", causes);
        }
        if (spec.Object("ordinals") is { } ordinals) Rules.NotNegative(ordinals, "spec.ordinals", causes, "start");
        // One message for everything that can not change is what Kubernetes gives; the selector is part of it.
        Common(json, old, causes);
        if (old?.Object("spec") is { } before && Rules.DiffersBeside(spec, before, Changeable))
        {
            causes.Add(Rules.Forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
        }
    }
}

internal sealed class DaemonSetStrategy : WorkloadStrategy
{
    protected override bool HasReplicas => false;

    protected override string KindName => "DaemonSet";

    public override void Default(JsonObject json)
    {
        base.Default(json);
        var spec = json.Need("spec");
        spec.Default("revisionHistoryLimit", 10);
        var update = spec.Need("updateStrategy");
        update.Default("type", "RollingUpdate");
        if (update.Text("type") != "RollingUpdate") return;
        var rolling = update.Need("rollingUpdate");
        rolling.Default("maxUnavailable", 1);
        rolling.Default("maxSurge", 0);
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        base.Validate(json, old, causes);
        var update = json.Need("spec").Need("updateStrategy");
        PodValidation.OneOf(update.Text("type"), ["RollingUpdate", "OnDelete"], "spec.updateStrategy.type", causes);
        if (update.Object("rollingUpdate") is not { } rolling) return;
        Rules.Amount(rolling, "spec.updateStrategy.rollingUpdate", "maxUnavailable", causes);
        Rules.Amount(rolling, "spec.updateStrategy.rollingUpdate", "maxSurge", causes);
        if (IsZero(rolling["maxUnavailable"]) == IsZero(rolling["maxSurge"]))
        {
            causes.Add(Metadata.InvalidJson("spec.updateStrategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], "exactly one of maxUnavailable and maxSurge must be above 0"));
        }
    }

    private static bool IsZero(JsonNode? amount) => Rules.Text(amount) is "0" or "0%" or "null";
}

/// <summary>A controller of the core group: its selector is a map, and by default the labels of its template.</summary>
internal sealed class ReplicationControllerStrategy : Strategy
{
    public ReplicationControllerStrategy() => HasStatus = true;

    public override IReadOnlyList<string> SelectableFields => ["status.replicas"];

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        spec.Default("replicas", 1);
        var template = spec.Need("template");
        if (template.Object("metadata")?.Object("labels") is { Count: > 0 } labels)
        {
            if (spec.Object("selector") is not { Count: > 0 }) spec["selector"] = labels.DeepClone();
            if (Metadata.Of(json).Object("labels") is not { Count: > 0 }) Metadata.Of(json)["labels"] = labels.DeepClone();
        }
        PodDefaults.Apply(template.Need("spec"));
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        Rules.NotNegative(spec, "spec", causes, "replicas", "minReadySeconds");
        var selector = spec.Object("selector") ?? [];
        if (selector.Count == 0) causes.Add(Metadata.Required("spec.selector"));
        var labels = spec.Need("template").Object("metadata")?.Object("labels") ?? [];
        if (selector.Any(x => !JsonNode.DeepEquals(labels[x.Key], x.Value)))
        {
            causes.Add(Metadata.InvalidJson("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
        }
        PodTemplateValidation.Check(spec, old?.Object("spec"), "spec", causes, "ReplicationController");
    }
}
