using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>The rules that many kinds share, in the words that Kubernetes' validation uses (apimachinery: api/validation, util/validation/field).</summary>
internal static class Rules
{
    public static StatusCause Forbidden(string field, string why) => new("FieldValueForbidden", $"Forbidden: {why}", field);

    public static StatusCause Duplicate(string field, string value) => new("FieldValueDuplicate", $"Duplicate value: \"{value}\"", field);

    /// <summary>Every named member that is a number must not be below 0.</summary>
    public static void NotNegative(JsonObject parent, string path, List<StatusCause> causes, params ReadOnlySpan<string> names)
    {
        foreach (var name in names) AtLeast(parent, path, name, 0, causes);
    }

    public static void AtLeast(JsonObject parent, string path, string name, long least, List<StatusCause> causes)
    {
        if (parent.Number(name) is { } value && value < least)
        {
            causes.Add(Metadata.Invalid($"{path}.{name}", value, $"must be greater than or equal to {least}"));
        }
    }

    public static void Required(JsonObject parent, string path, string name, List<StatusCause> causes, string why = "")
    {
        if (parent[name] is null or JsonValue && parent.Text(name).Length == 0 && parent.Number(name) is null) causes.Add(Metadata.Required(path.Length == 0 ? name : $"{path}.{name}", why));
    }

    /// <summary>A whole number of at least 0, or a percentage.</summary>
    public static void Amount(JsonObject parent, string path, string name, List<StatusCause> causes)
    {
        if (parent[name] is null) return;
        if (parent.Number(name) is { } number)
        {
            if (number < 0) causes.Add(Metadata.Invalid($"{path}.{name}", number, "must be greater than or equal to 0"));
            return;
        }
        var text = parent.Text(name);
        if (!text.EndsWith('%') || !int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var percent))
        {
            causes.Add(Metadata.Invalid($"{path}.{name}", text, "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%')"));
        }
        else if (percent > 100 && name != "maxSurge")
        {
            causes.Add(Metadata.Invalid($"{path}.{name}", text, "must not be greater than 100%"));
        }
    }

    /// <summary>Fields that can not change once the object exists.</summary>
    public static void Immutable(JsonObject? parent, JsonObject? old, string path, List<StatusCause> causes, params ReadOnlySpan<string> names)
    {
        if (old is null) return;
        foreach (var name in names)
        {
            var (now, before) = (parent?[name], old[name]);
            if (JsonNode.DeepEquals(now, before)) continue;
            causes.Add(Metadata.InvalidJson(path.Length == 0 ? name : $"{path}.{name}", now, "field is immutable"));
        }
    }

    /// <summary>True where the two specs differ in anything but the named members.</summary>
    public static bool DiffersBeside(JsonObject spec, JsonObject old, params ReadOnlySpan<string> free)
    {
        foreach (var name in spec.Select(x => x.Key).Union(old.Select(x => x.Key)))
        {
            if (!free.Contains(name) && !JsonNode.DeepEquals(spec[name], old[name])) return true;
        }
        return false;
    }

    /// <summary>Keys of ConfigMaps and Secrets: names of files in one directory.</summary>
    public static string? DataKeyError(string key)
    {
        if (key.Length is 0 or > 253) return "must have 1 to 253 characters";
        if (key == "." || key == ".." || key.StartsWith("..", StringComparison.Ordinal)) return "must not be '.' and must not start with '..'";
        return key.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') ? null
            : "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name')";
    }

    public static string Text(JsonNode? node) => node is null ? "null" : node is JsonValue value && value.TryGetValue<string>(out var text) ? text : node.ToJsonString();
}
