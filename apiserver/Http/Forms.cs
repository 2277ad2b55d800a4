using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>Objects and lists in the form the client asked for.</summary>
internal static class Forms
{
    /// <summary>Written to the connection in pieces of about this size.</summary>
    private const int FlushBytes = 256 * 1024;

    public static Task Object(Exchange exchange, int code, Stored stored, Accept accept) => accept switch
    {
        { Shape: Shape.Object, Form: MediaForm.Json } => Answers.Json(exchange.Context, code, stored.Json),
        _ => throw Status.NotAcceptable("only application/json is served"),
    };

    public static Task List(Exchange exchange, StoredList list, Accept accept) => accept switch
    {
        { Shape: Shape.Object, Form: MediaForm.Json } => JsonList(exchange, list),
        _ => throw Status.NotAcceptable("only application/json is served"),
    };

    private static async Task JsonList(Exchange exchange, StoredList list)
    {
        var kind = exchange.Path.Kind;
        var head = ListHead(kind.Name + "List", kind.ApiVersion, list);
        var length = (long)head.Length + 2 + Math.Max(0, list.Items.Count - 1);
        foreach (var item in list.Items) length += item.Json.Length;

        var context = exchange.Context;
        var response = Answers.Begin(context, 200, Answers.JsonType);
        if (length >= Limits.GzipBytesMin && Answers.AcceptsGzip(context))
        {
            response.Headers.ContentEncoding = "gzip";
            response.Headers.Vary = "Accept-Encoding";
            await using var gzip = new GZipStream(response.BodyWriter.AsStream(leaveOpen: true), CompressionLevel.Fastest);
            var pipe = PipeWriter.Create(gzip, new StreamPipeWriterOptions(leaveOpen: true, minimumBufferSize: 64 * 1024));
            await WriteItems(pipe, head, list, context.RequestAborted);
            await pipe.CompleteAsync();
            return;
        }
        response.ContentLength = length;
        if (HttpMethods.IsHead(context.Request.Method)) return;
        await WriteItems(response.BodyWriter, head, list, context.RequestAborted);
    }

    private static async ValueTask WriteItems(PipeWriter writer, byte[] head, StoredList list, CancellationToken stop)
    {
        writer.Write(head);
        var unflushed = head.Length;
        for (var i = 0; i < list.Items.Count; i++)
        {
            if (i > 0) writer.Write(","u8);
            writer.Write(list.Items[i].Json.Span);
            unflushed += list.Items[i].Json.Length + 1;
            if (unflushed < FlushBytes) continue;
            await writer.FlushAsync(stop);
            unflushed = 0;
        }
        writer.Write("]}"u8);
        await writer.FlushAsync(stop);
    }

    /// <summary>Everything of a list before its first item, up to <c>"items":[</c>.</summary>
    internal static byte[] ListHead(string kind, string apiVersion, StoredList list)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
        {
            json.WriteStartObject();
            json.WriteString("kind"u8, kind);
            json.WriteString("apiVersion"u8, apiVersion);
            WriteListMeta(json, list);
            json.WriteStartArray("items"u8);
        }
        return buffer.WrittenSpan.ToArray();
    }

    internal static void WriteListMeta(Utf8JsonWriter json, StoredList list)
    {
        json.WriteStartObject("metadata"u8);
        json.WriteString("resourceVersion"u8, list.Revision.ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (list.Continue.Length > 0) json.WriteString("continue"u8, list.Continue);
        if (list.RemainingItems is { } remaining && list.Continue.Length > 0) json.WriteNumber("remainingItemCount"u8, remaining);
        json.WriteEndObject();
    }
}
