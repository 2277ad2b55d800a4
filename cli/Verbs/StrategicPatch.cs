using System.Text.Json.Nodes;
using Declarative.Api.Schema;

namespace Declarative.Cli.Verbs;

/// <summary>
/// The three-way strategic merge patch of client-side apply (Kubernetes doc "Declarative Management of Kubernetes Objects Using Configuration
/// Files"): what the manifest sets and the live object has otherwise is set; what the last applied manifest set and this one does not is deleted;
/// what others have set stays. Pure.
/// </summary>
internal static class StrategicPatch
{
    /// <param name="last">The manifest that was applied before, null where none was.</param>
    /// <param name="wanted">The manifest that is applied now.</param>
    /// <param name="live">What the server has.</param>
    /// <returns>An empty object where nothing has to change.</returns>
    public static JsonObject Between(JsonObject? last, JsonObject wanted, JsonObject live, SchemaType? type) => Maps(last, wanted, live, new(type, null));

    /// <summary>What is known about the members of an object: a type with fields, or a map with one type of values.</summary>
    private readonly record struct Place(SchemaType? Type, TypeRef? Values)
    {
        public SchemaField? Field(string name) => Type?.Find(name);

        public Place Under(string name) => Of(Type is null ? Values : Field(name)?.Type);

        public static Place Of(TypeRef? type) => type?.Shape switch
        {
            Shape.Object => new(type.Type, null),
            Shape.Map => new(null, type.Item),
            _ => default,
        };
    }

    private static JsonObject Maps(JsonObject? last, JsonObject wanted, JsonObject live, Place place)
    {
        var patch = new JsonObject();
        foreach (var (name, value) in wanted)
        {
            if (!live.TryGetPropertyValue(name, out var old))
            {
                patch[name] = value?.DeepClone();
                continue;
            }
            var field = place.Field(name);
            if (value is JsonObject map && old is JsonObject oldMap && field is not { PatchReplace: true })
            {
                if (Member(last?[name] as JsonObject, map, oldMap, place.Under(name), field) is { Count: > 0 } change) patch[name] = change;
            }
            else if (value is JsonArray list && old is JsonArray oldList && field is { PatchMerge: true })
            {
                if (field.MergeKey is { } key) Lists(patch, name, last?[name] as JsonArray, list, oldList, field, key);
                else Scalars(patch, name, last?[name] as JsonArray, list, oldList);
            }
            else if (!JsonNode.DeepEquals(value, old))
            {
                patch[name] = value?.DeepClone();
            }
        }
        foreach (var (name, _) in last ?? [])
        {
            if (!wanted.ContainsKey(name) && live.ContainsKey(name)) patch[name] = null;
        }
        return patch;
    }

    /// <summary>An object whose type is a choice (a volume, a rollout strategy) keeps only the members that the manifest names.</summary>
    private static JsonObject Member(JsonObject? last, JsonObject wanted, JsonObject live, Place place, SchemaField? field)
    {
        var change = Maps(last, wanted, live, place);
        if (change.Count > 0 && field is not null && field.PatchStrategy.Contains("retainKeys", StringComparison.Ordinal))
        {
            change["$retainKeys"] = new JsonArray([.. wanted.Select(x => (JsonNode)x.Key).OrderBy(x => x.GetValue<string>(), StringComparer.Ordinal)]);
        }
        return change;
    }

    private static void Lists(JsonObject patch, string name, JsonArray? last, JsonArray wanted, JsonArray live, SchemaField field, string key)
    {
        var place = Place.Of(field.Type.Item);
        var changes = new JsonArray();
        var seen = new List<JsonNode?>();
        foreach (var item in wanted.OfType<JsonObject>())
        {
            var id = item[key];
            // Of several with the same key (a port for TCP and UDP) the first is compared with the first, and so on.
            var nth = seen.Count(x => JsonNode.DeepEquals(x, id));
            seen.Add(id);
            if (Find(live, key, id, nth) is not { } old)
            {
                changes.Add(item.DeepClone());
            }
            else if (Member(Find(last, key, id, nth), item, old, place, field) is { Count: > 0 } change)
            {
                change[key] = id?.DeepClone();
                changes.Add(change);
            }
        }
        foreach (var item in last?.OfType<JsonObject>() ?? [])
        {
            if (Find(wanted, key, item[key]) is null && Find(live, key, item[key]) is not null) changes.Add(new JsonObject { ["$patch"] = "delete", [key] = item[key]?.DeepClone() });
        }
        var order = live.OfType<JsonObject>().Select(x => x[key]).Where(x => seen.Any(y => JsonNode.DeepEquals(x, y)));
        if (changes.Count == 0 && order.SequenceEqual(seen, NodeEquality.Instance)) return;
        if (changes.Count > 0) patch[name] = changes;
        patch["$setElementOrder/" + name] = new JsonArray([.. seen.Select(x => new JsonObject { [key] = x?.DeepClone() })]);
    }

    private static void Scalars(JsonObject patch, string name, JsonArray? last, JsonArray wanted, JsonArray live)
    {
        var added = wanted.Where(x => !Has(live, x)).Select(x => x?.DeepClone()).ToArray();
        var deleted = (last ?? []).Where(x => !Has(wanted, x) && Has(live, x)).Select(x => x?.DeepClone()).ToArray();
        if (added.Length + deleted.Length == 0 && live.Where(x => Has(wanted, x)).SequenceEqual(wanted, NodeEquality.Instance)) return;
        if (added.Length > 0) patch[name] = new JsonArray(added);
        if (deleted.Length > 0) patch["$deleteFromPrimitiveList/" + name] = new JsonArray(deleted);
        patch["$setElementOrder/" + name] = wanted.DeepClone();
    }

    private static JsonObject? Find(JsonArray? list, string key, JsonNode? id, int nth = 0) => list?.OfType<JsonObject>().Where(x => JsonNode.DeepEquals(x[key], id)).ElementAtOrDefault(nth);

    private static bool Has(JsonArray list, JsonNode? value) => list.Any(x => JsonNode.DeepEquals(x, value));

    private sealed class NodeEquality : IEqualityComparer<JsonNode?>
    {
        public static NodeEquality Instance { get; } = new();

        public bool Equals(JsonNode? x, JsonNode? y) => JsonNode.DeepEquals(x, y);

        public int GetHashCode(JsonNode? obj) => 0;
    }
}
