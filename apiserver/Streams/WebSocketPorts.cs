using System.Buffers.Binary;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;

namespace Declarative.ApiServer.Streams;

/// <summary>
/// Port forwarding over WebSocket channels: the query names the ports; the Nth has channel 2N for its bytes and 2N + 1 for its error. The
/// server's first message on each channel is the port (16 bits, little endian). One connection a port.
/// </summary>
internal sealed class WebSocketPorts(WebSocket socket, IReadOnlyList<int> ports, TimeProvider time)
{
    /// <summary>What the client sent before it ended the connection is still delivered, to a task that takes it within this.</summary>
    private static readonly TimeSpan DeliverWithin = TimeSpan.FromSeconds(5);
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly Pipe[] _inputs = [.. ports.Select(_ => new Pipe(new(pauseWriterThreshold: Limits.SpdyStreamBytesBuffered, resumeWriterThreshold: Limits.SpdyStreamBytesBuffered / 2, useSynchronizationContext: false)))];

    private readonly TaskCompletionSource[] _delivered = [.. ports.Select(_ => Completion.New())];

    /// <summary>Throws 400.</summary>
    public static IReadOnlyList<int> Read(RequestQuery query)
    {
        var ports = new List<int>();
        foreach (var text in query.All("ports").SelectMany(x => x.Split(',')))
        {
            if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is < 1 or > 65535)
                throw Status.BadRequest($"query parameter ports: \"{text}\" is not a port, a number from 1 to 65535");
            ports.Add(port);
        }
        return ports.Count <= Limits.ForwardedPortsMax ? ports : throw Status.BadRequest($"query parameter ports: more than {Limits.ForwardedPortsMax} ports");
    }

    /// <param name="gone">The client's connection has ended. While a task takes nothing, the WebSocket is not read and does not tell.</param>
    /// <param name="closing">The server stops.</param>
    public async Task Serve(PortTarget target, CancellationToken gone, CancellationToken closing)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(closing);
        await using var patience = time.CreateTimer(static x => ((CancellationTokenSource)x!).Cancel(), stop, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        await using var hears = gone.Register(() => patience.Change(DeliverWithin, Timeout.InfiniteTimeSpan));
        var receiving = Receive(stop);
        await Task.WhenAll(Enumerable.Range(0, ports.Count).Select(i => Forward(i, target, stop.Token)));
        if (!stop.IsCancellationRequested)
        {
            await ClientGone.Ends(() => socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", stop.Token));
            await stop.CancelAsync();
        }
        await receiving;
        _sending.Dispose();
    }

    /// <summary>The bulkhead of one forwarded port.</summary>
    private async Task Forward(int index, PortTarget target, CancellationToken stop)
    {
        await ClientGone.Ends(() => Join(index, target, stop));
        _delivered[index].TrySetResult();
    }

    private async Task Join(int index, PortTarget target, CancellationToken stop)
    {
        var (data, error) = ((byte)(2 * index), (byte)(2 * index + 1));
        var number = new byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(number, (ushort)ports[index]);
        await Send(data, number, stop);
        await Send(error, number, stop);
        try
        {
            using var port = await target.Connect(ports[index].ToString(CultureInfo.InvariantCulture), stop);
            await ForwardedConnection.Join(port, _inputs[index].Reader, (bytes, token) => Send(data, bytes, token), _ => ValueTask.CompletedTask, stop, _delivered[index].SetResult);
        }
        catch (Exception failed) when (failed is IOException or SocketException)
        {
            await Send(error, Encoding.UTF8.GetBytes(failed.Message), stop);
        }
        finally
        {
            await _inputs[index].Reader.CompleteAsync();
        }
    }

    private async ValueTask Send(byte channel, ReadOnlyMemory<byte> data, CancellationToken stop)
    {
        byte[] message = [channel, .. data.Span];
        await _sending.WaitAsync(stop);
        try
        {
            await socket.SendAsync(message, WebSocketMessageType.Binary, endOfMessage: true, stop);
        }
        finally
        {
            _sending.Release();
        }
    }

    private async Task Receive(CancellationTokenSource stop)
    {
        await ClientGone.Ends(async () =>
        {
            var buffer = new byte[Limits.RemoteInputBytesMax];
            var channel = -1;
            while (true)
            {
                var part = await socket.ReceiveAsync(buffer.AsMemory(), stop.Token);
                if (part.MessageType == WebSocketMessageType.Close) return;
                var data = buffer.AsMemory(0, part.Count);
                if (channel < 0 && !data.IsEmpty)
                {
                    channel = data.Span[0];
                    data = data[1..];
                }
                if (channel >= 0 && channel % 2 == 0 && channel / 2 < ports.Count && !data.IsEmpty) await _inputs[channel / 2].Writer.WriteAsync(data, stop.Token);
                if (part.EndOfMessage) channel = -1;
            }
        });
        foreach (var input in _inputs) await input.Writer.CompleteAsync();
        await Task.WhenAny(Task.WhenAll(_delivered.Select(x => x.Task)), Task.Delay(DeliverWithin, time, stop.Token));
        if (!stop.IsCancellationRequested) await stop.CancelAsync();
    }
}
