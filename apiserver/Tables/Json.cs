using System.Globalization;
using System.Text.Json;

namespace Declarative.ApiServer.Tables;

/// <summary>Reading stored objects leniently: what is absent or of another type is empty.</summary>
internal static class Json
{
    public const string None = "<none>";

    public static JsonElement At(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : default;

    public static JsonElement At(this JsonElement element, string first, string second) => element.At(first).At(second);

    public static string Text(this JsonElement element, string name, string absent = "")
    {
        var value = element.At(name);
        return value.ValueKind switch
        {
            JsonValueKind.String => value.GetString() is { Length: > 0 } text ? text : absent,
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => absent,
        };
    }

    public static long Number(this JsonElement element, string name, long absent = 0) =>
        element.At(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var number) ? number : absent;

    public static bool IsTrue(this JsonElement element, string name) => element.At(name).ValueKind == JsonValueKind.True;

    public static IEnumerable<JsonElement> Items(this JsonElement element, string name)
    {
        var list = element.At(name);
        if (list.ValueKind != JsonValueKind.Array) yield break;
        foreach (var entry in list.EnumerateArray()) yield return entry;
    }

    public static IEnumerable<JsonProperty> Fields(this JsonElement element, string name)
    {
        var map = element.At(name);
        if (map.ValueKind != JsonValueKind.Object) yield break;
        foreach (var field in map.EnumerateObject()) yield return field;
    }

    public static int Count(this JsonElement element, string name) => element.At(name).ValueKind switch
    {
        JsonValueKind.Array => element.At(name).GetArrayLength(),
        JsonValueKind.Object => element.At(name).GetPropertyCount(),
        _ => 0,
    };

    public static DateTimeOffset? Time(this JsonElement element, string name) =>
        element.At(name) is { ValueKind: JsonValueKind.String } value
        && DateTimeOffset.TryParse(value.GetString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : null;

    /// <summary><c>a=b,c=d</c> in the object's order, <c>&lt;none&gt;</c> for an empty map.</summary>
    public static string Pairs(this JsonElement element, string name)
    {
        var text = string.Join(',', element.Fields(name).Select(x => $"{x.Name}={x.Value}"));
        return text.Length == 0 ? None : text;
    }

    /// <summary>A label selector as kubectl shows it.</summary>
    public static string Selector(this JsonElement element, string name)
    {
        var selector = element.At(name);
        var parts = selector.Fields("matchLabels").Select(x => $"{x.Name}={x.Value}").Concat(selector.Items("matchExpressions").Select(x =>
        {
            var values = string.Join(',', x.Items("values").Select(v => v.ToString()));
            return x.Text("operator") switch
            {
                "In" => $"{x.Text("key")} in ({values})",
                "NotIn" => $"{x.Text("key")} notin ({values})",
                "Exists" => x.Text("key"),
                _ => "!" + x.Text("key"),
            };
        }));
        var text = string.Join(',', parts);
        return text.Length == 0 ? None : text;
    }

    public static string OrNone(this string text) => text.Length == 0 ? None : text;

    public static Cell Created(this JsonElement element) => Cell.Since(element.At("metadata").Time("creationTimestamp"));
}
