using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.CustomResources;

/// <summary>
/// One node of a structural schema (Kubernetes doc "Extend the Kubernetes API with CustomResourceDefinitions", "Specifying a structural
/// schema"), read once from <c>openAPIV3Schema</c>. Immutable after reading.
/// </summary>
internal sealed class Structural
{
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromSeconds(1);

    private Structural(JsonObject source) => Source = source;

    /// <summary>The schema as it was written.</summary>
    public JsonObject Source { get; }

    /// <summary>object, array, string, integer, number, boolean, or "" where any is allowed.</summary>
    public string Type { get; private init; } = "";
    public string Format { get; private init; } = "";
    public bool Nullable { get; private init; }
    public bool IntOrString { get; private init; }
    public bool PreservesUnknown { get; private init; }
    public bool EmbeddedResource { get; private init; }
    public IReadOnlyDictionary<string, Structural> Properties { get; private init; } = new Dictionary<string, Structural>();
    public Structural? Additional { get; private init; }

    /// <summary><c>additionalProperties: true</c>: members of any form.</summary>
    public bool AdditionalAny { get; private init; }
    public Structural? Items { get; private init; }
    public JsonNode? Default { get; private init; }
    public IReadOnlyList<string> Required { get; private init; } = [];
    public IReadOnlyList<JsonNode?> Enum { get; private init; } = [];

    /// <summary>Linear in the text, whatever the pattern (RE2's promise too).</summary>
    public Regex? Pattern { get; private init; }

    /// <summary>atomic, set, map or "".</summary>
    public string ListType { get; private init; } = "";
    public IReadOnlyList<string> ListMapKeys { get; private init; } = [];

    /// <summary>atomic, granular or "".</summary>
    public string MapType { get; private init; } = "";
    public IReadOnlyList<Structural> AllOf { get; private init; } = [];
    public IReadOnlyList<Structural> AnyOf { get; private init; } = [];
    public IReadOnlyList<Structural> OneOf { get; private init; } = [];
    public Structural? Not { get; private init; }

    /// <summary><c>x-kubernetes-validations</c> as written; compiled by <see cref="CustomRules"/>.</summary>
    public IReadOnlyList<JsonObject> Rules { get; private init; } = [];

    /// <summary>Some node at or below this one has rules.</summary>
    public bool HasRules { get; private init; }

    public double? Number(string name) => Source[name] is JsonValue value && value.TryGetValue<double>(out var number) ? number : null;

    /// <exception cref="ArgumentException">A pattern that is no regular expression of RE2's kind.</exception>
    public static Structural Read(JsonObject source)
    {
        var properties = new Dictionary<string, Structural>(StringComparer.Ordinal);
        foreach (var (name, value) in source.Object("properties") ?? [])
        {
            if (value is JsonObject schema) properties[name] = Read(schema);
        }
        var additional = source["additionalProperties"] is JsonObject each ? Read(each) : null;
        var items = source["items"] is JsonObject item ? Read(item) : null;
        List<JsonObject> rules = [.. source.List("x-kubernetes-validations")?.OfType<JsonObject>() ?? []];
        return new(source)
        {
            Type = source.Text("type"),
            Format = source.Text("format"),
            Nullable = source.Flag("nullable"),
            IntOrString = source.Flag("x-kubernetes-int-or-string"),
            PreservesUnknown = source.Flag("x-kubernetes-preserve-unknown-fields"),
            EmbeddedResource = source.Flag("x-kubernetes-embedded-resource"),
            Properties = properties,
            Additional = additional,
            AdditionalAny = source.Flag("additionalProperties"),
            Items = items,
            Default = source["default"],
            Required = Texts(source, "required"),
            Enum = [.. source.List("enum") ?? []],
            Pattern = source.Text("pattern") is { Length: > 0 } pattern ? Compile(pattern) : null,
            ListType = source.Text("x-kubernetes-list-type"),
            ListMapKeys = Texts(source, "x-kubernetes-list-map-keys"),
            MapType = source.Text("x-kubernetes-map-type"),
            AllOf = Many(source, "allOf"),
            AnyOf = Many(source, "anyOf"),
            OneOf = Many(source, "oneOf"),
            Not = source["not"] is JsonObject not ? Read(not) : null,
            Rules = rules,
            HasRules = rules.Count > 0 || additional is { HasRules: true } || items is { HasRules: true } || properties.Values.Any(x => x.HasRules),
        };
    }

    /// <summary>The schema of a member; null where the schema does not name it.</summary>
    public Structural? Member(string name) => Properties.GetValueOrDefault(name) ?? Additional;

    private static Regex Compile(string pattern)
    {
        try
        {
            return new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, PatternTimeout);
        }
        catch (NotSupportedException e)
        {
            throw new ArgumentException(e.Message, nameof(pattern), e);
        }
    }

    private static List<Structural> Many(JsonObject source, string name) => [.. (source.List(name) ?? []).OfType<JsonObject>().Select(Read)];

    private static List<string> Texts(JsonObject source, string name) =>
        [.. (source.List(name) ?? []).OfType<JsonValue>().Select(x => x.TryGetValue<string>(out var text) ? text : "").Where(x => x.Length > 0)];
}
