using System.Text.Json.Nodes;
using Declarative.Api.Schema;

namespace Declarative.Tests.ApiServer;

/// <summary>Computes a strategic merge patch between two objects, in the plainest way: the inverse of what is tested.</summary>
internal static class StrategicDiff
{
    public static JsonObject Between(JsonObject from, JsonObject to, SchemaType? type)
    {
        var patch = new JsonObject();
        foreach (var (name, _) in from)
        {
            if (!to.ContainsKey(name))
            {
                patch[name] = null;
            }
        }

        foreach (var (name, value) in to)
        {
            var field = type?.Find(name);
            var old = from[name];
            if (JsonNode.DeepEquals(old, value))
            {
                continue;
            }

            if (old is JsonObject a && value is JsonObject b)
            {
                patch[name] = Between(a, b, field?.Type.Shape == Shape.Object ? field.Type.Type : null);
            }
            else if (old is JsonArray c && value is JsonArray d && field?.PatchMerge == true)
            {
                Lists(patch, name, c, d, field);
            }
            else
            {
                patch[name] = value!.DeepClone();
            }
        }

        if (type?.Name is "core.v1.Volume")
        {
            patch["$retainKeys"] = new JsonArray([.. to.Select(member => (JsonNode)member.Key)]);
        }

        return patch;
    }

    private static void Lists(JsonObject patch, string name, JsonArray from, JsonArray to, SchemaField field)
    {
        if (field.MergeKey is not { } key)
        {
            patch["$setElementOrder/" + name] = to.DeepClone();
            patch["$deleteFromPrimitiveList/" + name] = new JsonArray([.. from.Where(x => !to.Any(y => JsonNode.DeepEquals(x, y))).Select(x => x!.DeepClone())]);
            patch[name] = new JsonArray([.. to.Where(x => !from.Any(y => JsonNode.DeepEquals(x, y))).Select(x => x!.DeepClone())]);
            return;
        }

        patch["$setElementOrder/" + name] = new JsonArray([.. to.Select(x => new JsonObject { [key] = x![key]!.DeepClone() })]);
        var changes = new JsonArray();
        foreach (var item in to)
        {
            var old = from.FirstOrDefault(x => JsonNode.DeepEquals(x![key], item![key]));
            var change = old is null ? item!.DeepClone().AsObject() : Between(old.AsObject(), item!.AsObject(), field.Type.Item!.Type);
            change[key] = item![key]!.DeepClone();
            changes.Add(change);
        }

        foreach (var item in from.Where(x => !to.Any(y => JsonNode.DeepEquals(x![key], y![key]))))
        {
            changes.Add(new JsonObject { ["$patch"] = "delete", [key] = item![key]!.DeepClone() });
        }

        patch[name] = changes;
    }
}
