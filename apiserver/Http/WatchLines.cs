using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.ApiServer.Tables;

namespace Declarative.ApiServer.Http;

/// <summary>Writes the lines of one watch in the form its client asked for.</summary>
internal sealed class WatchLines(Exchange exchange, Accept accept) : WatchForm
{
    /// <summary>Larger objects are written in pieces.</summary>
    private const int PieceBytesMax = 8 * 1024;
    private bool _columnsSent;

    public override string ContentType => Answers.JsonType;

    /// <summary>Objects go out as they are stored.</summary>
    public bool IsPlain => accept.Shape == Shape.Object;

    public override int Write(PipeWriter writer, WatchEvent happened)
    {
        var type = happened.Type switch
        {
            WatchEventType.Added => "{\"type\":\"ADDED\",\"object\":"u8,
            WatchEventType.Modified => "{\"type\":\"MODIFIED\",\"object\":"u8,
            WatchEventType.Deleted => "{\"type\":\"DELETED\",\"object\":"u8,
            _ => "{\"type\":\"BOOKMARK\",\"object\":"u8,
        };
        if (IsPlain && happened.Object is { Json: { Length: <= PieceBytesMax } json })
        {
            var whole = type.Length + json.Length + 2;
            var to = writer.GetSpan(whole);
            type.CopyTo(to);
            json.Span.CopyTo(to[type.Length..]);
            "}\n"u8.CopyTo(to[(whole - 2)..]);
            writer.Advance(whole);
            return whole;
        }
        writer.Write(type);
        int length;
        if (IsPlain && happened.Object is { } large)
        {
            writer.Write(large.Json.Span);
            length = large.Json.Length;
        }
        else length = WriteObject(writer, happened);
        writer.Write("}\n"u8);
        return type.Length + length + 2;
    }

    /// <summary>The object of an event in the shape that was asked for, or of a bookmark; returns the bytes written.</summary>
    public int WriteObject(IBufferWriter<byte> writer, WatchEvent happened) => happened.Object is { } stored ? WriteShaped(writer, stored) : WriteBookmark(writer, happened);

    private int WriteShaped(IBufferWriter<byte> writer, Stored stored)
    {
        using var json = new JsonBuffer(4096);
        if (accept.Shape == Shape.PartialMetadata)
        {
            TableWriter.WritePartial(json, stored, accept.Version);
        }
        else
        {
            // The columns stand in the first table only; clients keep them.
            Forms.WriteTable(json, Forms.Rows(exchange, accept), accept, columns: !_columnsSent, stored);
            _columnsSent = true;
        }
        writer.Write(json.Written);
        return json.Length;
    }

    public override void WriteError(PipeWriter writer, Status status)
    {
        writer.Write("{\"type\":\"ERROR\",\"object\":"u8);
        writer.Write(status.ToJson());
        writer.Write("}\n"u8);
    }

    /// <summary>An object of the watched kind that has nothing but its resourceVersion and, at the end of a streaming list, the annotation that says so.</summary>
    private int WriteBookmark(IBufferWriter<byte> writer, WatchEvent happened)
    {
        var kind = exchange.Path.Kind;
        using var json = new Utf8JsonWriter(writer);
        json.WriteStartObject();
        switch (accept.Shape)
        {
            case Shape.Table:
                json.WriteString("kind"u8, "Table"u8);
                json.WriteString("apiVersion"u8, "meta.k8s.io/" + accept.Version);
                break;
            case Shape.PartialMetadata:
                json.WriteString("kind"u8, "PartialObjectMetadata"u8);
                json.WriteString("apiVersion"u8, "meta.k8s.io/" + accept.Version);
                break;
            default:
                json.WriteString("kind"u8, kind.Name);
                json.WriteString("apiVersion"u8, kind.ApiVersion);
                break;
        }
        json.WriteStartObject("metadata"u8);
        json.WriteString("resourceVersion"u8, happened.Revision.ToString(CultureInfo.InvariantCulture));
        json.WriteNull("creationTimestamp"u8);
        if (happened.InitialEventsEnd)
        {
            json.WriteStartObject("annotations"u8);
            json.WriteString("k8s.io/initial-events-end"u8, "true"u8);
            json.WriteEndObject();
        }
        json.WriteEndObject();
        if (accept.Shape == Shape.Table)
        {
            json.WriteNull("columnDefinitions"u8);
            json.WriteStartArray("rows"u8);
            json.WriteEndArray();
        }
        json.WriteEndObject();
        json.Flush();
        return (int)json.BytesCommitted;
    }
}
