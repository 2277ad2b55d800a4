using System.Globalization;
using System.IO.Compression;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Wire;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>Writes whole answers: stored bytes as they are, Status objects, warnings.</summary>
internal static class Answers
{
    public const string JsonType = "application/json";
    public const string YamlType = "application/yaml";

    public static Task Json(HttpContext context, int code, ReadOnlyMemory<byte> body) => Bytes(context, code, JsonType, body);

    public static async Task Bytes(HttpContext context, int code, string contentType, ReadOnlyMemory<byte> body)
    {
        var response = Begin(context, code, contentType);
        if (body.Length >= Limits.GzipBytesMin && AcceptsGzip(context))
        {
            response.Headers.ContentEncoding = "gzip";
            response.Headers.Vary = "Accept-Encoding";
            await using var gzip = new GZipStream(response.BodyWriter.AsStream(leaveOpen: true), CompressionLevel.Fastest);
            await gzip.WriteAsync(body, context.RequestAborted);
            return;
        }
        response.ContentLength = body.Length;
        if (HttpMethods.IsHead(context.Request.Method)) return;
        await response.BodyWriter.WriteAsync(body, context.RequestAborted);
    }

    public static Task Status(HttpContext context, Status status)
    {
        if (status.RetryAfterSeconds > 0) context.Response.Headers.RetryAfter = status.RetryAfterSeconds.ToString(CultureInfo.InvariantCulture);
        return Accept.FormOf(context.Request.Headers.Accept) switch
        {
            MediaForm.Yaml => Bytes(context, status.Code, YamlType, Yaml(status.ToJson())),
            MediaForm.Protobuf => Bytes(context, status.Code, Protobuf.ProtobufCodec.MediaType, Protobuf.ProtobufCodec.FromJson(status.ToJson())),
            _ => Json(context, status.Code, status.ToJson()),
        };
    }

    /// <summary>JSON as YAML, as kubectl prints it.</summary>
    public static ReadOnlyMemory<byte> Yaml(ReadOnlyMemory<byte> json) => System.Text.Encoding.UTF8.GetBytes(YamlText.Write(System.Text.Json.Nodes.JsonNode.Parse(json.Span, documentOptions: new() { MaxDepth = Limits.JsonDepthMax })));

    public static Task Text(HttpContext context, int code, string text) =>
        Bytes(context, code, "text/plain; charset=utf-8", System.Text.Encoding.UTF8.GetBytes(text));

    public static HttpResponse Begin(HttpContext context, int code, string contentType)
    {
        var response = context.Response;
        response.StatusCode = code;
        response.ContentType = contentType;
        if (response.Headers.CacheControl.Count == 0) response.Headers.CacheControl = "no-cache, private";
        return response;
    }

    /// <summary>RFC 7234 warn-code 299, as client-go prints them: <c>299 - "text"</c>.</summary>
    public static void Warn(HttpContext context, ICollection<string> warnings)
    {
        if (warnings.Count == 0) return;
        var lines = new List<string>(warnings.Count);
        foreach (var warning in warnings)
        {
            if (lines.Count == Limits.WarningsMax) break;
            lines.Add($"299 - \"{Quotable(warning)}\"");
        }
        context.Response.Headers.Append("Warning", lines.ToArray());
    }

    public static bool AcceptsGzip(HttpContext context)
    {
        foreach (var header in context.Request.Headers.AcceptEncoding)
        {
            if (header is not null && header.Contains("gzip", StringComparison.OrdinalIgnoreCase)) return true;
        }
        return false;
    }

    private static string Quotable(string text)
    {
        var result = new System.Text.StringBuilder(text.Length + 8);
        foreach (var c in text)
        {
            if (c is '"' or '\\') result.Append('\\');
            result.Append(char.IsControl(c) ? ' ' : c);
        }
        return result.ToString();
    }
}
