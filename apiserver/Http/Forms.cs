using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.ApiServer.Http.Audit;
using Declarative.ApiServer.Protobuf;
using Declarative.ApiServer.Tables;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>Objects and lists in the form the client asked for.</summary>
internal static class Forms
{
    /// <summary>Metadata is written to the connection in pieces of about this size.</summary>
    private const int FlushBytes = 256 * 1024;

    /// <summary>And so many bytes of rows are made at a time.</summary>
    private const int RowsBytes = 32 * 1024;

    /// <summary>Rows from which a table is taken for large enough to be compressed.</summary>
    private const int GzipRowsMin = 200;

    private static readonly byte[] End = "]}"u8.ToArray();

    public static Task Object(Exchange exchange, int code, Stored stored, Accept accept)
    {
        AuditedRequest.Of(exchange.Context)?.Answered(stored);
        accept.Check(isList: false);
        return Whole(exchange, code, accept, Shaped(exchange, stored, accept));
    }

    /// <summary>A whole answer from its JSON.</summary>
    private static Task Whole(Exchange exchange, int code, Accept accept, ReadOnlyMemory<byte> json) => accept.Form switch
    {
        MediaForm.Protobuf => Protobuf(exchange, code, json),
        MediaForm.Yaml => Answers.Bytes(exchange.Context, code, Answers.YamlType, Answers.Yaml(json)),
        _ => Answers.Json(exchange.Context, code, json),
    };

    private static ReadOnlyMemory<byte> Shaped(Exchange exchange, Stored stored, Accept accept)
    {
        if (accept.Shape == Shape.Object) return stored.Json;
        using var json = new JsonBuffer(4096);
        if (accept.Shape == Shape.PartialMetadata) TableWriter.WritePartial(json, stored, accept.Version);
        else WriteTable(json, Rows(exchange, accept), accept, columns: true, stored);
        return json.ToArray();
    }

    public static Task List(Exchange exchange, StoredList list, Accept accept)
    {
        accept.Check(isList: true);
        if (accept.Form != MediaForm.Json) return accept.Shape == Shape.Object ? Whole(exchange, 200, accept, JsonBytes(exchange, list)) : Converted(exchange, list, accept);
        return accept.Shape == Shape.Object ? JsonList(exchange, list) : WrittenList(exchange, list, accept);
    }

    /// <summary>A table of one object, as watches send them.</summary>
    public static void WriteTable(JsonBuffer json, TableWriter rows, Accept accept, bool columns, Stored stored)
    {
        json.Raw("{\"kind\":\"Table\",\"apiVersion\":"u8);
        json.String("meta.k8s.io/" + accept.Version);
        json.Raw(",\"metadata\":{"u8);
        if (stored.Revision > 0)
        {
            json.Raw("\"resourceVersion\":\""u8);
            json.Number(stored.Revision);
            json.Raw((byte)'"');
        }
        json.Raw("},\"columnDefinitions\":"u8);
        if (columns) rows.WriteColumns(json);
        else json.Raw("null"u8);
        json.Raw(",\"rows\":["u8);
        rows.WriteRow(json, stored);
        json.Raw("]}"u8);
    }

    /// <summary>Throws 400 where <c>includeObject</c> is none of its values.</summary>
    public static TableWriter Rows(Exchange exchange, Accept accept)
    {
        var carried = exchange.Query.Text("includeObject") switch
        {
            "" or "Metadata" => RowObject.Metadata,
            "None" => RowObject.None,
            "Object" => RowObject.Object,
            var other => throw Status.BadRequest($"includeObject: Unsupported value: \"{other}\": supported values: \"Metadata\", \"None\", \"Object\""),
        };
        return new(Printer.Of(exchange.Path.Kind, exchange.Path.Subresource), accept.Version, carried, exchange.Now);
    }

    private static Task Protobuf(Exchange exchange, int code, ReadOnlyMemory<byte> json) =>
        ProtobufCodec.FromJson(json) is { } bytes ? Answers.Bytes(exchange.Context, code, ProtobufCodec.MediaType, bytes) : throw OnlyJson();

    private static byte[] JsonBytes(Exchange exchange, StoredList list)
    {
        var kind = exchange.Path.Kind;
        var buffer = new ArrayBufferWriter<byte>(list.Items.Sum(x => x.Json.Length + 1) + 256);
        buffer.Write(ListHead(kind.ListName, kind.ApiVersion, list));
        for (var i = 0; i < list.Items.Count; i++)
        {
            if (i > 0) buffer.Write(","u8);
            buffer.Write(list.Items[i].Json.Span);
        }
        buffer.Write("]}"u8);
        return buffer.WrittenSpan.ToArray();
    }

    private static ApiException OnlyJson() => Status.NotAcceptable("only the following media types are accepted: application/json");

    private static async Task JsonList(Exchange exchange, StoredList list)
    {
        var kind = exchange.Path.Kind;
        var head = ListHead(kind.ListName, kind.ApiVersion, list);
        var length = (long)head.Length + 2 + Math.Max(0, list.Items.Count - 1);
        foreach (var item in list.Items) length += item.Json.Length;

        var context = exchange.Context;
        if (length >= Limits.GzipBytesMin && Answers.AcceptsGzip(context))
        {
            await Compressed(context, writer => WriteItems(writer, head, list, length, context.RequestAborted));
            return;
        }
        var response = Answers.Begin(context, 200, Answers.JsonType);
        response.ContentLength = length;
        if (HttpMethods.IsHead(context.Request.Method)) return;
        await WriteItems(response.BodyWriter, head, list, length, context.RequestAborted);
    }

    private static async ValueTask WriteItems(PipeWriter writer, byte[] head, StoredList list, long length, CancellationToken stop)
    {
        var pieces = new Pieces(writer, length);
        await pieces.Write(head, stop);
        await pieces.WriteItems(list.Items, stop);
        await pieces.Write(End, stop);
        await pieces.Flush(stop);
    }

    /// <summary>Rows or metadata in another form than JSON: made whole first.</summary>
    private static async Task Converted(Exchange exchange, StoredList list, Accept accept)
    {
        using var buffer = new MemoryStream();
        var writer = PipeWriter.Create(buffer, new StreamPipeWriterOptions(leaveOpen: true));
        if (accept.Shape == Shape.Table)
        {
            var rows = Rows(exchange, accept);
            using var head = TableHead(list, accept, rows);
            await WriteTable(writer, head.WrittenMemory, list, rows, RowsBytes, exchange.Aborted);
        }
        else await WritePartials(writer, list, accept, exchange.Aborted);
        await writer.CompleteAsync();
        await Whole(exchange, 200, accept, buffer.GetBuffer().AsMemory(0, (int)buffer.Length));
    }

    private static async Task WrittenList(Exchange exchange, StoredList list, Accept accept)
    {
        var context = exchange.Context;
        var rows = Rows(exchange, accept);
        var gzip = list.Items.Count >= GzipRowsMin && Answers.AcceptsGzip(context);
        if (accept.Shape == Shape.Table)
        {
            using var head = TableHead(list, accept, rows);
            var length = head.Length + 2L + Math.Max(0, list.Items.Count - 1);
            if (!gzip) length += rows.Length(list.Items);
            if (gzip) await Compressed(context, writer => WriteTable(writer, head.WrittenMemory, list, rows, RowsBytes, context.RequestAborted));
            else
            {
                var table = Answers.Begin(context, 200, Answers.JsonType);
                table.ContentLength = length;
                if (!HttpMethods.IsHead(context.Request.Method)) await WriteTable(table.BodyWriter, head.WrittenMemory, list, rows, length, context.RequestAborted);
            }
            return;
        }
        if (gzip)
        {
            await Compressed(context, writer => WritePartials(writer, list, accept, context.RequestAborted));
            return;
        }
        var response = Answers.Begin(context, 200, Answers.JsonType);
        if (HttpMethods.IsHead(context.Request.Method)) return;
        await WritePartials(response.BodyWriter, list, accept, context.RequestAborted);
    }

    private static JsonBuffer TableHead(StoredList list, Accept accept, TableWriter rows)
    {
        var json = new JsonBuffer(4096);
        json.Raw("{\"kind\":\"Table\",\"apiVersion\":"u8);
        json.String("meta.k8s.io/" + accept.Version);
        json.Raw(",\"metadata\":"u8);
        WriteListMeta(json, list);
        json.Raw(",\"columnDefinitions\":"u8);
        rows.WriteColumns(json);
        json.Raw(",\"rows\":["u8);
        return json;
    }

    private static async ValueTask WriteTable(PipeWriter writer, ReadOnlyMemory<byte> head, StoredList list, TableWriter rows, long length, CancellationToken stop)
    {
        var pieces = new Pieces(writer, length);
        await pieces.Write(head, stop);
        using var json = new JsonBuffer(RowsBytes + RowsBytes / 4);
        for (var i = 0; i < list.Items.Count; i++)
        {
            if (i % Ahead.Items == 0) Ahead.TouchRows(list.Items, i, withMetadata: true);
            if (i > 0) json.Raw((byte)',');
            rows.WriteRow(json, list.Items[i]);
            if (json.Length < RowsBytes) continue;
            await pieces.Write(json.WrittenMemory, stop);
            json.Length = 0;
        }
        json.Raw("]}"u8);
        await pieces.Write(json.WrittenMemory, stop);
        await pieces.Flush(stop);
    }

    private static async ValueTask WritePartials(PipeWriter writer, StoredList list, Accept accept, CancellationToken stop)
    {
        using var json = new JsonBuffer(FlushBytes + FlushBytes / 4);
        json.Raw("{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":"u8);
        json.String("meta.k8s.io/" + accept.Version);
        json.Raw(",\"metadata\":"u8);
        WriteListMeta(json, list);
        json.Raw(",\"items\":["u8);
        for (var i = 0; i < list.Items.Count; i++)
        {
            if (i > 0) json.Raw((byte)',');
            TableWriter.WritePartial(json, list.Items[i], accept.Version);
            if (json.Length < FlushBytes) continue;
            writer.Write(json.Written);
            json.Length = 0;
            await writer.FlushAsync(stop);
        }
        json.Raw("]}"u8);
        writer.Write(json.Written);
        await writer.FlushAsync(stop);
    }

    private static async Task Compressed(HttpContext context, Func<PipeWriter, ValueTask> write)
    {
        var response = Answers.Begin(context, 200, Answers.JsonType);
        response.Headers.ContentEncoding = "gzip";
        response.Headers.Vary = "Accept-Encoding";
        await using var gzip = new GZipStream(response.BodyWriter.AsStream(leaveOpen: true), CompressionLevel.Fastest);
        var pipe = PipeWriter.Create(gzip, new StreamPipeWriterOptions(leaveOpen: true, minimumBufferSize: 64 * 1024));
        await write(pipe);
        await pipe.CompleteAsync();
    }

    /// <summary>Everything of a list before its first item, up to <c>"items":[</c>.</summary>
    private static byte[] ListHead(string kind, string apiVersion, StoredList list)
    {
        using var json = new JsonBuffer();
        json.Raw("{\"kind\":"u8);
        json.String(kind);
        json.Raw(",\"apiVersion\":"u8);
        json.String(apiVersion);
        json.Raw(",\"metadata\":"u8);
        WriteListMeta(json, list);
        json.Raw(",\"items\":["u8);
        return json.ToArray();
    }

    private static void WriteListMeta(JsonBuffer json, StoredList list)
    {
        // What was never stored has no revision.
        if (list.Revision == 0)
        {
            json.Raw("{}"u8);
            return;
        }
        json.Raw("{\"resourceVersion\":\""u8);
        json.Number(list.Revision);
        json.Raw((byte)'"');
        if (list.Continue.Length > 0)
        {
            json.Raw(",\"continue\":"u8);
            json.String(list.Continue);
        }
        if (list.RemainingItems is { } remaining && list.Continue.Length > 0)
        {
            json.Raw(",\"remainingItemCount\":"u8);
            json.Number(remaining);
        }
        json.Raw((byte)'}');
    }
}
