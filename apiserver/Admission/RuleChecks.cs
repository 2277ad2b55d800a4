using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Strategies;

namespace Declarative.ApiServer.Admission;

/// <summary>Defaults and checks of the rules that webhooks and policies have in common.</summary>
internal static class RuleChecks
{
    public static void Default(JsonArray? rules)
    {
        foreach (var rule in rules?.OfType<JsonObject>() ?? []) rule.Default("scope", "*");
    }

    public static void Check(JsonArray? rules, string path, List<StatusCause> causes)
    {
        for (var i = 0; i < (rules?.Count ?? 0); i++)
        {
            if (rules![i] is not JsonObject rule) continue;
            foreach (var name in (ReadOnlySpan<string>)["operations", "apiGroups", "apiVersions", "resources"])
            {
                var given = OperationRule.Texts(rule, name);
                if (given.Count == 0) causes.Add(Metadata.Required($"{path}[{i}].{name}"));
                else if (given.Count > 1 && given.Contains("*")) causes.Add(Metadata.Invalid($"{path}[{i}].{name}", string.Join(", ", given), "if '*' is present, must not specify other values"));
            }
            foreach (var operation in OperationRule.Texts(rule, "operations"))
            {
                PodValidation.OneOf(operation, ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"], $"{path}[{i}].operations", causes);
            }
            PodValidation.OneOf(rule.Text("scope"), ["*", "Cluster", "Namespaced"], $"{path}[{i}].scope", causes);
        }
    }
}
