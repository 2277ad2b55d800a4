using System.Buffers;
using System.Net.WebSockets;
using System.Threading.Channels;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Streams;

/// <summary>
/// Exec and attach over WebSocket: binary messages whose first byte is the channel: 0 stdin, 1 stdout, 2 stderr, 3 result, 4 terminal size,
/// and, since v5, 255 with the number of the channel that the client ends.
/// </summary>
internal sealed class WebSocketIo : IRemoteIo
{
    public const string V5 = "v5.channel.k8s.io";
    public const string V4 = "v4.channel.k8s.io";
    private const byte StdinChannel = 0;
    private const byte ResultChannel = 3;
    private const byte SizeChannel = 4;
    private const byte EndChannel = 255;

    private static readonly TimeSpan CloseWithin = TimeSpan.FromSeconds(5);

    private readonly WebSocket _socket;
    private readonly TimeProvider _time;
    private readonly Channel<RemoteInput> _input = Channel.CreateBounded<RemoteInput>(Limits.RemoteInputsBuffered);
    private readonly CancellationTokenSource _gone = new();
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly Task _receiving;

    public WebSocketIo(WebSocket socket, TimeProvider time)
    {
        _socket = socket;
        _time = time;
        _receiving = Receive();
    }

    public ChannelReader<RemoteInput> Input => _input.Reader;
    public CancellationToken Gone => _gone.Token;

    public ValueTask Write(RemoteOutput output, ReadOnlyMemory<byte> data, CancellationToken stop) => Send((byte)output, data, stop);

    public async ValueTask Finish(Status result, CancellationToken stop)
    {
        await Send(ResultChannel, result.ToJson(), stop);
        await _sending.WaitAsync(stop);
        try
        {
            await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", stop);
        }
        finally
        {
            _sending.Release();
        }
        // The client answers with a close of its own once it has read everything: a connection that is cut earlier may lose the result.
        await Task.WhenAny(_receiving, Task.Delay(CloseWithin, _time, stop));
    }

    public async ValueTask DisposeAsync()
    {
        await _gone.CancelAsync();
        await _receiving;
        _socket.Dispose();
        _sending.Dispose();
        _gone.Dispose();
    }

    private async ValueTask Send(byte channel, ReadOnlyMemory<byte> data, CancellationToken stop)
    {
        var message = ArrayPool<byte>.Shared.Rent(data.Length + 1);
        message[0] = channel;
        data.CopyTo(message.AsMemory(1));
        await _sending.WaitAsync(stop);
        try
        {
            await _socket.SendAsync(message.AsMemory(0, data.Length + 1), WebSocketMessageType.Binary, WebSocketMessageFlags.EndOfMessage, stop);
        }
        finally
        {
            _sending.Release();
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    /// <summary>The bulkhead of a connection: whatever ends it ends the input.</summary>
    private async Task Receive()
    {
        await ClientGone.Ends(async () =>
        {
            var buffer = new byte[Limits.RemoteInputBytesMax];
            while (await Message(buffer))
            {
            }
        });
        _input.Writer.TryComplete();
        if (!_gone.IsCancellationRequested) await _gone.CancelAsync();
    }

    /// <summary>One message in as many parts as it comes in; false for the client's close.</summary>
    private async Task<bool> Message(byte[] buffer)
    {
        var channel = -1;
        while (true)
        {
            var part = await _socket.ReceiveAsync(buffer.AsMemory(), _gone.Token);
            if (part.MessageType == WebSocketMessageType.Close) return false;
            var data = buffer.AsMemory(0, part.Count);
            if (channel < 0 && !data.IsEmpty)
            {
                channel = data.Span[0];
                data = data[1..];
            }
            if (Read(channel, data) is { } input) await _input.Writer.WriteAsync(input, _gone.Token);
            if (part.EndOfMessage) return true;
        }
    }

    private static RemoteInput? Read(int channel, ReadOnlyMemory<byte> data) => channel switch
    {
        StdinChannel when !data.IsEmpty => new(data.ToArray()),
        EndChannel when data is { Length: 1 } && data.Span[0] == StdinChannel => new(default, IsEnd: true),
        SizeChannel when TerminalSizes.Last(new(data), out _) is { } size => new(default, Size: size),
        _ => null,
    };
}
