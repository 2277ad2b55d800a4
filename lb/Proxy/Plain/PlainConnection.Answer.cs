using System.Buffers;

namespace Declarative.Lb.Proxy.Plain;

/// <content>The answer: its head read and written, its body passed on as the client takes it.</content>
internal sealed unsafe partial class PlainConnection
{
    /// <summary>Of an answer's head.</summary>
    private const int HeadBytesMax = 64 * 1024;

    /// <summary>Body that is sent in one piece with the head.</summary>
    private const int TogetherBytesMax = 32 * 1024;

    /// <summary>Buffers that one answer may fill before others have their turn.</summary>
    private const int TurnsMax = 2;

    /// <summary>Passes on what the endpoint has sent.</summary>
    private void Pump()
    {
        for (var turn = 0; _upstream is { } upstream; turn++)
        {
            if (_pendingTo > 0 || turn == TurnsMax)
            {
                _upstreamReadable = true;
                if (_pendingTo == 0) CallAgain();
                return;
            }
            _upstreamReadable = false;
            if (_partBytes > 0) _part.AsSpan(0, _partBytes).CopyTo(new Span<byte>(_loop.Buffer, EventLoop.BufferBytes));
            var room = EventLoop.BufferBytes - _partBytes;
            var got = Libc.Receive(upstream.Fd, _loop.Buffer + _partBytes, room);
            if (got == -Libc.Again) return;
            if (got <= 0)
            {
                UpstreamLost();
                return;
            }
            Touch();
            var all = new ReadOnlySpan<byte>(_loop.Buffer, _partBytes + got);
            if (_state == State.Asked) Begin(all);
            else Body(all, head: 0);
            if (got < room && !_upstreamEnded) return; // whatever comes next is news
        }
    }

    private void Begin(ReadOnlySpan<byte> all)
    {
        _isAnswered = true;
        AnswerHead head;
        int written;
        while (true)
        {
            var to = new Span<byte>(_loop.Outgoing, EventLoop.BufferBytes);
            if (all.Length > HeadBytesMax && all.IndexOf("\r\n\r\n"u8) is < 0 or > HeadBytesMax)
            {
                Failed("the head of its answer is too large", nothingSent: false);
                return;
            }
            switch (AnswerHead.Read(all, to, out head, out written))
            {
                case AnswerHead.Reading.Part:
                    _part ??= ArrayPool<byte>.Shared.Rent(HeadBytesMax);
                    all.CopyTo(_part);
                    _partBytes = all.Length;
                    return;
                case AnswerHead.Reading.Bad:
                    Failed("its answer is not HTTP/1.1", nothingSent: false);
                    return;
            }
            if (head.Status >= 200 || (head.Status == 101 && _isUpgrade)) break;
            if (head.Status == 101)
            {
                Failed("it has switched protocols without being asked", nothingSent: false);
                return;
            }
            if (head.Status == 100 && _expects)
            {
                _expects = false;
                fixed (byte* from = GoOn) Send(from, GoOn.Length, more: false);
                if (_state == State.Over) return;
            }
            all = all[head.Bytes..]; // any other interim answer nobody has asked for
        }
        ReturnPart();
        if (!TryTakeHead())
        {
            Gone();
            return;
        }
        if (_bodyMissing && !head.KeepsAlive) _keepsAlive = false; // the endpoint takes no more of it
        if (_expects) _keepsAlive = false; // it is answered without its body: nobody knows whether that comes
        _state = State.Answering;
        _status = head.Status;
        if (_clientEnded) Touch();
        _upstreamKeepsAlive = head.KeepsAlive;
        _chunks = default;
        if (head.Status == 101)
        {
            Become(all[head.Bytes..], written);
            return;
        }
        if (_isHead || head.Status is 204 or 304) (_framing, _left) = (Framing.Length, 0);
        else if (head.IsChunked) _framing = Framing.Chunked;
        else if (head.Length >= 0) (_framing, _left) = (Framing.Length, head.Length);
        else
        {
            _framing = Framing.UntilEnd;
            _upstreamKeepsAlive = _keepsAlive = false;
        }
        var outgoing = new Span<byte>(_loop.Outgoing, EventLoop.BufferBytes);
        if (!head.HasDate) Put(outgoing, ref written, _proxy.DateLine());
        if (!_keepsAlive) Put(outgoing, ref written, "Connection: close\r\n"u8);
        Put(outgoing, ref written, "\r\n"u8);
        Body(all[head.Bytes..], written);
    }

    /// <summary>From here on the two pass bytes to each other; the request is in flight until they have done.</summary>
    private void Become(ReadOnlySpan<byte> first, int written)
    {
        var outgoing = new Span<byte>(_loop.Outgoing, EventLoop.BufferBytes);
        Put(outgoing, ref written, Upgrade);
        Put(outgoing, ref written, "\r\n"u8);
        if (first.Length > outgoing.Length - written)
        {
            Break();
            return;
        }
        Put(outgoing, ref written, first);
        if (Libc.Send(Fd, _loop.Outgoing, written) != written)
        {
            Break();
            return;
        }
        var (upstream, settings) = (_upstream!, _cluster!.Settings);
        _loop.Remove(this);
        _loop.Remove(upstream);
        _upstream = null; // no news of it comes here any longer
        var tunnel = new Tunnel(_loop, Fd, upstream.Fd, settings.IdleTimeout ?? _proxy.Options.ActivityTimeout, settings.TunnelTimeout, () =>
        {
            upstream.Close();
            Finish(PlainEnd.Ended, _status);
        });
        tunnel.Begin();
    }

    /// <param name="head">Bytes that wait to go before, in the loop's outgoing buffer.</param>
    private void Body(ReadOnlySpan<byte> bytes, int head)
    {
        var count = _framing switch
        {
            Framing.Length => (int)Math.Min(_left, bytes.Length),
            Framing.Chunked => _chunks.Scan(bytes),
            _ => bytes.Length,
        };
        if (_chunks.IsBad)
        {
            Break();
            return;
        }
        _left -= count;
        _passed += count;
        if (count < bytes.Length) _upstreamKeepsAlive = false; // more than the answer: whose is it?
        var done = _framing == Framing.Chunked ? _chunks.IsDone : _framing == Framing.Length && _left == 0;
        if (done && _bodyComing && !_expects) (_isAnswerDone, done) = (true, false); // the request is not over before it has been sent
        if (done) LetGo(_upstreamKeepsAlive && !_upstreamEnded && !_bodyMissing); // before the client can know it
        if (head > 0 && count <= TogetherBytesMax)
        {
            bytes[..count].CopyTo(new Span<byte>(_loop.Outgoing + head, EventLoop.BufferBytes - head));
            Send(_loop.Outgoing, head + count, more: false);
        }
        else
        {
            if (head > 0) Send(_loop.Outgoing, head, more: true);
            fixed (byte* from = bytes) Send(from, count, more: false);
        }
        if (done && _state == State.Answering) Answered();
    }

    private void Send(byte* from, int count, bool more)
    {
        if (_state == State.Over) return;
        var sent = 0;
        if (_pendingTo == 0)
        {
            sent = SendSome(from, count, more);
            if (sent == count) return;
            if (sent == -Libc.Again) sent = 0;
            if (sent < 0)
            {
                Gone();
                return;
            }
        }
        var rest = new ReadOnlySpan<byte>(from + sent, count - sent);
        _pending ??= ArrayPool<byte>.Shared.Rent(EventLoop.BufferBytes + HeadBytesMax);
        rest.CopyTo(_pending.AsSpan(_pendingTo));
        _pendingTo += rest.Length;
    }

    /// <summary>The client's socket has room again.</summary>
    private void Flush()
    {
        if (_pendingTo > 0)
        {
            int sent;
            fixed (byte* from = _pending) sent = SendSome(from + _pendingFrom, _pendingTo - _pendingFrom, more: false);
            if (sent == -Libc.Again) return;
            if (sent < 0)
            {
                Gone();
                return;
            }
            Touch();
            _pendingFrom += sent;
            if (_pendingFrom < _pendingTo)
            {
                CallAgain(); // a short send is not the end of the room for sure
                return;
            }
            ReturnPending();
        }
        if (_state == State.Flushing) Next();
        else if (_upstreamReadable && _upstream is not null) Pump();
    }

    /// <summary>The endpoint has said everything.</summary>
    private void Answered()
    {
        if (_pendingTo > 0) _state = State.Flushing;
        else Next();
    }

    private void Next()
    {
        if (!_keepsAlive || _stopping)
        {
            Close();
            return;
        }
        _state = State.Waiting;
        _destination = null;
        _readable |= _clientEnded;
        Deadline = _loop.Now + NextRequestMilliseconds;
    }
}
