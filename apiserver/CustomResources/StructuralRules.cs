using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.CustomResources;

/// <summary>Is a schema structural: every node has a type, junctors only narrow what stands outside of them, nothing refers elsewhere.</summary>
internal static class StructuralRules
{
    private const int DepthMax = 64;
    private const int NodesMax = 20_000;

    private static readonly string[] Unsupported = ["$ref", "$schema", "id", "definitions", "dependencies", "patternProperties", "additionalItems"];

    /// <summary>What says the form, and so may not stand inside allOf, anyOf, oneOf and not.</summary>
    private static readonly string[] Outside =
    [
        "type", "default", "additionalProperties", "nullable", "description", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
        "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-validations",
    ];

    public static void Check(JsonObject root, string path, List<StatusCause> causes)
    {
        if (root.Text("type") != "object") causes.Add(root.Text("type").Length == 0 ? Metadata.Required($"{path}.type", "must not be empty at the root") : Metadata.Invalid($"{path}.type", root.Text("type"), "must be object at the root"));
        if (root.Flag("nullable")) causes.Add(Forbidden($"{path}.nullable", "nullable cannot be true at the root"));
        var nodes = 0;
        Node(root, path, causes, 0, ref nodes, isRoot: true);
    }

    private static void Node(JsonObject schema, string path, List<StatusCause> causes, int depth, ref int nodes, bool isRoot = false, bool isMetadata = false)
    {
        if (causes.Count > 20) return;
        if (depth > DepthMax || ++nodes > NodesMax)
        {
            causes.Add(new("FieldValueTooMany", $"Too many: a schema may be {DepthMax} levels deep and have {NodesMax} nodes", path));
            return;
        }
        Plain(schema, path, causes);
        var type = schema.Text("type");
        var free = schema.Flag("x-kubernetes-int-or-string") || schema.Flag("x-kubernetes-preserve-unknown-fields");
        if (type.Length == 0 && !free && !isRoot) causes.Add(Metadata.Required($"{path}.type", "must not be empty for specified object fields"));
        else if (type is not ("" or "object" or "array" or "string" or "integer" or "number" or "boolean")) causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{type}\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"", $"{path}.type"));
        if (schema.Flag("x-kubernetes-int-or-string") && type.Length > 0) causes.Add(Metadata.Invalid($"{path}.type", type, "must be empty if x-kubernetes-int-or-string is true"));
        if (schema.Flag("x-kubernetes-embedded-resource") && type != "object") causes.Add(Metadata.Invalid($"{path}.type", type, "must be object if x-kubernetes-embedded-resource is true"));
        if (schema["properties"] is not null && schema["additionalProperties"] is not null) causes.Add(Forbidden($"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive"));
        if (schema.Flag("uniqueItems")) causes.Add(Forbidden($"{path}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic; use x-kubernetes-list-type: set"));
        if (type == "array" && schema["items"] is not JsonObject) causes.Add(Metadata.Required($"{path}.items", "must be specified"));
        Lists(schema, type, path, causes);
        if (isMetadata)
        {
            foreach (var (name, _) in schema.Object("properties") ?? [])
            {
                if (name is not ("name" or "generateName")) causes.Add(Forbidden($"{path}.properties[{name}]", "must not specify anything other than name and generateName, but metadata is implicitly specified"));
            }
        }
        foreach (var (name, member) in schema.Object("properties") ?? [])
        {
            if (member is JsonObject child) Node(child, $"{path}.properties[{name}]", causes, depth + 1, ref nodes, isMetadata: name == "metadata" && (isRoot || schema.Flag("x-kubernetes-embedded-resource")));
        }
        if (schema["additionalProperties"] is JsonObject additional) Node(additional, $"{path}.additionalProperties", causes, depth + 1, ref nodes);
        if (schema["items"] is JsonObject items) Node(items, $"{path}.items", causes, depth + 1, ref nodes);
        foreach (var junctor in (string[])["allOf", "anyOf", "oneOf"])
        {
            var parts = schema.List(junctor) ?? [];
            for (var i = 0; i < parts.Count; i++)
            {
                if (parts[i] is JsonObject part) Junctor(part, schema, $"{path}.{junctor}[{i}]", causes, depth + 1, ref nodes);
            }
        }
        if (schema["not"] is JsonObject not) Junctor(not, schema, $"{path}.not", causes, depth + 1, ref nodes);
        Default(schema, path, causes);
    }

    private static void Junctor(JsonObject part, JsonObject outside, string path, List<StatusCause> causes, int depth, ref int nodes)
    {
        if (depth > DepthMax || ++nodes > NodesMax || causes.Count > 20) return;
        Plain(part, path, causes);
        foreach (var name in Outside)
        {
            // An integer or a string may be spelled out: anyOf: [{type: integer}, {type: string}].
            if (part[name] is null || (name == "type" && outside.Flag("x-kubernetes-int-or-string"))) continue;
            causes.Add(Forbidden($"{path}.{name}", "must be empty to be structural"));
        }
        foreach (var (name, member) in part.Object("properties") ?? [])
        {
            if (member is not JsonObject inner) continue;
            if (outside.Object("properties")?.Object(name) is { } outer) Junctor(inner, outer, $"{path}.properties[{name}]", causes, depth + 1, ref nodes);
            else if (outside["additionalProperties"] is JsonObject each) Junctor(inner, each, $"{path}.properties[{name}]", causes, depth + 1, ref nodes);
            else causes.Add(Metadata.Required($"{path[..path.LastIndexOf('.')]}.properties[{name}]", $"because it is defined in {path}.properties[{name}]"));
        }
        if (part["items"] is JsonObject items && outside["items"] is JsonObject outerItems) Junctor(items, outerItems, $"{path}.items", causes, depth + 1, ref nodes);
        foreach (var junctor in (string[])["allOf", "anyOf", "oneOf"])
        {
            var parts = part.List(junctor) ?? [];
            for (var i = 0; i < parts.Count; i++)
            {
                if (parts[i] is JsonObject inner) Junctor(inner, outside, $"{path}.{junctor}[{i}]", causes, depth + 1, ref nodes);
            }
        }
        if (part["not"] is JsonObject not) Junctor(not, outside, $"{path}.not", causes, depth + 1, ref nodes);
    }

    private static void Plain(JsonObject schema, string path, List<StatusCause> causes)
    {
        foreach (var name in Unsupported)
        {
            if (schema[name] is not null) causes.Add(Forbidden($"{path}.{name}", $"{name} is not supported"));
        }
        if (schema.Text("pattern") is not { Length: > 0 } pattern) return;
        try
        {
            Structural.Read(new JsonObject { ["pattern"] = pattern });
        }
        catch (ArgumentException e)
        {
            causes.Add(Metadata.Invalid($"{path}.pattern", pattern, $"must be a valid regular expression without look-around and back references: {e.Message}"));
        }
    }

    private static void Lists(JsonObject schema, string type, string path, List<StatusCause> causes)
    {
        var listType = schema.Text("x-kubernetes-list-type");
        var keys = schema.List("x-kubernetes-list-map-keys") ?? [];
        if (listType.Length > 0 && type != "array") causes.Add(Metadata.Invalid($"{path}.type", type, "must be array if x-kubernetes-list-type is specified"));
        if (listType is not ("" or "atomic" or "set" or "map")) causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{listType}\": supported values: \"atomic\", \"map\", \"set\"", $"{path}.x-kubernetes-list-type"));
        if (schema.Text("x-kubernetes-map-type") is not ("" or "atomic" or "granular") and var mapType) causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{mapType}\": supported values: \"atomic\", \"granular\"", $"{path}.x-kubernetes-map-type"));
        if (listType != "map")
        {
            if (keys.Count > 0) causes.Add(Metadata.Invalid($"{path}.x-kubernetes-list-type", listType, "must be map if x-kubernetes-list-map-keys is non-empty"));
            return;
        }
        if (keys.Count == 0) causes.Add(Metadata.Required($"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"));
        var items = schema.Object("items");
        foreach (var key in keys.OfType<JsonValue>().Select(x => x.GetValue<string>()))
        {
            if (items?.Object("properties")?.Object(key) is not { } property) causes.Add(Metadata.Invalid($"{path}.x-kubernetes-list-map-keys", key, "entries must all be names of item properties"));
            else if (property["default"] is null && items.List("required")?.Any(x => x?.GetValue<string>() == key) != true) causes.Add(Metadata.Required($"{path}.items.properties[{key}].default", "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"));
        }
    }

    private static void Default(JsonObject schema, string path, List<StatusCause> causes)
    {
        if (schema["default"] is not { } value || causes.Count > 0) return;
        var structural = Structural.Read(schema);
        var (unknown, found) = (new List<string>(), new List<StatusCause>());
        var copy = value.DeepClone();
        StructuralValues.Prune(copy, structural, "", isObject: false, unknown);
        if (unknown.Count > 0) causes.Add(Metadata.InvalidJson($"{path}.default", value, $"must not have unknown fields: {string.Join(", ", unknown)}"));
        StructuralValues.Default(copy, structural);
        StructuralValidation.Check(copy, structural, "default", found);
        causes.AddRange(found.Select(x => x with { Field = $"{path}.{x.Field}" }));
    }

    private static StatusCause Forbidden(string field, string why) => new("FieldValueForbidden", $"Forbidden: {why}", field);
}
