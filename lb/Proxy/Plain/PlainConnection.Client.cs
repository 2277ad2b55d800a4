using System.Buffers;
using Declarative.Lb.Proxy;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>A connection whose TLS has begun on an event loop and which somebody else goes on with.</summary>
/// <param name="Seen">What the client has sent and nobody has taken.</param>
internal sealed record TlsHandoff(TlsSession Session, byte[] Seen);

/// <content>The client's side: bytes as they are, or in TLS. There what has been looked at is kept until it is taken, as a socket keeps it.</content>
internal sealed unsafe partial class PlainConnection
{
    /// <summary>From the first byte, and for the rest once more; as Kestrel has it.</summary>
    private const int HandshakeMilliseconds = 10_000;

    private TlsSession? _tls;
    private byte[]? _seen;
    private int _seenBytes;
    private bool _waitsForTurn;

    /// <summary>The look was full: of what lies behind it there may be no news.</summary>
    private bool _hasMore;

    /// <summary>Set before <see cref="End"/>; null = the connection is as it came.</summary>
    public TlsHandoff? Handoff { get; private set; }

    private bool IsTls => _client.Listener.Target == ListenerTarget.IngressTls;

    /// <summary>Steps of handshakes wait for the loop to call again.</summary>
    private bool IsMyTurn(uint events)
    {
        var isMine = _waitsForTurn && events == 0;
        if (!isMine && !_waitsForTurn) _loop.AgainForHandshake(this);
        _waitsForTurn = !isMine;
        return isMine;
    }

    /// <summary>The client's first message lies in the socket: whether it is one for this loop.</summary>
    private void Greet()
    {
        var seen = Libc.Look(Fd, _loop.Buffer, LookBytes);
        if (seen == -Libc.Again) return;
        if (seen <= 0)
        {
            Finish(PlainEnd.Ended);
            return;
        }
        if (!_hasSpoken) Deadline = _loop.Now + HandshakeMilliseconds;
        _hasSpoken = true;
        var hello = ClientHello.Parse(new(_loop.Buffer, seen));
        if (hello.IsPart && seen < LookBytes && !_clientEnded) return;
        if (!hello.IsWhole || _proxy.ContextFor(hello) is not { } context || TlsSession.Open(context, Fd) is not { } session)
        {
            Finish(PlainEnd.NotPlain);
            return;
        }
        _tls = session;
        _state = State.Handshaking;
        Deadline = _loop.Now + HandshakeMilliseconds;
        Handshake();
    }

    private void Handshake()
    {
        var result = _tls!.Handshake();
        if (result == -Libc.Again) return;
        if (result <= 0)
        {
            Finish(PlainEnd.Ended);
            return;
        }
        _state = State.Waiting;
        _readable = true; // what came with the last message is no news any longer
        Deadline = _loop.Now + NextRequestMilliseconds;
    }

    /// <summary>What the client has sent, at the beginning of the loop's buffer; it stays there to be taken.</summary>
    /// <param name="room">At most; inside of TLS no more than <see cref="LookBytes"/>.</param>
    /// <returns>The number of bytes; 0 = the end, errors below zero.</returns>
    private int Look(int room = LookBytes) => _tls is null ? Libc.Look(Fd, _loop.Buffer, room) : LookInside(_tls);

    private int LookInside(TlsSession tls)
    {
        var count = _seenBytes;
        if (count > 0) _seen.AsSpan(0, count).CopyTo(new Span<byte>(_loop.Buffer, count));
        var got = 0;
        while (count < LookBytes && (got = tls.Read(_loop.Buffer + count, LookBytes - count)) > 0) count += got;
        _hasMore = count == LookBytes;
        if (!_hasMore && got != -Libc.Again) _clientEnded = true;
        if (count == 0) return got;
        _seen ??= ArrayPool<byte>.Shared.Rent(LookBytes);
        new ReadOnlySpan<byte>(_loop.Buffer, count).CopyTo(_seen);
        return _seenBytes = count;
    }

    /// <summary>Takes away what has been looked at.</summary>
    private bool TryTake(int count)
    {
        if (count == 0) return true;
        if (_tls is null) return Libc.Discard(Fd, count) == count;
        if (count > _seenBytes) return false;
        _seenBytes -= count;
        if (_seenBytes == 0) ReturnSeen();
        else _seen.AsSpan(count, _seenBytes).CopyTo(_seen);
        return true;
    }

    /// <returns>The number of bytes; -EAGAIN = there is no room, or another error below zero.</returns>
    private int SendSome(byte* from, int count, bool more) => _tls is null ? Libc.Send(Fd, from, count, more) : _tls.Write(from, count);

    /// <summary>Lets go of TLS, to whoever goes on with the connection or with its end.</summary>
    private void LeaveTls(PlainEnd end)
    {
        if (_tls is not { } tls) return;
        _tls = null;
        if (end == PlainEnd.NotPlain) Handoff = new(tls, _seen is null ? [] : _seen[.._seenBytes]);
        else
        {
            if (end == PlainEnd.Ended && !_isBroken) tls.End();
            tls.Dispose();
        }
        ReturnSeen();
    }

    private void ReturnSeen()
    {
        if (_seen is null) return;
        ArrayPool<byte>.Shared.Return(_seen);
        (_seen, _seenBytes) = (null, 0);
    }
}
