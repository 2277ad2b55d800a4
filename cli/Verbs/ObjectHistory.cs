using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Client.Http;

namespace Declarative.Cli.Verbs;

/// <summary>One change of an object, as the server tells it.</summary>
/// <param name="Object">After it; of a deletion the last state.</param>
internal sealed record ObjectChange(long Revision, string Time, string User, string Manager, string Verb, JsonObject Object)
{
    public bool IsDeletion => Verb == "delete";
}

/// <summary>The history of one object, the latest change first: <c>GET …/NAME/history</c>.</summary>
internal static class ObjectHistory
{
    private static readonly string[] OfEveryWrite = ["resourceVersion", "generation", "managedFields"];

    public static async Task<IReadOnlyList<ObjectChange>> Read(Session session, ResourceKey key, int limit, CancellationToken stop)
    {
        await using var body = await session.Api.Open(RequestUrl.Object(key, "history").With("limit", limit), "application/json", stop);
        var list = await JsonNode.ParseAsync(body, cancellationToken: stop);
        return [.. list!["items"]!.AsArray().Select(x => new ObjectChange((long)x!["revision"]!, Text(x, "time"), Text(x, "user"), Text(x, "manager"), Text(x, "verb"), x["object"]!.AsObject()))];
    }

    /// <summary>What users declare of an object: without status, and without what every write changes.</summary>
    public static JsonObject Declared(JsonObject json)
    {
        var declared = json.DeepClone().AsObject();
        declared.Remove("status");
        if (declared["metadata"] is not JsonObject metadata) return declared;
        foreach (var name in OfEveryWrite) metadata.Remove(name);
        if (metadata["annotations"] is JsonObject annotations)
        {
            annotations.Remove(ClientApply.Annotation);
            if (annotations.Count == 0) metadata.Remove("annotations");
        }
        return declared;
    }

    /// <summary>The fields that differ, each with both values where they are short: <c>spec.replicas 3 → 5</c>.</summary>
    public static IReadOnlyList<string> Differences(JsonObject before, JsonObject after)
    {
        var found = new List<string>();
        Compare("", Declared(before), Declared(after), found);
        return found;
    }

    private static void Compare(string path, JsonNode? before, JsonNode? after, List<string> found)
    {
        switch (before, after)
        {
            case (JsonObject a, JsonObject b):
                foreach (var name in a.Select(x => x.Key).Union(b.Select(x => x.Key)))
                {
                    var step = name.AsSpan().ContainsAny('.', '/') ? $"[{name}]" : path.Length == 0 ? name : "." + name;
                    Compare(path + step, a[name], b[name], found);
                }
                break;
            case (JsonArray a, JsonArray b) when Named(a) is { } x && Named(b) is { } y:
                foreach (var name in x.Keys.Union(y.Keys)) Compare($"{path}[{name}]", x.GetValueOrDefault(name), y.GetValueOrDefault(name), found);
                break;
            case (JsonArray a, JsonArray b):
                for (var i = 0; i < Math.Max(a.Count, b.Count); i++) Compare($"{path}[{i.ToString(CultureInfo.InvariantCulture)}]", i < a.Count ? a[i] : null, i < b.Count ? b[i] : null, found);
                break;
            default:
                if (!JsonNode.DeepEquals(before, after)) found.Add($"{path} {Short(before)} → {Short(after)}");
                break;
        }
    }

    /// <summary>By name, where every element has one of its own; else null.</summary>
    private static Dictionary<string, JsonNode?>? Named(JsonArray array)
    {
        var named = new Dictionary<string, JsonNode?>();
        foreach (var element in array)
        {
            if (element is not JsonObject json || Text(json, "name") is not { Length: > 0 } name || !named.TryAdd(name, json)) return null;
        }
        return named;
    }

    private static string Short(JsonNode? value)
    {
        const int shown = 32;
        var text = value switch { null => "none", JsonObject => "{…}", JsonArray => "[…]", _ => value.ToString() };
        return text.Length == 0 ? "\"\"" : text.Length > shown ? text[..(shown - 1)] + "…" : text;
    }

    private static string Text(JsonNode json, string name) => json[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";
}
