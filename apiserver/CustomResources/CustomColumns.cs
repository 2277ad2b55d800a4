using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Tables;

namespace Declarative.ApiServer.CustomResources;

/// <summary><c>additionalPrinterColumns</c> of a version as rows; without any, name and age.</summary>
internal static class CustomColumns
{
    public static Printer Of(JsonObject version)
    {
        List<JsonObject> given = [.. version.List("additionalPrinterColumns")?.OfType<JsonObject>() ?? []];
        if (given.Count == 0) return Printer.NameAndAge;
        List<(JsonPath Path, string Type)> paths = [.. given.Select(x => (JsonPath.Parse(x.Text("jsonPath")), x.Text("type")))];
        List<Column> columns = [new("Name", "string", "name", 0), .. given.Select(x => new Column(x.Text("name"), x.Text("type"), x.Text("format"), (int)(x.Number("priority") ?? 0)))];
        return new(columns, o => [.. paths.Select(x => CellOf(x.Path.Find(o), x.Type))]);
    }

    /// <summary>The first value found, in the column's type; null where it is of another (apiextensions-apiserver, cellForJSONValue).</summary>
    private static Cell CellOf(List<JsonElement> found, string type)
    {
        if (found.Count == 0 || found[0].ValueKind == JsonValueKind.Null) return Cell.Absent;
        var value = found[0];
        return type switch
        {
            "string" => value.ValueKind is JsonValueKind.String ? value.GetString()! : value.GetRawText(),
            "date" when value.ValueKind == JsonValueKind.String =>
                DateTimeOffset.TryParse(value.GetString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? Cell.Since(time) : "<invalid>",
            "integer" when value.ValueKind == JsonValueKind.Number => value.TryGetInt64(out var number) ? number : (long)value.GetDouble(),
            "number" when value.ValueKind == JsonValueKind.Number => Cell.Literal(value.GetRawText()),
            "boolean" when value.ValueKind is JsonValueKind.True or JsonValueKind.False => value.GetBoolean(),
            _ => Cell.Absent,
        };
    }
}
