using System.Buffers;
using System.Buffers.Text;

namespace Declarative.Lb.Proxy.Plain;

/// <content>
/// A request's body that streams: passed on as it comes and as the endpoint takes it, one buffer in a turn of the loop, so that floods of bodies wait
/// for their turn like everybody. A chunked one is framed anew: what the endpoint reads is what was read here, without extensions and trailers
/// (RFC 9112 section 7.1.2 lets who passes it on drop both).
/// </content>
internal sealed unsafe partial class PlainConnection
{
    /// <summary>Before what one look takes of a chunked body: its size in hexadecimal digits and a line's end.</summary>
    private const int ChunkHeadBytes = 16;

    /// <summary>Behind it: a line's end and the last chunk.</summary>
    private const int ChunkTailBytes = 16;

    private static ReadOnlySpan<byte> LastChunk => "0\r\n\r\n"u8;
    private static ReadOnlySpan<byte> GoOn => "HTTP/1.1 100 Continue\r\n\r\n"u8;

    /// <summary>Of the body of the request in hand: not all has been taken from the client.</summary>
    private bool _bodyMissing;

    /// <summary>Not all of it has been sent on; set once that has begun.</summary>
    private bool _bodyComing;
    private bool _bodyIsChunked;

    /// <summary>The client waits to hear that it is wanted.</summary>
    private bool _expects;
    private ChunkScanner _bodyChunks;
    private long _bodyLeft;

    /// <summary>The answer is whole before the request is.</summary>
    private bool _isAnswerDone;

    // What the endpoint's socket has no room for.
    private byte[]? _onward;
    private int _onwardFrom;
    private int _onwardTo;

    /// <summary>The head has been sent; it stays in the socket, and can be sent again, until something of the body has come.</summary>
    private void BeginBody(in RequestHead head)
    {
        (_bodyIsChunked, _bodyLeft, _bodyChunks, _expects) = (head.IsChunked, head.Length, default, head.Expects);
        _bodyComing = true;
        if (_readable) PumpBody();
    }

    /// <summary>Passes on what the client has sent.</summary>
    private void PumpBody()
    {
        if (_upstream is not { } upstream || !TryFlushBody(upstream)) return;
        if (!_bodyMissing)
        {
            BodySent();
            return;
        }
        if (_requestBytes > 0 && !TryTakeHead())
        {
            Gone();
            return;
        }
        _readable = _clientEnded; // then no news comes of the rest
        // Where a chunked body ends is known once it has been read; of another one no more is taken than is its own.
        var takes = !_bodyIsChunked && _tls is null;
        var room = takes ? (int)Math.Min(_bodyLeft, EventLoop.BufferBytes) : EventLoop.BufferBytes - ChunkHeadBytes - ChunkTailBytes;
        var seen = takes ? Libc.Receive(Fd, _loop.Buffer, room) : Look(room);
        if (seen == -Libc.Again) return;
        if (seen <= 0)
        {
            Gone(); // in the middle of its request
            return;
        }
        _readable |= _tls is null ? seen == room : _hasMore;
        _expects = false; // it does not wait any longer
        Touch();
        var taken = _bodyIsChunked ? Frame(seen, out var from, out var count) : Measure(seen, out from, out count);
        if (taken < 0)
        {
            BadBody();
            return;
        }
        _passed += taken;
        if (!takes && !TryTake(taken))
        {
            Gone();
            return;
        }
        if (!TrySendBody(upstream, from, count) || _onwardTo > 0) return;
        if (!_bodyMissing) BodySent();
        else if (_readable) CallAgain();
    }

    private bool TryTakeHead()
    {
        var count = _requestBytes;
        (_requestBytes, _isIdempotent) = (0, false); // it is not there to be sent again
        return TryTake(count);
    }

    /// <summary>Of a body of a known length.</summary>
    /// <returns>Bytes that are the body's.</returns>
    private int Measure(int seen, out byte* from, out int count)
    {
        from = _loop.Buffer;
        count = (int)Math.Min(_bodyLeft, seen);
        _bodyLeft -= count;
        _bodyMissing = _bodyLeft > 0;
        return count;
    }

    /// <summary>What the chunks hold becomes one chunk.</summary>
    /// <returns>Bytes that are the body's; -1 where it is no body.</returns>
    private int Frame(int seen, out byte* from, out int count)
    {
        var buffer = new Span<byte>(_loop.Outgoing, EventLoop.BufferBytes);
        var taken = _bodyChunks.Scan(new(_loop.Buffer, seen), buffer[ChunkHeadBytes..], out var data);
        from = _loop.Outgoing + ChunkHeadBytes;
        count = 0;
        if (_bodyChunks.IsBad) return -1;
        var end = ChunkHeadBytes;
        if (data > 0)
        {
            Span<byte> size = stackalloc byte[ChunkHeadBytes];
            Utf8Formatter.TryFormat(data, size, out var digits, new('x'));
            "\r\n"u8.CopyTo(size[digits..]);
            digits += 2;
            size[..digits].CopyTo(buffer[(ChunkHeadBytes - digits)..]);
            from -= digits;
            end += data;
            Put(buffer, ref end, "\r\n"u8);
        }
        _bodyMissing = !_bodyChunks.IsDone;
        if (!_bodyMissing) Put(buffer, ref end, LastChunk);
        count = end - (int)(from - _loop.Outgoing);
        return taken;
    }

    /// <returns>False where the endpoint takes no more of it.</returns>
    private bool TrySendBody(Upstream upstream, byte* from, int count)
    {
        if (count == 0) return true;
        var sent = Libc.Send(upstream.Fd, from, count);
        if (sent == count) return true;
        if (sent == -Libc.Again) sent = 0;
        if (sent < 0)
        {
            NotTaken();
            return false;
        }
        _onward ??= ArrayPool<byte>.Shared.Rent(EventLoop.BufferBytes);
        new ReadOnlySpan<byte>(from + sent, count - sent).CopyTo(_onward);
        (_onwardFrom, _onwardTo) = (0, count - sent);
        return true;
    }

    /// <returns>True where the endpoint has room for more.</returns>
    private bool TryFlushBody(Upstream upstream)
    {
        while (_onwardFrom < _onwardTo)
        {
            int sent;
            fixed (byte* from = _onward) sent = Libc.Send(upstream.Fd, from + _onwardFrom, _onwardTo - _onwardFrom);
            if (sent == -Libc.Again) return false;
            if (sent < 0)
            {
                NotTaken();
                return false;
            }
            _onwardFrom += sent;
            Touch();
        }
        ReturnOnward();
        return true;
    }

    private void BodySent()
    {
        _bodyComing = false;
        _readable = true; // what lies behind it is no news any longer
        if (_isAnswerDone)
        {
            LetGo(_upstreamKeepsAlive && !_upstreamEnded);
            Answered();
        }
        else if (_clientEnded) SeeWhetherItLeft();
    }

    /// <summary>The endpoint has closed its connection; it may have said why before.</summary>
    private void NotTaken()
    {
        _bodyComing = false;
        _keepsAlive = false;
        ReturnOnward();
        _upstreamEnded = true;
        Pump();
    }

    /// <summary>Nobody knows where the next request begins.</summary>
    private void BadBody()
    {
        Interlocked.Increment(ref _cluster!.Counts.RefusalCount);
        if (_state == State.Answering)
        {
            Break();
            return;
        }
        _keepsAlive = false;
        Answer(400, "Bad Request", "The body is not chunked as RFC 9112 section 7.1 says.\n");
    }

    /// <summary>No more of it is passed on; what has not come by now cannot be told from the next request.</summary>
    private void DropBody()
    {
        if (_bodyMissing) _keepsAlive = false;
        if (_bodyComing) _readable = true; // of a request behind it there may be no news any longer
        _bodyComing = _isAnswerDone = _expects = false;
        ReturnOnward();
    }

    private void ReturnOnward()
    {
        if (_onward is not null) ArrayPool<byte>.Shared.Return(_onward);
        (_onward, _onwardFrom, _onwardTo) = (null, 0, 0);
    }
}
