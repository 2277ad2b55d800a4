using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Tables;

/// <summary>
/// The row of one revision of an object: made once, when the first reader wants a table, and kept with the revision. Only the times since
/// something are worked out for each reader.
/// </summary>
internal sealed class Row
{
    private readonly Printer _printer;
    private readonly byte[] _cells;
    private readonly AgeMark[] _ages;
    private readonly Range _metadata;

    private Row(Stored stored, Printer printer)
    {
        _printer = printer;
        _metadata = MetadataOf(stored.Json.Span);
        var ages = new List<AgeMark>(2);
        using var json = new JsonBuffer(512);
        using (var document = JsonDocument.Parse(stored.Json))
        {
            foreach (var cell in printer.Cells(document.RootElement))
            {
                json.Separate();
                cell.Write(json, ages);
            }
        }
        (_cells, _ages) = (json.ToArray(), [.. ages]);
    }

    public static Row Of(Stored stored, Printer printer)
    {
        // The columns of a custom kind may have changed since.
        if (stored.Made is Row row && ReferenceEquals(row._printer, printer)) return row;
        row = new(stored, printer);
        stored.Made = row;
        return row;
    }

    /// <summary>The cells with commas between them.</summary>
    public void WriteCells(JsonBuffer json, DateTimeOffset now)
    {
        var written = 0;
        foreach (var (at, ticks) in _ages)
        {
            json.Raw(_cells.AsSpan(written..at));
            json.Inside(Age.Of(now.UtcTicks - ticks));
            written = at;
        }
        json.Raw(_cells.AsSpan(written..));
    }

    /// <summary>Bytes that <see cref="WriteCells"/> writes.</summary>
    public int CellsLength(DateTimeOffset now)
    {
        var length = _cells.Length;
        foreach (var (_, ticks) in _ages) length += Age.Of(now.UtcTicks - ticks).Length;
        return length;
    }

    public int MetadataLength => _metadata.End.Value - _metadata.Start.Value;

    /// <summary>Reads the first of each part, so that it is near when it is needed.</summary>
    public void Touch()
    {
        Ahead.First(_cells);
        Ahead.First(MemoryMarshal.AsBytes(_ages.AsSpan()));
    }

    /// <summary>The object's metadata as it is stored.</summary>
    public ReadOnlySpan<byte> Metadata(Stored stored) => stored.Json.Span[_metadata];

    /// <summary>The place of the value of "metadata" in an object's bytes.</summary>
    public static Range MetadataOf(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = Limits.JsonDepthMax });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals("metadata"u8);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            if (found) return start..(int)reader.BytesConsumed;
        }
        throw new InvalidOperationException("a stored object has no metadata");
    }
}
