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

    private static ReadOnlySpan<byte> Cells => "{\"cells\":["u8;

    private static ReadOnlySpan<byte> Carried => ",\"object\":"u8;

    public void WriteColumns(JsonBuffer json) => json.Raw(printer.Definitions);

    /// <summary>Bytes of all rows without what stands between them: a list whose length is known before it is written goes out in larger pieces.</summary>
    public long Length(IReadOnlyList<Stored> items)
    {
        var length = 0L;
        for (var i = 0; i < items.Count; i++)
        {
            if (i % Ahead.Items == 0) Ahead.TouchRows(items, i, withMetadata: false);
            length += RowLength(items[i]);
        }
        return length;
    }

    private int RowLength(Stored stored)
    {
        var row = Row.Of(stored, printer);
        return Cells.Length + row.CellsLength(now) + 2 + carried switch
        {
            RowObject.Metadata => Carried.Length + _partialHead.Length + row.MetadataLength + 1,
            RowObject.Object => Carried.Length + stored.Json.Length,
            _ => 0,
        };
    }

    public void WriteRow(JsonBuffer json, Stored stored)
    {
        var row = Row.Of(stored, printer);
        json.Raw(Cells);
        row.WriteCells(json, now);
        json.Raw((byte)']');
        if (carried != RowObject.None) json.Raw(Carried);
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
