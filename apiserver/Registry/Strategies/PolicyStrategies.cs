using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Autoscalers, stored as autoscaling/v2 (Kubernetes: pkg/apis/autoscaling v2 defaults and validation).</summary>
internal sealed class AutoscalerStrategy : Strategy
{
    private const int DefaultCpuPercent = 80;
    private static readonly (string Type, string Source)[] Sources =
        [("Object", "object"), ("Pods", "pods"), ("Resource", "resource"), ("ContainerResource", "containerResource"), ("External", "external")];

    public AutoscalerStrategy() => HasStatus = true;

    public override bool HasGeneration => false;

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        spec.Default("minReplicas", 1);
        if (spec.List("metrics") is { Count: > 0 }) return;
        spec["metrics"] = new JsonArray(new JsonObject
        {
            ["type"] = "Resource",
            ["resource"] = new JsonObject { ["name"] = "cpu", ["target"] = new JsonObject { ["type"] = "Utilization", ["averageUtilization"] = DefaultCpuPercent } },
        });
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        var target = spec.Object("scaleTargetRef");
        foreach (var name in (ReadOnlySpan<string>)["kind", "name"])
        {
            if ((target?.Text(name) ?? "").Length == 0) causes.Add(Metadata.Required($"spec.scaleTargetRef.{name}"));
        }
        var (least, most) = (spec.Number("minReplicas") ?? 1, spec.Number("maxReplicas") ?? 0);
        if (least < 1) causes.Add(Metadata.Invalid("spec.minReplicas", least, "must be greater than or equal to 1"));
        if (most < 1) causes.Add(Metadata.Invalid("spec.maxReplicas", most, "must be greater than 0"));
        if (most < least) causes.Add(Metadata.Invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"));
        var metrics = spec.List("metrics") ?? [];
        for (var i = 0; i < metrics.Count; i++)
        {
            if (metrics[i] is not JsonObject metric) continue;
            var type = metric.Text("type");
            if (type.Length == 0) causes.Add(Metadata.Required($"spec.metrics[{i}].type", "must specify a metric source type"));
            PodValidation.OneOf(type, [.. Sources.Select(x => x.Type)], $"spec.metrics[{i}].type", causes);
            if (Sources.FirstOrDefault(x => x.Type == type).Source is not { } source) continue;
            if (metric.Object(source) is { } of) AutoscalerRules.Target(of, type, $"spec.metrics[{i}].{source}", causes);
            else causes.Add(Metadata.Required($"spec.metrics[{i}].{source}", "must populate information for the given metric source"));
        }
        if (spec.Object("behavior") is { } behavior) AutoscalerRules.Behavior(behavior, causes);
    }
}

internal sealed class DisruptionBudgetStrategy : Strategy
{
    public DisruptionBudgetStrategy() => HasStatus = true;

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        if (spec["minAvailable"] is not null && spec["maxUnavailable"] is not null)
        {
            causes.Add(Metadata.Invalid("spec", "", "minAvailable and maxUnavailable cannot be both set"));
        }
        Rules.Amount(spec, "spec", "minAvailable", causes);
        Rules.Amount(spec, "spec", "maxUnavailable", causes);
        PodValidation.OneOf(spec.Text("unhealthyPodEvictionPolicy"), ["AlwaysAllow", "IfHealthyBudget"], "spec.unhealthyPodEvictionPolicy", causes);
    }
}

internal sealed class PriorityClassStrategy : Strategy
{
    /// <summary>Above it are the classes of the system itself.</summary>
    private const long UserValueMax = 1_000_000_000;

    public override bool HasGeneration => true;

    public override void Default(JsonObject json)
    {
        json.Default("preemptionPolicy", "PreemptLowerPriority");
        json.Default("value", 0);
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var name = Metadata.Name(json);
        var isSystems = name is "system-cluster-critical" or "system-node-critical";
        if (name.StartsWith("system-", StringComparison.Ordinal) && !isSystems)
        {
            causes.Add(Rules.Forbidden("metadata.name", "priority class names with 'system-' prefix are reserved for system use only"));
        }
        if (json.Number("value") > UserValueMax && !isSystems)
        {
            causes.Add(Rules.Forbidden("value", $"maximum allowed value of a user defined priority is {UserValueMax}"));
        }
        PodValidation.OneOf(json.Text("preemptionPolicy"), ["Never", "PreemptLowerPriority"], "preemptionPolicy", causes);
        if (old is null) return;
        if (json.Number("value") != old.Number("value")) causes.Add(Rules.Forbidden("value", "may not be changed in an update."));
        if (json.Text("preemptionPolicy") != old.Text("preemptionPolicy")) causes.Add(Metadata.Invalid("preemptionPolicy", json.Text("preemptionPolicy"), "field is immutable"));
    }
}

internal sealed class LeaseStrategy : Strategy
{
    public override bool CreatesOnUpdate => true;

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (json.Object("spec") is not { } spec) return;
        if (spec.Number("leaseDurationSeconds") is <= 0 and var seconds) causes.Add(Metadata.Invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
        Rules.NotNegative(spec, "spec", causes, "leaseTransitions");
    }
}

/// <summary>Roles and bindings (Kubernetes: pkg/apis/rbac/validation). Their names are one segment of a path: colons and capitals are allowed.</summary>
internal sealed class RbacStrategy(Kind kind) : Strategy
{
    private const string Group = "rbac.authorization.k8s.io";

    public override string? NameError(string name) => Names.PathSegmentError(name);

    public override void Default(JsonObject json)
    {
        json.Object("roleRef")?.Default("apiGroup", Group);
        foreach (var subject in (json.List("subjects") ?? []).OfType<JsonObject>())
        {
            if (subject.Text("kind") is "User" or "Group") subject.Default("apiGroup", Group);
        }
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (kind == Kind.RoleBinding || kind == Kind.ClusterRoleBinding) Binding(json, old, causes);
        else Role(json, causes);
    }

    private void Role(JsonObject json, List<StatusCause> causes)
    {
        var rules = json.List("rules") ?? [];
        for (var i = 0; i < rules.Count; i++)
        {
            if (rules[i] is not JsonObject rule) continue;
            if (rule.List("verbs") is not { Count: > 0 }) causes.Add(Metadata.Required($"rules[{i}].verbs", "verbs must contain at least one value"));
            if (rule.List("nonResourceURLs") is { Count: > 0 })
            {
                if (kind.Namespaced) causes.Add(Metadata.InvalidJson($"rules[{i}].nonResourceURLs", rule["nonResourceURLs"], "namespaced rules cannot apply to non-resource URLs"));
                if (rule.List("resources") is { Count: > 0 } || rule.List("apiGroups") is { Count: > 0 } || rule.List("resourceNames") is { Count: > 0 })
                {
                    causes.Add(Metadata.InvalidJson($"rules[{i}].nonResourceURLs", rule["nonResourceURLs"], "rules cannot apply to both regular resources and non-resource URLs"));
                }
                continue;
            }
            if (rule.List("apiGroups") is not { Count: > 0 }) causes.Add(Metadata.Required($"rules[{i}].apiGroups", "resource rules must supply at least one api group"));
            if (rule.List("resources") is not { Count: > 0 }) causes.Add(Metadata.Required($"rules[{i}].resources", "resource rules must supply at least one resource"));
        }
    }

    private void Binding(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var role = json.Object("roleRef");
        if (role is not null)
        {
            if (role.Text("apiGroup") != Group) causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{role.Text("apiGroup")}\": supported values: \"{Group}\"", "roleRef.apiGroup"));
            string[] kinds = kind.Namespaced ? ["ClusterRole", "Role"] : ["ClusterRole"];
            if (role.Text("kind").Length == 0) causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"\": supported values: {string.Join(", ", kinds.Select(x => $"\"{x}\""))}", "roleRef.kind"));
            PodValidation.OneOf(role.Text("kind"), kinds, "roleRef.kind", causes);
            if (role.Text("name").Length == 0) causes.Add(Metadata.Required("roleRef.name"));
        }
        if (old is not null && !JsonNode.DeepEquals(role, old["roleRef"])) causes.Add(Metadata.InvalidJson("roleRef", role, "cannot change roleRef"));
        var subjects = json.List("subjects") ?? [];
        for (var i = 0; i < subjects.Count; i++)
        {
            if (subjects[i] is not JsonObject subject) continue;
            if (subject.Text("name").Length == 0) causes.Add(Metadata.Required($"subjects[{i}].name"));
            if (subject.Text("kind") == "ServiceAccount" && subject.Text("namespace").Length == 0 && !kind.Namespaced) causes.Add(Metadata.Required($"subjects[{i}].namespace"));
            if (subject.Text("kind") is not ("ServiceAccount" or "User" or "Group"))
            {
                causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{subject.Text("kind")}\": supported values: \"Group\", \"ServiceAccount\", \"User\"", $"subjects[{i}].kind"));
            }
        }
    }
}
