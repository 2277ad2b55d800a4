using System.Collections.Frozen;
using System.Text.Json.Nodes;

namespace Declarative.Api.Schema;

/// <summary>The fields that Kubernetes has and this platform does not act on: <c>no-effect.tsv</c> (docs/architecture.md, decision 2).</summary>
public static class NoEffect
{
    private static readonly FrozenDictionary<string, Row[]> Index =
        Rows().GroupBy(x => x.Type, StringComparer.Ordinal).ToFrozenDictionary(x => x.Key, x => x.ToArray(), StringComparer.Ordinal);

    /// <summary>Each row as (type, field).</summary>
    public static IEnumerable<(string Type, string Field)> Fields => Index.Values.SelectMany(x => x).Select(x => (x.Type, x.Field));

    /// <summary>What is set in an object and will do nothing, as <c>path: why</c>, in the order of the types' fields.</summary>
    /// <param name="path">Where the object stands; "" = at the top.</param>
    public static IEnumerable<string> In(SchemaType type, JsonObject json, string path)
    {
        var rows = Index.GetValueOrDefault(type.Name) ?? [];
        foreach (var field in type.Fields)
        {
            if (field.Name.Length == 0 || json[field.Name] is not { } value) continue;
            var at = path.Length == 0 ? field.Name : $"{path}.{field.Name}";
            if (Array.Find(rows, x => x.Field == field.Name) is { } row)
            {
                if (row.WarnsOf(value)) yield return $"{at}: stored, but has no effect: {row.Why}";
            }
            else
            {
                foreach (var found in Below(field.Type, value, at)) yield return found;
            }
        }
    }

    private static IEnumerable<string> Below(TypeRef type, JsonNode value, string at) => (type.Shape, value) switch
    {
        (Shape.Object, JsonObject json) => In(type.Type, json, at),
        (Shape.List, JsonArray list) when type.Item!.Shape == Shape.Object => list.SelectMany((x, i) => x is null ? [] : Below(type.Item!, x, $"{at}[{i}]")),
        _ => [],
    };

    private static IEnumerable<Row> Rows()
    {
        using var stream = typeof(NoEffect).Assembly.GetManifestResourceStream("Declarative.Api.Schema.no-effect.tsv")
            ?? throw new InvalidOperationException("no-effect.tsv is not embedded");
        using var reader = new StreamReader(stream);
        var isNamed = false;
        while (reader.ReadLine() is { } line)
        {
            if (line.Length == 0 || line[0] == '#') continue;
            if (isNamed && line.Split('\t') is [var type, var field, var unless, var why]) yield return new(type, field, unless.Split('|'), why);
            isNamed = true;
        }
    }

    private sealed record Row(string Type, string Field, string[] Unless, string Why)
    {
        public bool WarnsOf(JsonNode value) => value switch
        {
            JsonObject json => json.Count > 0,
            JsonArray list => list.Count > 0,
            JsonValue scalar when scalar.TryGetValue<bool>(out var flag) => flag,
            JsonValue scalar when scalar.TryGetValue<string>(out var text) => text.Length > 0 && !Unless.Contains(text),
            _ => true,
        };
    }
}
