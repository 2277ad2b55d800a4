using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Targets and behaviour of autoscalers (Kubernetes: pkg/apis/autoscaling/validation).</summary>
internal static class AutoscalerRules
{
    private const int WindowSecondsMax = 3600;
    private const int PeriodSecondsMax = 1800;

    public static void Target(JsonObject source, string type, string field, List<StatusCause> causes)
    {
        if (source.Object("target") is not { } target) return; // the schema asks for it
        PodValidation.OneOf(target.Text("type"), ["AverageValue", "Utilization", "Value"], field + ".target.type", causes);
        if (target.Number("averageUtilization") is < 1 and var percent) causes.Add(Metadata.Invalid(field + ".target.averageUtilization", percent, "must be greater than 0"));
        foreach (var name in (ReadOnlySpan<string>)["value", "averageValue"])
        {
            if (Quantity.TryParse(target.Text(name), out var amount) && amount <= Quantity.Zero) causes.Add(Metadata.Invalid($"{field}.target.{name}", target.Text(name), "must be positive"));
        }
        if (type is not ("Resource" or "ContainerResource")) return;
        var (hasPercent, hasAmount) = (target["averageUtilization"] is not null, target["averageValue"] is not null);
        if (hasPercent && hasAmount) causes.Add(Rules.Forbidden(field + ".target.averageValue", "may not set both a target raw value and a target utilization"));
        if (!hasPercent && !hasAmount) causes.Add(Metadata.Required(field + ".target.averageUtilization", "must set either a target raw value or a target utilization"));
    }

    public static void Behavior(JsonObject behavior, List<StatusCause> causes)
    {
        foreach (var direction in (ReadOnlySpan<string>)["scaleUp", "scaleDown"])
        {
            if (behavior.Object(direction) is { } rules) Direction(rules, "spec.behavior." + direction, causes);
        }
    }

    private static void Direction(JsonObject rules, string field, List<StatusCause> causes)
    {
        Within(rules, field, "stabilizationWindowSeconds", 0, WindowSecondsMax, causes);
        PodValidation.OneOf(rules.Text("selectPolicy"), ["Disabled", "Max", "Min"], field + ".selectPolicy", causes);
        if (Quantity.TryParse(rules.Text("tolerance"), out var tolerance) && tolerance < Quantity.Zero) causes.Add(Metadata.Invalid(field + ".tolerance", rules.Text("tolerance"), "must be greater or equal to zero"));
        if (rules["policies"] is JsonArray { Count: 0 }) causes.Add(Metadata.Required(field + ".policies", "must specify at least one Policy"));
        var policies = rules.List("policies") ?? [];
        for (var i = 0; i < policies.Count; i++)
        {
            if (policies[i] is not JsonObject policy) continue;
            PodValidation.OneOf(policy.Text("type"), ["Percent", "Pods"], $"{field}.policies[{i}].type", causes);
            Within(policy, $"{field}.policies[{i}]", "value", 1, int.MaxValue, causes);
            Within(policy, $"{field}.policies[{i}]", "periodSeconds", 1, PeriodSecondsMax, causes);
        }
    }

    private static void Within(JsonObject parent, string field, string name, long least, long most, List<StatusCause> causes)
    {
        if (parent.Number(name) is not { } number) return;
        if (number < least) causes.Add(Metadata.Invalid($"{field}.{name}", number, least == 0 ? "must be greater than or equal to zero" : "must be greater than zero"));
        if (number > most) causes.Add(Metadata.Invalid($"{field}.{name}", number, $"must be less than or equal to {most}"));
    }
}
