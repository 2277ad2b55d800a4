using System.Text.Json;

namespace Declarative.ApiServer.Authorization;

/// <summary>One rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1 PolicyRule).</summary>
internal sealed record Rule(
    IReadOnlyList<string> Verbs,
    IReadOnlyList<string> Groups,
    IReadOnlyList<string> Resources,
    IReadOnlyList<string> Names,
    IReadOnlyList<string> Paths)
{
    /// <param name="resource"><c>pods</c> or <c>pods/log</c>.</param>
    /// <param name="subresource">What follows the slash, "" without one.</param>
    public bool Allows(string verb, string group, string resource, string subresource, string name) =>
        Has(Verbs, verb) && Has(Groups, group) && HasResource(resource, subresource) && (Names.Count == 0 || (name.Length > 0 && Names.Contains(name)));

    public bool AllowsPath(string verb, string path)
    {
        if (!Has(Verbs, verb)) return false;
        foreach (var allowed in Paths)
        {
            if (allowed == path || (allowed.EndsWith('*') && path.StartsWith(allowed.AsSpan(0, allowed.Length - 1), StringComparison.Ordinal))) return true;
        }
        return false;
    }

    /// <summary>All that this rule allows is allowed by others too.</summary>
    public bool IsWithin(IReadOnlyList<Rule> others) => Verbs.All(verb =>
        Paths.All(path => others.Any(x => x.AllowsPath(verb, path)))
        && Groups.All(group => Resources.All(resource => (Names.Count == 0 ? [""] : Names).All(name => others.Any(x => x.Allows(verb, group, resource, SubresourceOf(resource), name))))));

    private static string SubresourceOf(string resource) => resource.IndexOf('/', StringComparison.Ordinal) is >= 0 and var slash ? resource[(slash + 1)..] : "";

    private bool HasResource(string resource, string subresource)
    {
        foreach (var allowed in Resources)
        {
            if (allowed == "*" || allowed == resource) return true;
            if (subresource.Length > 0 && allowed.StartsWith("*/", StringComparison.Ordinal) && allowed.AsSpan(2).SequenceEqual(subresource)) return true;
        }
        return false;
    }

    private static bool Has(IReadOnlyList<string> allowed, string word)
    {
        for (var i = 0; i < allowed.Count; i++)
        {
            if (allowed[i] == word || allowed[i] == "*") return true;
        }
        return false;
    }

    /// <summary>The rules of a stored Role or ClusterRole; absent lists are empty.</summary>
    public static IReadOnlyList<Rule> ReadAll(ReadOnlyMemory<byte> role)
    {
        using var document = JsonDocument.Parse(role);
        if (!document.RootElement.TryGetProperty("rules", out var rules) || rules.ValueKind != JsonValueKind.Array) return [];
        return
        [
            .. rules.EnumerateArray().Select(x => new Rule(
                Strings(x, "verbs"), Strings(x, "apiGroups"), Strings(x, "resources"), Strings(x, "resourceNames"), Strings(x, "nonResourceURLs"))),
        ];
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        WriteStrings(json, "verbs", Verbs);
        if (Paths.Count > 0) WriteStrings(json, "nonResourceURLs", Paths);
        else
        {
            WriteStrings(json, "apiGroups", Groups);
            WriteStrings(json, "resources", Resources);
            if (Names.Count > 0) WriteStrings(json, "resourceNames", Names);
        }
        json.WriteEndObject();
    }

    private static void WriteStrings(Utf8JsonWriter json, string name, IReadOnlyList<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }

    private static string[] Strings(JsonElement element, string name) =>
        element.TryGetProperty(name, out var values) && values.ValueKind == JsonValueKind.Array
            ? [.. values.EnumerateArray().Where(x => x.ValueKind == JsonValueKind.String).Select(x => x.GetString()!)]
            : [];
}
