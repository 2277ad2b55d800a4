using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.CustomResources;

/// <summary>What Kubernetes asks of a CustomResourceDefinition beside the form of its fields.</summary>
internal static class DefinitionRules
{
    private const int SelectableFieldsMax = 8;

    public static void Check(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Object("spec") ?? [];
        var names = spec.Object("names") ?? [];
        CheckNames(json, spec, names, causes);
        if (old?.Object("spec") is { } before)
        {
            foreach (var (field, now, was) in new[] { ("group", spec.Text("group"), before.Text("group")), ("scope", spec.Text("scope"), before.Text("scope")) })
            {
                if (now != was) causes.Add(Metadata.Invalid($"spec.{field}", now, "field is immutable"));
            }
            foreach (var field in (ReadOnlySpan<string>)["plural", "kind"])
            {
                if (DefinitionStatus.Is(old, "Established") && names.Text(field) != before.Object("names")?.Text(field)) causes.Add(Metadata.Invalid($"spec.names.{field}", names.Text(field), "field is immutable"));
            }
        }
        if (spec.Flag("preserveUnknownFields")) causes.Add(Metadata.Invalid("spec.preserveUnknownFields", "true", "must be false in order to use defaults in the schema; set x-kubernetes-preserve-unknown-fields in the schema instead"));
        CheckConversion(spec, causes);
        List<JsonObject> versions = [.. spec.List("versions")?.OfType<JsonObject>() ?? []];
        if (versions.Count == 0) causes.Add(Metadata.Required("spec.versions"));
        if (versions.Count > 0 && versions.Count(x => x.Flag("storage")) != 1) causes.Add(Metadata.Invalid("spec.versions", "", "must have exactly one version marked as storage version"));
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < versions.Count; i++)
        {
            var name = versions[i].Text("name");
            if (Names.LabelError(name) is { } error) causes.Add(Metadata.Invalid($"spec.versions[{i}].name", name, error));
            if (!seen.Add(name)) causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{name}\"", $"spec.versions[{i}].name"));
            var stored = old?.Object("spec")?.List("versions")?.OfType<JsonObject>().FirstOrDefault(x => x.Text("name") == name)?["schema"];
            CheckVersion(versions[i], $"spec.versions[{i}]", stored is not null && JsonNode.DeepEquals(stored, versions[i]["schema"]), causes);
        }
        foreach (var stored in json.Object("status")?.List("storedVersions")?.OfType<JsonValue>().Select(x => x.GetValue<string>()) ?? [])
        {
            if (!seen.Contains(stored)) causes.Add(Metadata.Invalid("status.storedVersions", stored, "missing from spec.versions; objects may still be stored in it"));
        }
    }

    private static void CheckNames(JsonObject json, JsonObject spec, JsonObject names, List<StatusCause> causes)
    {
        var (group, plural, kind) = (spec.Text("group"), names.Text("plural"), names.Text("kind"));
        if (group.Length == 0) causes.Add(Metadata.Required("spec.group"));
        else if (Names.SubdomainError(group) is { } groupError) causes.Add(Metadata.Invalid("spec.group", group, groupError));
        else if (!group.Contains('.', StringComparison.Ordinal)) causes.Add(Metadata.Invalid("spec.group", group, "should be a domain with at least one dot"));
        else if (IsProtected(group) && Metadata.Of(json).Object("annotations")?.Text("api-approved.kubernetes.io") is not { Length: > 0 })
        {
            causes.Add(Metadata.Required("metadata.annotations[api-approved.kubernetes.io]", "protected groups must have approval annotation \"api-approved.kubernetes.io\""));
        }
        if (spec.Text("scope") is not ("Namespaced" or "Cluster") and var scope) causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{scope}\": supported values: \"Cluster\", \"Namespaced\"", "spec.scope"));
        if (kind.Length == 0) causes.Add(Metadata.Required("spec.names.kind"));
        else if (Names.LabelError(kind.ToLowerInvariant()) is { } kindError) causes.Add(Metadata.Invalid("spec.names.kind", kind, kindError));
        if (names.Text("listKind") == kind && kind.Length > 0) causes.Add(Metadata.Invalid("spec.names.listKind", kind, "kind and listKind may not be the same"));
        if (plural.Length == 0) causes.Add(Metadata.Required("spec.names.plural"));
        else if (Names.LabelError(plural) is { } pluralError) causes.Add(Metadata.Invalid("spec.names.plural", plural, pluralError));
        foreach (var (field, words) in new[] { ("shortNames", names.List("shortNames")), ("categories", names.List("categories")) })
        {
            for (var i = 0; i < (words?.Count ?? 0); i++)
            {
                if (Names.LabelError(words![i]!.GetValue<string>()) is { } error) causes.Add(Metadata.Invalid($"spec.names.{field}[{i}]", words[i]!.GetValue<string>(), error));
            }
        }
        if (plural.Length > 0 && group.Length > 0 && Metadata.Name(json) != $"{plural}.{group}") causes.Add(Metadata.Invalid("metadata.name", Metadata.Name(json), $"must be spec.names.plural+\".\"+spec.group: {plural}.{group}"));
    }

    private static bool IsProtected(string group) =>
        group is "k8s.io" or "kubernetes.io" || group.EndsWith(".k8s.io", StringComparison.Ordinal) || group.EndsWith(".kubernetes.io", StringComparison.Ordinal);

    private static void CheckConversion(JsonObject spec, List<StatusCause> causes)
    {
        var conversion = spec.Object("conversion") ?? [];
        switch (conversion.Text("strategy"))
        {
            case "None":
                if (conversion["webhook"] is not null) causes.Add(new("FieldValueForbidden", "Forbidden: should not be set when strategy is not set to Webhook", "spec.conversion.webhook"));
                break;
            case "Webhook":
                var webhook = conversion.Object("webhook");
                if (webhook?.Object("clientConfig") is not { } client) causes.Add(Metadata.Required("spec.conversion.webhook.clientConfig", "required when strategy is set to Webhook"));
                else Admission.Webhooks.ClientConfig.Check(client, "spec.conversion.webhook.clientConfig", causes);
                if (webhook?.List("conversionReviewVersions")?.Any(x => x?.GetValue<string>() == "v1") != true) causes.Add(Metadata.InvalidJson("spec.conversion.webhook.conversionReviewVersions", webhook?["conversionReviewVersions"], "must include v1"));
                break;
            case var other:
                causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{other}\": supported values: \"None\", \"Webhook\"", "spec.conversion.strategy"));
                break;
        }
    }

    private static void CheckVersion(JsonObject version, string path, bool wasStored, List<StatusCause> causes)
    {
        if (version.Object("schema")?.Object("openAPIV3Schema") is not { } schema)
        {
            causes.Add(Metadata.Required($"{path}.schema.openAPIV3Schema", "schemas are required"));
            return;
        }
        var before = causes.Count;
        StructuralRules.Check(schema, $"{path}.schema.openAPIV3Schema", causes);
        if (causes.Count > before) return;
        var structural = Structural.Read(schema);
        CustomRules.CheckDefinition(structural, $"{path}.schema.openAPIV3Schema", wasStored, causes);
        CheckColumns(version, path, causes);
        CheckPaths(version, structural, path, causes);
    }

    private static void CheckColumns(JsonObject version, string path, List<StatusCause> causes)
    {
        var columns = version.List("additionalPrinterColumns") ?? [];
        for (var i = 0; i < columns.Count; i++)
        {
            if (columns[i] is not JsonObject column) continue;
            var at = $"{path}.additionalPrinterColumns[{i}]";
            if (column.Text("name").Length == 0) causes.Add(Metadata.Required($"{at}.name"));
            if (column.Text("type") is not ("integer" or "number" or "string" or "boolean" or "date") and var type) causes.Add(Metadata.Invalid($"{at}.type", type, "must be one of boolean,date,integer,number,string"));
            if (!JsonPath.TryParse(column.Text("jsonPath"), out _, out var error)) causes.Add(Metadata.Invalid($"{at}.jsonPath", column.Text("jsonPath"), error));
        }
    }

    private static void CheckPaths(JsonObject version, Structural schema, string path, List<StatusCause> causes)
    {
        if (version.Object("subresources")?.Object("scale") is { } scale)
        {
            foreach (var (field, root) in new[] { ("specReplicasPath", ".spec."), ("statusReplicasPath", ".status."), ("labelSelectorPath", "") })
            {
                var text = scale.Text(field);
                if (text.Length == 0 && root.Length == 0) continue;
                var at = $"{path}.subresources.scale.{field}";
                if (text.Length == 0) causes.Add(Metadata.Required(at));
                else if (!JsonPath.TryParse(text, out var parsed, out var error)) causes.Add(Metadata.Invalid(at, text, error));
                else if (!parsed!.IsSimple || !text.StartsWith(root, StringComparison.Ordinal)) causes.Add(Metadata.Invalid(at, text, $"should be a json path of names under {(root.Length == 0 ? ".spec or .status" : root.TrimEnd('.'))}"));
            }
        }
        var selectable = version.List("selectableFields") ?? [];
        if (selectable.Count > SelectableFieldsMax) causes.Add(new("FieldValueTooMany", $"Too many: {selectable.Count}: must have at most {SelectableFieldsMax} items", $"{path}.selectableFields"));
        for (var i = 0; i < selectable.Count; i++)
        {
            var at = $"{path}.selectableFields[{i}].jsonPath";
            var text = (selectable[i] as JsonObject)?.Text("jsonPath") ?? "";
            if (!JsonPath.TryParse(text, out var parsed, out var error) || !parsed!.IsSimple)
            {
                causes.Add(Metadata.Invalid(at, text, error.Length > 0 ? error : "must be a simple path of names"));
                continue;
            }
            var found = parsed.Names.Aggregate((Structural?)schema, (at, name) => at?.Properties.GetValueOrDefault(name));
            if (found is null || found.Type is not ("string" or "integer" or "boolean")) causes.Add(Metadata.Invalid(at, text, "must point to a string, integer or boolean field of the schema"));
            else if (parsed.Names[0] == "metadata") causes.Add(Metadata.Invalid(at, text, "must not point to fields in metadata"));
        }
    }
}
