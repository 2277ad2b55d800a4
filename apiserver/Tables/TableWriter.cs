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
    private readonly byte[] _partialHead = PartialHead(version);

    public void WriteColumns(JsonBuffer json) => json.Raw(printer.Definitions);

    public void WriteRow(JsonBuffer json, Stored stored)
    {
        var row = Row.Of(stored, printer);
        json.Raw("{\"cells\":["u8);
        row.WriteCells(json, now);
        json.Raw((byte)']');
        if (carried != RowObject.None) json.Raw(",\"object\":"u8);
        if (carried == RowObject.Metadata) WritePartial(json, row.Metadata(stored), _partialHead);
        else if (carried == RowObject.Object) json.Raw(stored.Json.Span);
        json.Raw((byte)'}');
    }

    public static void WritePartial(JsonBuffer json, Stored stored, string version) => WritePartial(json, stored.Json.Span[Row.MetadataOf(stored.Json.Span)], PartialHead(version));

    private static byte[] PartialHead(string version) => System.Text.Encoding.UTF8.GetBytes($"{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":");

    private static void WritePartial(JsonBuffer json, ReadOnlySpan<byte> metadata, byte[] head)
    {
        json.Raw(head);
        json.Raw(metadata);
        json.Raw((byte)'}');
    }
}
