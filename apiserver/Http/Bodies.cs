using System.Buffers;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Protobuf;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>Reads request bodies into memory, at most <see cref="Limits.RequestBodyBytesMax"/>.</summary>
internal static class Bodies
{
    /// <summary>The body as it came. Throws 413.</summary>
    public static async ValueTask<ReadOnlyMemory<byte>> Read(HttpContext context)
    {
        var request = context.Request;
        if (request.ContentLength is { } announced)
        {
            if (announced > Limits.RequestBodyBytesMax) throw TooLarge();
            if (announced == 0) return default;
        }
        while (true)
        {
            var read = await request.BodyReader.ReadAsync(context.RequestAborted);
            if (read.Buffer.Length > Limits.RequestBodyBytesMax) throw TooLarge();
            if (read.IsCompleted)
            {
                var bytes = read.Buffer.ToArray();
                request.BodyReader.AdvanceTo(read.Buffer.End);
                return bytes;
            }
            request.BodyReader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    /// <summary>An object's body as JSON, whatever it was sent as. Throws 400, 413, 415.</summary>
    public static async ValueTask<ReadOnlyMemory<byte>> ReadObject(HttpContext context)
    {
        var body = await Read(context);
        switch (MediaType(context.Request.ContentType))
        {
            case "" or "application/json" or "*/*":
                return body;
            case ProtobufCodec.MediaType:
                return ProtobufCodec.ToJson(body.Span);
            default:
                throw UnknownType("application/json, application/yaml, application/vnd.kubernetes.protobuf");
        }
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

    private static ApiException TooLarge() => Status.TooLarge($"Request entity too large: limit is {Limits.RequestBodyBytesMax}");
}
