using System.IO.Compression;
using System.Text;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The forms of answers that Mesos gives.</summary>
internal static class Answer
{
    // Mesos compresses what is larger than this, for those who accept it.
    private const int GzipBytesMin = 1024;

    public static async Task Text(HttpContext context, int status, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        context.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    /// <summary>404 without a text, but with its type.</summary>
    public static Task NoFile(HttpContext context) => Text(context, 404, "");

    public static Task Empty(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        context.Response.ContentLength = 0;
        return Task.CompletedTask;
    }

    public static Task Message(HttpContext context, IMessage message, MediaType type) =>
        Body(context, type == MediaType.Json ? MesosJson.Write(message) : message.ToByteArray(), type.Name());

    /// <summary>A document of a read endpoint; as a call of a function of the client's where it asks with <c>jsonp=NAME</c>.</summary>
    public static Task Document(HttpContext context, ReadOnlyMemory<byte> json)
    {
        if (context.Request.Query["jsonp"].ToString() is not { Length: > 0 } function)
            return Body(context, json, MediaTypes.Json);
        byte[] call = [.. Encoding.UTF8.GetBytes(function + "("), .. json.Span, (byte)')'];
        return Body(context, call, "text/javascript");
    }

    public static async Task Body(HttpContext context, ReadOnlyMemory<byte> bytes, string contentType)
    {
        var response = context.Response;
        response.StatusCode = 200;
        response.ContentType = contentType;
        if (bytes.Length > GzipBytesMin && AcceptsGzip(context.Request))
        {
            using var packed = new MemoryStream();
            await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
                await gzip.WriteAsync(bytes, context.RequestAborted);
            bytes = packed.ToArray();
            response.Headers.ContentEncoding = "gzip";
        }

        response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    private static bool AcceptsGzip(HttpRequest request) =>
        request.Headers.AcceptEncoding.ToString().Split(',').Any(part => part.Split(';')[0].Trim() == "gzip");
}
