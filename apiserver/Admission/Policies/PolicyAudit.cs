using System.Text.Json.Nodes;

namespace Declarative.ApiServer.Admission.Policies;

/// <summary>What policies leave in the audit event of a request (Kubernetes doc "Validating Admission Policy", audit annotations).</summary>
internal static class PolicyAudit
{
    public const string FailureKey = "validation.policy.admission.k8s.io/validation_failure";
    private const int ValueCharsMax = 10 * 1024;
    private const int FailuresMax = 100;

    /// <summary>One more entry in the list of failures whose binding asks for Audit.</summary>
    public static void Failure(IDictionary<string, string> annotations, Policy policy, PolicyBinding binding, int index, string message)
    {
        var list = annotations.TryGetValue(FailureKey, out var before) ? JsonNode.Parse(before)!.AsArray() : [];
        if (list.Count == FailuresMax) return;
        list.Add(new JsonObject
        {
            ["message"] = message,
            ["policy"] = policy.Name,
            ["binding"] = binding.Name,
            ["expressionIndex"] = index,
            ["validationActions"] = new JsonArray([.. binding.Actions.Select(x => (JsonNode)x)]),
        });
        annotations[FailureKey] = list.ToJsonString();
    }

    /// <summary>A policy's own annotation; what several bindings find is joined, each value once.</summary>
    public static void Add(IDictionary<string, string> annotations, Policy policy, string name, string value)
    {
        var key = $"{policy.Name}/{name}";
        value = value.Length > ValueCharsMax ? value[..ValueCharsMax] : value;
        if (!annotations.TryGetValue(key, out var before)) annotations[key] = value;
        else if (!before.Split(", ").Contains(value)) annotations[key] = $"{before}, {value}";
    }
}
