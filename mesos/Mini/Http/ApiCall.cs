using System.Buffers;
using System.IO.Compression;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>
/// What a POST to one of the v1 APIs must look like before anybody looks at the call itself. Statuses and texts as recorded from a
/// real master and agent.
/// </summary>
internal static class ApiCall
{
    /// <summary>The call, or null when the request was answered with its fault.</summary>
    public static async Task<T?> Read<T>(HttpContext context)
        where T : class, IMessage<T>, new()
    {
        var request = context.Request;
        if (!HttpMethods.IsPost(request.Method))
        {
            context.Response.Headers.Allow = "POST";
            await Answer.Text(context, 405, $"405 Method Not Allowed. Expecting one of {{ 'POST' }}, but received '{request.Method}'.");
            return null;
        }

        if (string.IsNullOrEmpty(request.ContentType))
        {
            await Answer.Text(context, 400, "Expecting 'Content-Type' to be present");
            return null;
        }

        if (MediaTypes.OfContent(request.ContentType) is not { } type)
        {
            await Answer.Text(context, 415, "Expecting 'Content-Type' of application/json or application/x-protobuf");
            return null;
        }

        byte[] body;
        try
        {
            body = await Body(context);
        }
        catch (InvalidDataException broken)
        {
            await Answer.Text(context, 400, $"Failed to read the request body: {broken.Message}");
            return null;
        }

        if (Decode<T>(type, body, out var fault) is { } call)
            return call;
        await Answer.Text(context, 400, fault);
        return null;
    }

    private static T? Decode<T>(MediaType type, byte[] body, out string fault)
        where T : class, IMessage<T>, new()
    {
        fault = "Failed to parse body into Call protobuf";
        if (type == MediaType.Json)
        {
            if (MesosJson.TryRead<T>(body, out var message, out var why))
                return message;
            fault =
                why.Kind == MesosJsonFaultKind.Syntax
                    ? $"Failed to parse body into JSON: {why.Text}"
                    : $"Failed to convert JSON into Call protobuf: {why.Text}";
            return null;
        }

        try
        {
            var message = new T();
            message.MergeFrom(body);
            return message.IsInitialized() ? message : null;
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    private static async Task<byte[]> Body(HttpContext context)
    {
        var request = context.Request;
        var stop = context.RequestAborted;
        if (request.Headers.ContentEncoding.ToString() is not "gzip")
        {
            while (true)
            {
                var read = await request.BodyReader.ReadAsync(stop);
                if (read.IsCompleted)
                {
                    var whole = read.Buffer.ToArray();
                    request.BodyReader.AdvanceTo(read.Buffer.End);
                    return whole;
                }

                request.BodyReader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            }
        }

        await using var unzipped = new GZipStream(request.Body, CompressionMode.Decompress);
        using var all = new MemoryStream();
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            int read;
            while ((read = await unzipped.ReadAsync(buffer, stop)) > 0)
            {
                if (all.Length + read > Limits.CallBytesMax)
                    throw new InvalidDataException($"it is larger than {Limits.CallBytesMax} bytes");
                all.Write(buffer, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return all.ToArray();
    }
}
