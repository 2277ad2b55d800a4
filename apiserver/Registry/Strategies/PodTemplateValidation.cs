using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Pod templates in workloads (Kubernetes: ValidatePodTemplateSpec and what apps and batch add to it).</summary>
internal static class PodTemplateValidation
{
    /// <param name="owner">The spec that holds the template.</param>
    /// <param name="before">The same spec as it was stored; a template that has not changed is not looked at again, so that objects older than a rule stay writable.</param>
    /// <param name="path">Path of <paramref name="owner"/>.</param>
    /// <param name="causes">Takes what is wrong.</param>
    /// <param name="kind">The workload, where its pods run until they are deleted: activeDeadlineSeconds and another restartPolicy than Always make no sense there.</param>
    /// <param name="claims">Names of the claim templates of a StatefulSet.</param>
    public static void Check(JsonObject owner, JsonObject? before, string path, List<StatusCause> causes, string? kind, params IEnumerable<string> claims)
    {
        var template = owner.Need("template");
        if (before is not null && JsonNode.DeepEquals(template, before["template"])) return;
        var at = $"{path}.template";
        new Part(template, at, causes).Child("metadata")?.Labels("labels");
        var spec = template.Need("spec");
        PodValidation.Spec(spec, $"{at}.spec", causes, claims);
        if (spec.List("ephemeralContainers") is { Count: > 0 }) causes.Add(Rules.Forbidden($"{at}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"));
        if (kind is null) return;
        if (spec.Text("restartPolicy") is not "Always" and var policy)
        {
            causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{policy}\": supported values: \"Always\"", $"{at}.spec.restartPolicy"));
        }
        if (spec["activeDeadlineSeconds"] is not null) causes.Add(Rules.Forbidden($"{at}.spec.activeDeadlineSeconds", $"activeDeadlineSeconds in {kind} is not Supported"));
    }
}
