using System.Text.Json.Nodes;

namespace Declarative.ApiServer.CustomResources;

/// <summary>Pruning and defaulting of values by their structural schema.</summary>
internal static class StructuralValues
{
    private static readonly string[] ObjectFields = ["apiVersion", "kind", "metadata"];

    /// <summary>Takes away the fields that the schema does not name, and adds their paths to <paramref name="unknown"/>.</summary>
    public static void Prune(JsonNode? value, Structural schema, string path, bool isObject, List<string> unknown)
    {
        switch (value)
        {
            case JsonObject json:
                foreach (var name in json.Select(x => x.Key).ToList())
                {
                    if (isObject && ObjectFields.Contains(name)) continue;
                    var at = path.Length == 0 ? name : $"{path}.{name}";
                    if (schema.Member(name) is { } member)
                    {
                        Prune(json[name], member, at, member.EmbeddedResource, unknown);
                    }
                    else if (!schema.PreservesUnknown && !schema.AdditionalAny)
                    {
                        json.Remove(name);
                        unknown.Add(at);
                    }
                }
                break;
            case JsonArray list when schema.Items is { } items:
                for (var i = 0; i < list.Count; i++) Prune(list[i], items, $"{path}[{i}]", items.EmbeddedResource, unknown);
                break;
        }
    }

    /// <summary>Fills in absent fields, and nulls where null is not allowed, from the schema's defaults.</summary>
    public static void Default(JsonNode? value, Structural schema)
    {
        switch (value)
        {
            case JsonObject json:
                foreach (var (name, property) in schema.Properties)
                {
                    var present = json.TryGetPropertyValue(name, out var member);
                    if (property.Default is { } given && (!present || (member is null && !property.Nullable))) json[name] = given.DeepClone();
                    Default(json[name], property);
                }
                if (schema.Additional is not { } additional) break;
                foreach (var (name, member) in json.ToList())
                {
                    if (schema.Properties.ContainsKey(name)) continue;
                    if (member is null && !additional.Nullable && additional.Default is { } given) json[name] = given.DeepClone();
                    Default(json[name], additional);
                }
                break;
            case JsonArray list when schema.Items is { } items:
                for (var i = 0; i < list.Count; i++)
                {
                    if (list[i] is null && !items.Nullable && items.Default is { } given) list[i] = given.DeepClone();
                    Default(list[i], items);
                }
                break;
        }
    }
}
