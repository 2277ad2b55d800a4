using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Streams.Spdy;

namespace Declarative.ApiServer.Streams;

/// <summary>
/// <c>pods/NAME/portforward</c>: over SPDY two streams a connection, one for its bytes and one for its error, paired by the header
/// <c>requestID</c>; the same carried in WebSocket messages (<c>SPDY/3.1+portforward.k8s.io</c>); or WebSocket channels (v4.channel.k8s.io).
/// </summary>
internal sealed class PodPortForward(TimeProvider time)
{
    private const string Tunnel = "SPDY/3.1+portforward.k8s.io";
    private const string Protocol = "portforward.k8s.io";

    /// <param name="api">The server's own: who may forward needs no right to read pods and nodes.</param>
    public async Task Answer(Exchange exchange, IApi api, CancellationToken closing)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(exchange.Aborted, closing);
        var target = await PortTarget.Find(api, exchange.Key, time, stop.Token);
        if (Upgrade.IsSpdy(exchange))
        {
            var (connection, _) = await Upgrade.ToSpdy(exchange, [Protocol]);
            await Serve(connection, target, stop.Token);
        }
        else if (!Upgrade.IsWebSocket(exchange))
        {
            throw Upgrade.Required(exchange);
        }
        else if (exchange.Query.Has("ports"))
        {
            var ports = WebSocketPorts.Read(exchange.Query);
            using var socket = await Upgrade.ToWebSocket(exchange, [WebSocketIo.V4]);
            await new WebSocketPorts(socket, ports, time).Serve(target, exchange.Aborted, closing);
        }
        else
        {
            var socket = await Upgrade.ToWebSocket(exchange, [Tunnel]);
            await Serve(new(WebSocketStream.Create(socket, WebSocketMessageType.Binary, ownsWebSocket: true)), target, stop.Token);
        }
    }

    private static async Task Serve(SpdyConnection connection, PortTarget target, CancellationToken closing)
    {
        await using var closed = connection;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(closing, connection.Ended);
        var waiting = new Dictionary<string, SpdyStream>();
        var running = new List<Task>();
        try
        {
            await foreach (var stream in Opened(connection, stop.Token))
            {
                running.RemoveAll(x => x.IsCompleted);
                // The error stream comes first. Clients from before requestID number the two one after the other.
                var isError = stream.Headers.GetValueOrDefault("streamType") == "error";
                var id = stream.Headers.GetValueOrDefault("requestID") ?? $"#{(isError ? stream.Id : stream.Id - 2)}";
                if (!waiting.Remove(id, out var other)) waiting.Add(id, stream);
                else running.Add(Forward(isError ? other : stream, isError ? stream : other, target, stop.Token));
            }
        }
        finally
        {
            if (!stop.IsCancellationRequested) await stop.CancelAsync();
            await Task.WhenAll(running);
        }
    }

    private static async IAsyncEnumerable<SpdyStream> Opened(SpdyConnection connection, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken stop)
    {
        while (!stop.IsCancellationRequested && await connection.Opened.WaitToReadAsync(CancellationToken.None))
        {
            while (connection.Opened.TryRead(out var stream)) yield return stream;
        }
    }

    /// <summary>The bulkhead of one forwarded connection: its error is told on its error stream, and ends nothing else.</summary>
    private static async Task Forward(SpdyStream data, SpdyStream error, PortTarget target, CancellationToken stop)
    {
        await ClientGone.Ends(async () =>
        {
            var said = "";
            try
            {
                using var port = await target.Connect(data.Headers.GetValueOrDefault("port", ""), stop);
                await ForwardedConnection.Join(port, data.Input, data.Write, data.Finish, stop);
            }
            catch (Exception failed) when (failed is IOException or SocketException)
            {
                said = failed.Message;
            }
            if (said.Length > 0) await error.Write(Encoding.UTF8.GetBytes(said), stop);
            await error.Finish(stop);
            await data.Finish(stop);
        });
        await data.Input.CompleteAsync();
        await error.Input.CompleteAsync();
    }
}
