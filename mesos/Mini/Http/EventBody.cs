using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>
/// An endless answer: RecordIO, flushed whenever nothing more is waiting. Every record is an HTTP chunk of its own, as real masters send
/// them: there are clients that take a chunk for a record.
/// </summary>
internal static class EventBody
{
    private const int FlushBytes = 256 * 1024;

    /// <summary>Returns when the stream was closed by the master or the client has gone.</summary>
    public static async Task Write<T>(HttpContext context, EventStream<T> stream, MediaType type)
        where T : IMessage
    {
        var gone = context.RequestAborted;
        var response = context.Response;
        response.StatusCode = 200;
        response.ContentType = type.Name();
        var chunked = context.Request.Protocol == HttpProtocol.Http11;
        // Set here, the server leaves the chunks to this writer.
        if (chunked)
            response.Headers.TransferEncoding = "chunked";
        var record = new ArrayBufferWriter<byte>();
        try
        {
            await response.StartAsync(gone);
            while (await stream.Wait(gone))
            {
                while (stream.TryRead(out var message))
                {
                    record.ResetWrittenCount();
                    RecordWriter.Write(record, message, type == MediaType.Json);
                    if (chunked)
                        Ascii(response.BodyWriter, $"{record.WrittenCount:x}\r\n");
                    response.BodyWriter.Write(record.WrittenSpan);
                    if (chunked)
                        Ascii(response.BodyWriter, "\r\n");
                    if (response.BodyWriter.UnflushedBytes > FlushBytes)
                        break;
                }

                await response.BodyWriter.FlushAsync(gone);
            }

            if (chunked)
                Ascii(response.BodyWriter, "0\r\n\r\n");
            await response.BodyWriter.FlushAsync(gone);
        }
        catch (OperationCanceledException)
        {
            // The client has closed its side: the caller tells the master.
        }
    }

    private static void Ascii(PipeWriter to, string text)
    {
        var span = to.GetSpan(text.Length);
        to.Advance(Encoding.ASCII.GetBytes(text, span));
    }
}
