using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>An endless answer: RecordIO, flushed whenever nothing more is waiting.</summary>
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
        try
        {
            await response.StartAsync(gone);
            while (await stream.Wait(gone))
            {
                while (stream.TryRead(out var message))
                {
                    RecordWriter.Write(response.BodyWriter, message, type == MediaType.Json);
                    if (response.BodyWriter.UnflushedBytes > FlushBytes)
                        break;
                }

                await response.BodyWriter.FlushAsync(gone);
            }
        }
        catch (OperationCanceledException)
        {
            // The client has closed its side: the caller tells the master.
        }
    }
}
