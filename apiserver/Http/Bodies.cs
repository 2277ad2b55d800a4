using System.Buffers;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Wire;
using Declarative.ApiServer.Http.Audit;
using Declarative.ApiServer.Protobuf;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>Reads request bodies into memory, at most <see cref="Limits.RequestBodyBytesMax"/>.</summary>
internal static class Bodies
{
    /// <summary>
    /// The body as it came. Throws 413, but reads a too large body (up to <see cref="Limits.RequestBodyBytesDrained"/>) to its end first:
    /// a client that is still sending would else see a broken connection instead of the answer.
    /// </summary>
    public static async ValueTask<ReadOnlyMemory<byte>> Read(HttpContext context)
    {
        var reader = context.Request.BodyReader;
        if (context.Request.ContentLength == 0) return default;
        var tooLarge = context.Request.ContentLength > Limits.RequestBodyBytesMax;
        while (true)
        {
            var read = await reader.ReadAsync(context.RequestAborted);
            tooLarge |= read.Buffer.Length > Limits.RequestBodyBytesMax;
            if (read.IsCompleted && !tooLarge)
            {
                var bytes = read.Buffer.ToArray();
                reader.AdvanceTo(read.Buffer.End);
                if (bytes.Length > Limits.SmallBytesMax) await Task.Yield();
                return bytes;
            }
            if (tooLarge) reader.AdvanceTo(read.Buffer.End);
            else reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted) throw Status.TooLarge($"Request entity too large: limit is {Limits.RequestBodyBytesMax}");
        }
    }

    /// <summary>An object's body as JSON, whatever it was sent as. Throws 400, 413, 415.</summary>
    public static async ValueTask<ReadOnlyMemory<byte>> ReadObject(HttpContext context)
    {
        var json = await ReadAsJson(context);
        AuditedRequest.Of(context)?.Sent(json);
        return json;
    }

    private static async ValueTask<ReadOnlyMemory<byte>> ReadAsJson(HttpContext context)
    {
        var body = await Read(context);
        switch (MediaType(context.Request.ContentType))
        {
            case "" or "application/json" or "*/*":
                return body;
            case "application/yaml":
                return Yaml.ToJson(body);
            case ProtobufCodec.MediaType:
                return ProtobufCodec.ToJson(body.Span);
            default:
                throw UnknownType("application/json, application/yaml, application/vnd.kubernetes.protobuf");
        }
    }

    /// <summary>The body of a server-side apply as JSON: it is YAML by its media type, and mostly JSON in fact.</summary>
    public static async ValueTask<ReadOnlyMemory<byte>> ReadApply(HttpContext context)
    {
        var body = await Read(context);
        return body.Span.TrimStart(" \t\r\n"u8).StartsWith("{"u8) ? body : Yaml.ToJson(body);
    }

    public static ApiException UnknownType(string accepted) =>
        Status.UnsupportedMediaType($"the body of the request was in an unknown format - accepted media types include: {accepted}");

    /// <summary>The media type without parameters, in lower case.</summary>
    public static string MediaType(string? contentType)
    {
        if (string.IsNullOrEmpty(contentType)) return "";
        var semicolon = contentType.IndexOf(';', StringComparison.Ordinal);
        return (semicolon < 0 ? contentType : contentType[..semicolon]).Trim().ToLowerInvariant();
    }
}
