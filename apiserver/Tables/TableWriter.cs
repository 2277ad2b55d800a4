using System.Runtime.InteropServices;
using System.Text.Json;
using Declarative.Api;

namespace Declarative.ApiServer.Tables;

/// <summary>What a row carries beside its cells (the <c>includeObject</c> parameter).</summary>
internal enum RowObject
{
    None,
    Metadata,
    Object,
}

/// <summary>Writes objects as meta.k8s.io Table rows or as PartialObjectMetadata.</summary>
/// <param name="version">v1 or v1beta1.</param>
internal sealed class TableWriter(Printer printer, string version, RowObject carried, DateTimeOffset now)
{
    public void WriteColumns(Utf8JsonWriter json)
    {
        json.WriteStartArray("columnDefinitions"u8);
        foreach (var column in printer.Columns)
        {
            json.WriteStartObject();
            json.WriteString("name"u8, column.Name);
            json.WriteString("type"u8, column.Type);
            json.WriteString("format"u8, column.Format);
            json.WriteString("description"u8, ""u8);
            json.WriteNumber("priority"u8, column.Priority);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    public void WriteRow(Utf8JsonWriter json, Stored stored)
    {
        using var document = JsonDocument.Parse(stored.Json);
        json.WriteStartObject();
        json.WriteStartArray("cells"u8);
        printer.WriteCells(json, document.RootElement, now);
        json.WriteEndArray();
        switch (carried)
        {
            case RowObject.Metadata:
                json.WriteStartObject("object"u8);
                WritePartial(json, document.RootElement, version);
                json.WriteEndObject();
                break;
            case RowObject.Object:
                json.WritePropertyName("object"u8);
                json.WriteRawValue(stored.Json.Span, skipInputValidation: true);
                break;
        }
        json.WriteEndObject();
    }

    public static void WritePartial(Utf8JsonWriter json, ReadOnlyMemory<byte> stored, string version)
    {
        using var document = JsonDocument.Parse(stored);
        json.WriteStartObject();
        WritePartial(json, document.RootElement, version);
        json.WriteEndObject();
    }

    private static void WritePartial(Utf8JsonWriter json, JsonElement root, string version)
    {
        json.WriteString("kind"u8, "PartialObjectMetadata"u8);
        json.WriteString("apiVersion"u8, "meta.k8s.io/" + version);
        json.WritePropertyName("metadata"u8);
        json.WriteRawValue(JsonMarshal.GetRawUtf8Value(root.GetProperty("metadata")), skipInputValidation: true);
    }
}
