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
        spec.Default("replicas", 1);
        var template = spec.Need("template");
        template.Need("metadata");
        PodDefaults.Apply(template.Need("spec"));
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        if (spec.Number("replicas") is < 0 and var replicas) causes.Add(Metadata.Invalid("spec.replicas", replicas.ToString(CultureInfo.InvariantCulture), "must be greater than or equal to 0"));
        if (spec.Number("minReadySeconds") is < 0) causes.Add(Metadata.Invalid("spec.minReadySeconds", "", "must be greater than or equal to 0"));
        var template = spec.Need("template");
        PodValidation.Spec(template.Need("spec"), "spec.template.spec", causes);
        if (template.Need("spec").Text("restartPolicy") is not "Always" and var policy)
        {
            causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{policy}\": supported values: \"Always\"", "spec.template.spec.restartPolicy"));
        }
        Selector(spec, template, causes);
        Immutable(json, old, "spec", "selector", causes);
    }

    public override void Warn(JsonObject json, JsonObject? old, ICollection<string> warnings) =>
        PodValidation.Warn(json.Need("spec").Need("template").Need("spec"), "spec.template.spec", warnings);

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
            causes.Add(Metadata.Invalid("spec.selector", "{}", "empty selector is invalid: it would select every pod"));
            return;
        }
        var labels = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in template.Need("metadata").Object("labels") ?? []) labels[name] = value?.GetValue<string>() ?? "";
        if (!parsed.Matches(labels))
        {
            causes.Add(Metadata.Invalid("spec.template.metadata.labels", JsonSerializer.Serialize(labels), $"`selector` ({parsed}) does not match template `labels`"));
        }
    }
}

internal sealed class DeploymentStrategy : WorkloadStrategy
{
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
        var strategy = json.Need("spec").Need("strategy");
        var type = strategy.Text("type");
        PodValidation.OneOf(type, ["RollingUpdate", "Recreate"], "spec.strategy.type", causes);
        var rolling = strategy.Object("rollingUpdate");
        if (type == "Recreate" && rolling is not null)
        {
            causes.Add(new("FieldValueForbidden", "Forbidden: may not be specified when strategy `type` is 'Recreate'", "spec.strategy.rollingUpdate"));
        }
        if (type == "RollingUpdate" && rolling is not null && Amount(rolling, "maxSurge", causes) == 0 && Amount(rolling, "maxUnavailable", causes) == 0)
        {
            causes.Add(Metadata.Invalid("spec.strategy.rollingUpdate.maxUnavailable", "0", "may not be 0 when `maxSurge` is 0"));
        }
    }

    private static int Amount(JsonObject rolling, string name, List<StatusCause> causes)
    {
        var node = rolling[name];
        if (rolling.Number(name) is { } number)
        {
            if (number < 0) causes.Add(Metadata.Invalid($"spec.strategy.rollingUpdate.{name}", number.ToString(CultureInfo.InvariantCulture), "must be greater than or equal to 0"));
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
}
