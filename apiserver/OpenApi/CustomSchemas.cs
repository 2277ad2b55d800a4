using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.OpenApi;

/// <summary>Structural schemas of custom kinds as OpenAPI: nearly as written in 3.0; in 2.0 without what that version does not have.</summary>
internal static class CustomSchemas
{
    /// <summary>Of 3.0 alone, and of no use to the clients that still read 2.0.</summary>
    private static readonly HashSet<string> NotInV2 = ["nullable", "oneOf", "anyOf", "not", "allOf", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems", "title", "example", "externalDocs", "default", "x-kubernetes-validations"];

    /// <summary>The members of a kind's schema; the object that holds them is open.</summary>
    public static void Write(Utf8JsonWriter json, CustomKind kind, bool v3, Action<string> reference)
    {
        var source = kind.Schema.Source;
        json.WriteString("description", source.Text("description") is { Length: > 0 } text ? text : $"{kind.Name} of {kind.ApiVersion}.");
        json.WriteString("type", "object");
        json.WriteStartObject("properties");
        foreach (var name in (ReadOnlySpan<string>)["apiVersion", "kind"])
        {
            json.WriteStartObject(name);
            json.WriteString("description", Descriptions.Of("*", name));
            json.WriteString("type", "string");
            json.WriteEndObject();
        }
        json.WriteStartObject("metadata");
        json.WriteString("description", Descriptions.Of("*", "metadata"));
        reference("meta.v1.ObjectMeta");
        json.WriteEndObject();
        foreach (var (name, property) in source.Object("properties") ?? [])
        {
            if (name is "apiVersion" or "kind" or "metadata" || property is not JsonObject schema) continue;
            json.WritePropertyName(name);
            Node(json, schema, v3);
        }
        json.WriteEndObject();
        foreach (var (name, value) in source)
        {
            if (name is not ("description" or "type" or "properties")) Member(json, name, value, v3);
        }
        json.WriteStartArray("x-kubernetes-group-version-kind");
        json.WriteStartObject();
        json.WriteString("group", kind.Group);
        json.WriteString("kind", kind.Name);
        json.WriteString("version", kind.Version);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void Node(Utf8JsonWriter json, JsonObject schema, bool v3)
    {
        json.WriteStartObject();
        foreach (var (name, value) in schema) Member(json, name, value, v3);
        json.WriteEndObject();
    }

    private static void Member(Utf8JsonWriter json, string name, JsonNode? value, bool v3)
    {
        if (value is null || (!v3 && NotInV2.Contains(name))) return;
        switch (name)
        {
            case "properties":
                json.WriteStartObject(name);
                foreach (var (property, schema) in value.AsObject())
                {
                    if (schema is not JsonObject node) continue;
                    json.WritePropertyName(property);
                    Node(json, node, v3);
                }
                json.WriteEndObject();
                break;
            case "items" or "additionalProperties" when value is JsonObject schema:
                json.WritePropertyName(name);
                Node(json, schema, v3);
                break;
            case "additionalProperties":
                if (!v3) break; // true says no more than its absence
                json.WritePropertyName(name);
                value.WriteTo(json);
                break;
            default:
                json.WritePropertyName(name);
                value.WriteTo(json);
                break;
        }
    }
}
