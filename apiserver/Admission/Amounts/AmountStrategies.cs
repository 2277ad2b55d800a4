using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Strategies;

namespace Declarative.ApiServer.Admission.Amounts;

internal sealed class ResourceQuotaStrategy : Strategy
{
    private static readonly string[] Scopes = ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating"];

    public ResourceQuotaStrategy() => HasStatus = true;

    public override bool HasGeneration => false;

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        AmountChecks.NotNegative(spec.Object("hard"), "spec.hard", causes);
        if (old is null || !JsonNode.DeepEquals(spec["hard"], old.Object("spec")?["hard"])) QuotaNames.Check(spec.Object("hard"), "spec.hard", causes);
        foreach (var scope in OperationRule.Texts(spec, "scopes")) PodValidation.OneOf(scope, Scopes, "spec.scopes", causes);
        if (old is not null && !JsonNode.DeepEquals(spec["scopes"], old.Object("spec")?["scopes"])) causes.Add(Metadata.InvalidJson("spec.scopes", spec["scopes"], "field is immutable"));
        var selectors = spec.Object("scopeSelector")?.List("matchExpressions") ?? [];
        for (var i = 0; i < selectors.Count; i++)
        {
            if (selectors[i] is not JsonObject x) continue;
            PodValidation.OneOf(x.Text("scopeName"), Scopes, $"spec.scopeSelector.matchExpressions[{i}].scopeName", causes);
            PodValidation.OneOf(x.Text("operator"), ["DoesNotExist", "Exists", "In", "NotIn"], $"spec.scopeSelector.matchExpressions[{i}].operator", causes);
        }
    }
}

internal sealed class LimitRangeStrategy : Strategy
{
    /// <summary>A maximum is the default limit, and a default limit the default request, where these are not given.</summary>
    public override void Default(JsonObject json)
    {
        foreach (var limit in json.Object("spec")?.List("limits")?.OfType<JsonObject>() ?? [])
        {
            if (limit.Text("type") != "Container") continue;
            Fill("max", "default");
            Fill("default", "defaultRequest");
            Fill("min", "defaultRequest");

            void Fill(string from, string to)
            {
                foreach (var (name, amount) in limit.Object(from) ?? [])
                {
                    if (amount is not null) limit.Need(to).Default(name, amount.DeepClone());
                }
            }
        }
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var limits = json.Object("spec")?.List("limits") ?? [];
        for (var i = 0; i < limits.Count; i++)
        {
            if (limits[i] is not JsonObject limit) continue;
            var path = $"spec.limits[{i}]";
            if (limit.Text("type").Length == 0) causes.Add(Metadata.Required($"{path}.type"));
            foreach (var name in (ReadOnlySpan<string>)["min", "max", "default", "defaultRequest"]) AmountChecks.NotNegative(limit.Object(name), $"{path}.{name}", causes);
            NotAbove(limit, "min", "max", path, causes);
            NotAbove(limit, "default", "max", path, causes);
            NotAbove(limit, "defaultRequest", "max", path, causes);
            NotAbove(limit, "min", "default", path, causes);
            if (limit.Text("type") != "Pod") continue;
            foreach (var name in (ReadOnlySpan<string>)["default", "defaultRequest"])
            {
                if (limit.Object(name) is { Count: > 0 }) causes.Add(Rules.Forbidden($"{path}.{name}", "may not be specified when `type` is 'Pod'"));
            }
        }
    }

    private static void NotAbove(JsonObject limit, string lower, string upper, string path, List<StatusCause> causes)
    {
        foreach (var (name, amount) in limit.Object(lower) ?? [])
        {
            if (AmountChecks.TryRead(amount, out var least) && AmountChecks.TryRead(limit.Object(upper)?[name], out var most) && least > most)
            {
                causes.Add(Metadata.Invalid($"{path}.{lower}[{name}]", least.ToString(), $"{lower} value {least} is greater than {upper} value {most}"));
            }
        }
    }
}

internal static class AmountChecks
{
    public static bool TryRead(JsonNode? amount, out Quantity quantity)
    {
        quantity = default;
        return amount is not null && Quantity.TryParse(amount.GetValueKind() == System.Text.Json.JsonValueKind.String ? amount.GetValue<string>() : amount.ToJsonString(), out quantity);
    }

    public static void NotNegative(JsonObject? amounts, string path, List<StatusCause> causes)
    {
        foreach (var (name, amount) in amounts ?? [])
        {
            if (TryRead(amount, out var quantity) && quantity < Quantity.Zero) causes.Add(Metadata.Invalid($"{path}[{name}]", quantity.ToString(), "must be greater than or equal to 0"));
        }
    }
}
