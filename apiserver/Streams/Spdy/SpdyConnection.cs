using System.Buffers.Binary;
using System.Buffers;
using System.Threading.Channels;
using Declarative.Api;

namespace Declarative.ApiServer.Streams.Spdy;

/// <summary>
/// The server's end of a SPDY/3.1 connection as clients of Kubernetes speak it: only the client opens streams. Window updates are neither
/// sent nor waited for, since those clients know none; TCP's own flow control bounds both directions, and a stream that nobody reads holds up
/// its connection once <see cref="Limits.SpdyStreamBytesBuffered"/> wait in it.
/// </summary>
internal sealed class SpdyConnection : IAsyncDisposable
{
    private const int RefusedStream = 3;
    private const int InvalidStream = 2;
    private const int DataBytesMax = 32 * 1024;
    private readonly Stream _transport;
    private readonly HeaderReader _headers = new();
    private readonly Dictionary<int, SpdyStream> _streams = [];
    private readonly Channel<SpdyStream> _opened = Channel.CreateBounded<SpdyStream>(Limits.SpdyStreamsMax);
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly CancellationTokenSource _ended = new();
    private readonly Task _receiving;
    private bool _replied;
    private int _lastStream;

    /// <param name="transport">What carries the frames; closed with the connection.</param>
    public SpdyConnection(Stream transport)
    {
        _transport = transport;
        _receiving = Receive();
    }

    /// <summary>The streams as the client opens them, answered already; completes with the connection.</summary>
    public ChannelReader<SpdyStream> Opened => _opened.Reader;

    /// <summary>The client has gone, or what it sent was no SPDY.</summary>
    public CancellationToken Ended => _ended.Token;

    internal async ValueTask SendData(int stream, ReadOnlyMemory<byte> data, byte flags, CancellationToken stop)
    {
        do
        {
            var part = data[..Math.Min(data.Length, DataBytesMax)];
            data = data[part.Length..];
            var frame = ArrayPool<byte>.Shared.Rent(FrameHead.Bytes + part.Length);
            try
            {
                new FrameHead(null, stream, data.IsEmpty ? flags : (byte)0, part.Length).Write(frame);
                part.Span.CopyTo(frame.AsSpan(FrameHead.Bytes));
                await Send(frame.AsMemory(0, FrameHead.Bytes + part.Length), stop);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(frame);
            }
        }
        while (!data.IsEmpty);
    }

    /// <summary>Says goodbye and closes.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_ended.IsCancellationRequested) await ClientGone.Ends(async () => await Send(ControlFrames.GoAway(_lastStream), _ended.Token));
        await _ended.CancelAsync();
        await _transport.DisposeAsync();
        await _receiving;
        _headers.Dispose();
        _sending.Dispose();
        _ended.Dispose();
    }

    private async ValueTask Send(ReadOnlyMemory<byte> frame, CancellationToken stop)
    {
        await _sending.WaitAsync(stop);
        try
        {
            await _transport.WriteAsync(frame, stop);
            await _transport.FlushAsync(stop);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>The bulkhead of a connection: whatever ends it ends its streams, and is told to nobody else.</summary>
    private async Task Receive()
    {
        await ClientGone.Ends(async () =>
        {
            var head = new byte[FrameHead.Bytes];
            while (await _transport.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, _ended.Token) == head.Length)
            {
                var frame = FrameHead.Read(head);
                if (frame.Type is { } type) await Control(type, frame);
                else await Data(frame);
            }
        });
        _opened.Writer.TryComplete();
        foreach (var stream in _streams.Values) await stream.Received.CompleteAsync();
        if (!_ended.IsCancellationRequested) await _ended.CancelAsync();
    }

    private async ValueTask Control(FrameType type, FrameHead head)
    {
        if (head.Length > Limits.SpdyControlBytesMax) throw new SpdyFault($"a control frame of {head.Length} bytes, more than {Limits.SpdyControlBytesMax}");
        var body = new byte[head.Length];
        await _transport.ReadExactlyAsync(body, _ended.Token);
        switch (type)
        {
            case FrameType.SynStream:
                // stream(32), associated stream(32), priority and slot(16), headers.
                await Open(Number(body, 0), _headers.Read(body.AsMemory(Math.Min(10, body.Length))), head.IsFin);
                break;
            case FrameType.Headers or FrameType.SynReply:
                // Nothing is asked of them here, but the zlib stream goes on through them.
                _headers.Read(body.AsMemory(Math.Min(4, body.Length)));
                break;
            case FrameType.RstStream:
                if (_streams.Remove(Number(body, 0), out var reset)) await reset.Received.CompleteAsync(new IOException("the client has reset the stream"));
                break;
            case FrameType.Ping:
                await Send(ControlFrames.Ping(body), _ended.Token);
                break;
            default:
                break; // SETTINGS, GOAWAY, WINDOW_UPDATE and what a later version may bring: nothing to do
        }
    }

    private async ValueTask Open(int id, Dictionary<string, string> headers, bool isHalfClosed)
    {
        if (id <= _lastStream || (id & 1) == 0) throw new SpdyFault($"a stream numbered {id} after {_lastStream}");
        _lastStream = id;
        var stream = new SpdyStream(this, id, headers);
        if (_streams.Count >= Limits.SpdyStreamsMax || !_opened.Writer.TryWrite(stream))
        {
            await Send(ControlFrames.Reset(id, RefusedStream), _ended.Token);
            return;
        }
        await Send(ControlFrames.Reply(id, first: !_replied), _ended.Token);
        _replied = true;
        if (isHalfClosed) await stream.Received.CompleteAsync();
        else _streams.Add(id, stream);
    }

    private async ValueTask Data(FrameHead head)
    {
        var stream = _streams.GetValueOrDefault(head.Stream);
        if (stream is null && head.Stream > _lastStream) await Send(ControlFrames.Reset(head.Stream, InvalidStream), _ended.Token);
        var left = head.Length;
        var discarded = stream is null ? ArrayPool<byte>.Shared.Rent(Math.Min(left, DataBytesMax) + 1) : null;
        while (left > 0)
        {
            var buffer = discarded ?? stream!.Received.GetMemory();
            buffer = buffer[..Math.Min(buffer.Length, left)];
            var read = await _transport.ReadAsync(buffer, _ended.Token);
            if (read == 0) throw new SpdyFault("a frame that ends early");
            left -= read;
            if (stream is null) continue;
            stream.Received.Advance(read);
            // Completed where nobody reads it any more: the rest is dropped.
            await stream.Received.FlushAsync(_ended.Token);
        }
        if (discarded is not null) ArrayPool<byte>.Shared.Return(discarded);
        if (!head.IsFin || stream is null) return;
        _streams.Remove(head.Stream);
        await stream.Received.CompleteAsync();
    }

    private static int Number(ReadOnlySpan<byte> body, int at) =>
        body.Length >= at + 4 ? BinaryPrimitives.ReadInt32BigEndian(body[at..]) & 0x7fffffff : throw new SpdyFault("a control frame that is too short");
}
