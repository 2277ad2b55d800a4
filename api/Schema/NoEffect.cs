using System.Collections.Concurrent;
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

    /// <summary>Of each type the fields that have a row or lead to one; most types have none.</summary>
    private static readonly ConcurrentDictionary<SchemaType, (SchemaField Field, Row? Row)[]> Relevant = new(ReferenceEqualityComparer.Instance);

    /// <summary>What is set in an object and will do nothing, as <c>path: why</c>, in the order of the types' fields.</summary>
    /// <param name="path">Where the object stands; "" = at the top.</param>
    public static IReadOnlyList<string> In(SchemaType type, JsonObject json, string path)
    {
        List<string>? found = null;
        Collect(type, json, path.Length == 0 ? null : new(null, path), ref found);
        return found ?? [];
    }

    private static void Collect(SchemaType type, JsonObject json, Place? at, ref List<string>? found)
    {
        foreach (var (field, row) in Relevant.GetOrAdd(type, RelevantOf))
        {
            if (!json.TryGetPropertyValue(field.Name, out var value) || value is null) continue;
            if (row is null) Below(field.Type, value, new(at, field.Name), ref found);
            else if (row.WarnsOf(value)) (found ??= []).Add($"{new Place(at, field.Name)}: stored, but has no effect: {row.Why}");
        }
    }

    private static void Below(TypeRef type, JsonNode value, Place at, ref List<string>? found)
    {
        if (type.Shape == Shape.Object && value is JsonObject json) Collect(type.Type, json, at, ref found);
        if (type.Shape != Shape.List || value is not JsonArray list) return;
        for (var i = 0; i < list.Count; i++)
        {
            if (list[i] is { } item) Below(type.Item!, item, at with { Index = i }, ref found);
        }
    }

    private static (SchemaField Field, Row? Row)[] RelevantOf(SchemaType type) =>
        [.. type.Fields.Where(x => x.Name.Length > 0).Select(x => (x, RowOf(type, x))).Where(x => x.Item2 is not null || Leads(x.x.Type, []))];

    private static bool Leads(TypeRef type, HashSet<SchemaType> seen) => type.Shape switch
    {
        Shape.Object => seen.Add(type.Type) && type.Type.Fields.Any(x => RowOf(type.Type, x) is not null || Leads(x.Type, seen)),
        Shape.List => type.Item!.Shape == Shape.Object && Leads(type.Item, seen),
        _ => false,
    };

    private static Row? RowOf(SchemaType type, SchemaField field) => Array.Find(Index.GetValueOrDefault(type.Name) ?? [], x => x.Field == field.Name);

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

    /// <summary>A place in an object, written out where something is found there.</summary>
    private sealed record Place(Place? Parent, string Name)
    {
        public int? Index { get; init; }

        public override string ToString() => (Parent is null ? Name : $"{Parent}.{Name}") + (Index is { } index ? $"[{index}]" : "");
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
