using Declarative.Api;
using Declarative.Api.Schema;

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
    public void WriteColumns(JsonBuffer json) => json.Raw(printer.Definitions);

    public void WriteRow(JsonBuffer json, Stored stored)
    {
        var row = Row.Of(stored, printer);
        json.Raw("{\"cells\":["u8);
        row.WriteCells(json, now);
        json.Raw((byte)']');
        if (carried != RowObject.None) json.Raw(",\"object\":"u8);
        if (carried == RowObject.Metadata) WritePartial(json, row.Metadata(stored), version);
        else if (carried == RowObject.Object) json.Raw(stored.Json.Span);
        json.Raw((byte)'}');
    }

    public static void WritePartial(JsonBuffer json, Stored stored, string version) => WritePartial(json, stored.Json.Span[Row.MetadataOf(stored.Json.Span)], version);

    private static void WritePartial(JsonBuffer json, ReadOnlySpan<byte> metadata, string version)
    {
        json.Raw("{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":"u8);
        json.String("meta.k8s.io/" + version);
        json.Raw(",\"metadata\":"u8);
        json.Raw(metadata);
        json.Raw((byte)'}');
    }
}
