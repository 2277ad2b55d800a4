using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>What may change in a pod that is there (Kubernetes: ValidatePodUpdate).</summary>
internal static class PodUpdateValidation
{
    private const string Changeable = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        + "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

    public static void Check(JsonObject spec, JsonObject old, List<StatusCause> causes)
    {
        var part = new Part(spec, "spec", causes);
        foreach (var list in (ReadOnlySpan<string>)["containers", "initContainers"])
        {
            if ((spec.List(list)?.Count ?? 0) == (old.List(list)?.Count ?? 0)) continue;
            part.Forbidden(list, "pod updates may not add or remove containers");
            return;
        }
        Deadline(part, old);
        Tolerations(part, old);
        Gates(part, old);
        var (wanted, present) = ((JsonObject)spec.DeepClone(), (JsonObject)old.DeepClone());
        foreach (var each in (ReadOnlySpan<JsonObject>)[wanted, present])
        {
            foreach (var name in (ReadOnlySpan<string>)["activeDeadlineSeconds", "tolerations", "schedulingGates"]) each.Remove(name);
            foreach (var list in (ReadOnlySpan<string>)["containers", "initContainers"])
            {
                foreach (var container in each.List(list) ?? []) (container as JsonObject)?.Remove("image");
            }
        }
        if (old.Number("terminationGracePeriodSeconds") < 0 && spec.Number("terminationGracePeriodSeconds") == 1) wanted["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]!.DeepClone();
        // A pod that waits behind gates may be narrowed to fewer nodes.
        if (old.List("schedulingGates") is { Count: > 0 } && Extends(wanted.Object("nodeSelector"), present.Object("nodeSelector"))) Canonical.CopyMember(present, wanted, "nodeSelector");
        if (JsonNode.DeepEquals(wanted, present)) return;
        var changed = Differing(wanted, present, "spec").Take(5);
        causes.Add(new("FieldValueForbidden", $"Forbidden: {Changeable}\nchanged: {string.Join(", ", changed)}", "spec"));
    }

    private static void Deadline(Part spec, JsonObject old)
    {
        var (now, before) = (spec.Number("activeDeadlineSeconds"), old.Number("activeDeadlineSeconds"));
        if (now == before) return;
        if (now is null) spec.Causes.Add(Metadata.InvalidJson(spec.At("activeDeadlineSeconds"), null, "must not update from a positive integer to nil value"));
        else if (now is < 1 or > int.MaxValue) spec.InRange("activeDeadlineSeconds", 1, int.MaxValue);
        else if (now > before) spec.Invalid("activeDeadlineSeconds", "must be less than or equal to previous value");
    }

    private static void Tolerations(Part spec, JsonObject old)
    {
        var present = (spec.Json.List("tolerations") ?? []).OfType<JsonObject>().Select(Key).ToHashSet();
        if ((old.List("tolerations") ?? []).OfType<JsonObject>().All(x => present.Contains(Key(x))))
        {
            SchedulingValidation.Tolerations(spec);
            return;
        }
        spec.Forbidden("tolerations", "existing toleration can not be modified except its tolerationSeconds");

        static (string, string, string, string) Key(JsonObject x) => (x.Text("key"), x.Text("operator"), x.Text("value"), x.Text("effect"));
    }

    private static void Gates(Part spec, JsonObject old)
    {
        var before = (old.List("schedulingGates") ?? []).OfType<JsonObject>().Select(x => x.Text("name")).ToHashSet(StringComparer.Ordinal);
        foreach (var gate in spec.Items("schedulingGates"))
        {
            if (before.Contains(gate.Text("name"))) continue;
            spec.Forbidden("schedulingGates", $"only deletion is allowed, but found new scheduling gate '{gate.Text("name")}'");
        }
    }

    private static bool Extends(JsonObject? wanted, JsonObject? present) => (present ?? []).All(x => JsonNode.DeepEquals(wanted?[x.Key], x.Value));

    private static IEnumerable<string> Differing(JsonNode? a, JsonNode? b, string path)
    {
        if (JsonNode.DeepEquals(a, b)) return [];
        return (a, b) switch
        {
            (JsonObject x, JsonObject y) => x.Select(m => m.Key).Union(y.Select(m => m.Key)).SelectMany(name => Differing(x[name], y[name], $"{path}.{name}")),
            (JsonArray x, JsonArray y) when x.Count == y.Count => Enumerable.Range(0, x.Count).SelectMany(i => Differing(x[i], y[i], $"{path}[{i}]")),
            _ => [path],
        };
    }
}
