using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>How the event loop has done with a client's connection.</summary>
internal enum PlainEnd
{
    Ended,

    /// <summary>The client has not said anything in the time given.</summary>
    Silent,

    /// <summary>What the client has sent last is not for the event loop; it is still in the socket.</summary>
    NotPlain,
}

/// <summary>
/// A client's connection whose requests are plain ones (<see cref="RequestHead"/>), on an event loop. A request stays in the client's socket
/// until its answer begins: so it can be sent again, or be given to Kestrel, without a copy of it.
/// </summary>
internal sealed unsafe class PlainConnection : Handler
{
    /// <summary>As long as Kestrel lets a client wait with its next request.</summary>
    private const int NextRequestMilliseconds = 130_000;
    private const int LookBytes = 16 * 1024;

    /// <summary>Of an answer's head.</summary>
    private const int HeadBytesMax = 64 * 1024;

    /// <summary>Body that is sent in one piece with the head.</summary>
    private const int TogetherBytesMax = 32 * 1024;

    /// <summary>Buffers that one answer may fill before others have their turn.</summary>
    private const int TurnsMax = 8;

    private static ReadOnlySpan<byte> Upgrade => "Connection: Upgrade\r\nUpgrade: websocket\r\n"u8;

    private readonly EventLoop _loop;
    private readonly PlainProxy _proxy;
    private readonly ClientConnection _client;
    private readonly byte[] _tail;
    private readonly TaskCompletionSource<PlainEnd> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private State _state;
    private bool _hasSpoken;
    private bool _readable;
    private bool _clientEnded;
    private bool _stopping;

    // The request in hand.
    private Cluster? _cluster;
    private Destination? _destination;
    private Upstream? _upstream;
    private bool _upstreamReadable;
    private bool _upstreamEnded;
    private int _attempt;

    /// <summary>No connection that has been used before: it has just been seen that they may be closed.</summary>
    private bool _fresh;
    private int _requestBytes;
    private bool _keepsAlive;
    private bool _isHead;
    private bool _isIdempotent;
    private bool _isUpgrade;
    private bool _isAnswered;
    private long _since;
    private PlainNote? _note;

    // Its answer.
    private int _status;
    private long _left;
    private Framing _framing;
    private ChunkScanner _chunks;
    private bool _upstreamKeepsAlive;
    private byte[]? _part;
    private int _partBytes;

    // What the client's socket has no room for.
    private byte[]? _pending;
    private int _pendingFrom;
    private int _pendingTo;

    private string _host = "";

    public PlainConnection(EventLoop loop, PlainProxy proxy, Socket socket, ClientConnection client, TimeSpan wait)
    {
        (_loop, _proxy, _client, Fd) = (loop, proxy, client, (int)socket.SafeHandle.DangerousGetHandle());
        Deadline = Environment.TickCount64 + (long)wait.TotalMilliseconds;
        _tail = Encoding.Latin1.GetBytes($"{client.ClientAddress}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: {client.Listener.PortText}\r\nX-Forwarded-Host: ");
    }

    private enum State
    {
        /// <summary>For a request.</summary>
        Waiting,
        Connecting,

        /// <summary>An endpoint.</summary>
        Asked,
        Answering,

        /// <summary>The endpoint has done; the client has yet to take the rest.</summary>
        Flushing,
        Over,
    }

    private enum Framing
    {
        Length,
        Chunked,
        UntilEnd,
    }

    public Task<PlainEnd> End => _end.Task;

    public override void News(uint events)
    {
        if ((events & (Libc.Error | Libc.HangUp)) != 0 && _state != State.Waiting)
        {
            Gone();
            return;
        }
        if ((events & (Libc.In | Libc.PeerEnded | Libc.HangUp | Libc.Error)) != 0) _readable = true;
        if ((events & Libc.PeerEnded) != 0)
        {
            _clientEnded = true;
            if (_state is State.Connecting or State.Asked or State.Answering)
            {
                Gone();
                return;
            }
        }
        if (events == 0 || (events & Libc.Out) != 0) Flush();
        Continue();
    }

    public void UpstreamNews(uint events)
    {
        if (_state == State.Connecting)
        {
            if ((events & (Libc.Out | Libc.Error | Libc.HangUp)) == 0) return;
            if (Libc.ConnectError(_upstream!.Fd) is var error and not 0) Failed(new SocketException(error).Message, nothingSent: true);
            else Ask();
        }
        else
        {
            if ((events & (Libc.PeerEnded | Libc.HangUp | Libc.Error)) != 0) _upstreamEnded = true;
            if ((events & ~Libc.Out) == 0) return;
            Pump();
        }
        Continue();
    }

    public override void Late()
    {
        switch (_state)
        {
            case State.Waiting:
                Finish(_hasSpoken ? PlainEnd.Ended : PlainEnd.Silent);
                break;
            case State.Connecting:
                Failed(new SocketException((int)SocketError.TimedOut).Message, nothingSent: true);
                break;
            case State.Asked:
                _isIdempotent = false; // it may be at work yet
                Failed("nothing came in the time that it has", nothingSent: false, StatusCodes504);
                break;
            default:
                Break();
                break;
        }
        Continue();
    }

    public override void Break()
    {
        if (_state == State.Over) return;
        Libc.ResetOnClose(Fd);
        Gone();
    }

    /// <summary>The request in hand is the last one.</summary>
    public void Stop()
    {
        _stopping = true;
        _keepsAlive = false;
        if (_state == State.Waiting) Finish(PlainEnd.Ended);
    }

    private const int StatusCodes502 = 502;
    private const int StatusCodes504 = 504;

    /// <summary>The next request, where there is one.</summary>
    private void Continue()
    {
        while (_state == State.Waiting && _readable)
        {
            (_attempt, _fresh, _destination) = (0, false, null);
            Ask();
        }
    }

    /// <summary>Reads the request that lies in the socket and sends it: to the upstream in hand, to the destination in hand, or to one that is chosen now.</summary>
    private void Ask()
    {
        _readable = _clientEnded;
        var seen = Libc.Look(Fd, _loop.Buffer, LookBytes);
        if (seen <= 0)
        {
            if (seen == -Libc.Again && _state == State.Waiting) _readable = false;
            else Gone();
            return;
        }
        _hasSpoken = true;
        var to = new Span<byte>(_loop.Outgoing, EventLoop.BufferBytes);
        if (!RequestHead.TryRead(new(_loop.Buffer, seen), to, out var head, out var written, out var forwardedFor) || (_destination is null && !Choose(head)))
        {
            if (_destination is null) Finish(PlainEnd.NotPlain);
            else Gone(); // it was a request a moment ago
            return;
        }
        Write(to, ref written, head, forwardedFor);
        _readable |= seen > head.Bytes; // of what lies behind it there will be no news
        _requestBytes = head.Bytes;
        (_keepsAlive, _isHead, _isIdempotent, _isUpgrade) = (head.KeepsAlive && !_stopping && !_clientEnded, head.IsHead, head.IsIdempotent, head.IsUpgrade);
        if (_upstream is null && !TryUpstream()) return;
        _state = State.Asked;
        (_isAnswered, _upstreamReadable, _upstreamEnded) = (false, false, false);
        Deadline = _loop.Now + (long)(_cluster!.Settings.IdleTimeout ?? _proxy.Options.ActivityTimeout).TotalMilliseconds;
        if (Libc.Send(_upstream!.Fd, _loop.Outgoing, written) != written) UpstreamLost();
    }

    private bool Choose(in RequestHead head)
    {
        if (Route(head) is not { Mode: PortMode.Http or PortMode.Sniff, Edge: null } cluster || !cluster.Settings.IsPlain) return false;
        var destination = cluster.Pick(but: null, cluster.Settings.Balance == Balance.Source ? Mixing.Hash(_client.Client) : 0);
        if (destination is null) return false;
        (_cluster, _destination) = (cluster, destination);
        Interlocked.Increment(ref cluster.Counts.RequestCount);
        if (_proxy.Log is null) return true;
        _since = AccessLog.Now();
        _note = new(Encoding.Latin1.GetString(head.Method), Encoding.Latin1.GetString(head.Host), Encoding.Latin1.GetString(head.Target.IndexOf((byte)'?') is >= 0 and var query ? head.Target[..query] : head.Target), head.UserAgent.IsEmpty ? null : Encoding.Latin1.GetString(head.UserAgent));
        return true;
    }

    private Cluster? Route(in RequestHead head)
    {
        var listener = _client.Listener;
        if (listener.Target == ListenerTarget.Service) return listener.Cluster;
        if (listener.Target != ListenerTarget.Ingress || !head.TryPath(out var bytes)) return null;
        if (!Ascii.Equals(head.Host, _host)) _host = Encoding.Latin1.GetString(head.Host);
        Span<char> path = stackalloc char[bytes.Length];
        Encoding.Latin1.GetChars(bytes, path);
        var table = _proxy.Routes.Table;
        var name = _host[0] == '[' ? _host[..(_host.IndexOf(']') + 1)] : _host.IndexOf(':') is >= 0 and var colon ? _host[..colon] : _host;
        return table.Hosts.Find(name, path) is { Edge: null } rule ? table.Cluster(rule.Service, rule.Port, rule.PortName) : null;
    }

    private void Write(Span<byte> to, ref int written, in RequestHead head, ReadOnlySpan<byte> forwardedFor)
    {
        if (head.IsUpgrade) Put(to, ref written, Upgrade);
        Put(to, ref written, "X-Forwarded-For: "u8);
        if (!forwardedFor.IsEmpty)
        {
            Put(to, ref written, forwardedFor);
            Put(to, ref written, ", "u8);
        }
        Put(to, ref written, _tail);
        Put(to, ref written, head.Host);
        Put(to, ref written, "\r\n\r\n"u8);
        Put(to, ref written, head.Body);
    }

    private static void Put(Span<byte> to, ref int written, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(to[written..]);
        written += bytes.Length;
    }

    /// <returns>False where it has yet to connect, or cannot.</returns>
    private bool TryUpstream()
    {
        var waiting = !_fresh ? _loop.Pool.Take(_destination!) : null;
        if (waiting is not null)
        {
            waiting.User = this;
            _upstream = waiting;
            return true;
        }
        var fd = Libc.Connect(_destination!.SocketAddress, out var done);
        if (fd < 0)
        {
            Failed(new SocketException(-fd).Message, nothingSent: true);
            return false;
        }
        _upstream = new(_loop, _destination, fd) { User = this };
        if (!_loop.Add(_upstream))
        {
            Failed("no room for another socket", nothingSent: true);
            return false;
        }
        if (done) return true;
        _state = State.Connecting;
        Deadline = _loop.Now + (long)(_cluster!.Settings.ConnectTimeout ?? _proxy.Options.ConnectTimeout).TotalMilliseconds;
        return false;
    }

    /// <summary>Passes on what the endpoint has sent.</summary>
    private void Pump()
    {
        for (var turn = 0; _upstream is { } upstream; turn++)
        {
            if (_pendingTo > 0 || turn == TurnsMax)
            {
                _upstreamReadable = true;
                if (_pendingTo == 0) _loop.Again(this);
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
            Deadline = _loop.Now + (long)(_cluster!.Settings.IdleTimeout ?? _proxy.Options.ActivityTimeout).TotalMilliseconds;
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
            all = all[head.Bytes..]; // an interim answer that nobody has asked for
        }
        ReturnPart();
        if (Libc.Discard(Fd, _requestBytes) != _requestBytes)
        {
            Gone();
            return;
        }
        _state = State.Answering;
        _status = head.Status;
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
        if (count < bytes.Length) _upstreamKeepsAlive = false; // more than the answer: whose is it?
        var done = _framing == Framing.Chunked ? _chunks.IsDone : _framing == Framing.Length && _left == 0;
        if (done) LetGo(_upstreamKeepsAlive && !_upstreamEnded); // before the client can know it
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
            sent = Libc.Send(Fd, from, count, more);
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
            fixed (byte* from = _pending) sent = Libc.Send(Fd, from + _pendingFrom, _pendingTo - _pendingFrom);
            if (sent == -Libc.Again) return;
            if (sent < 0)
            {
                Gone();
                return;
            }
            Deadline = _loop.Now + (long)_proxy.Options.ActivityTimeout.TotalMilliseconds;
            _pendingFrom += sent;
            if (_pendingFrom < _pendingTo)
            {
                _loop.Again(this); // a short send is not the end of the room for sure
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
            Finish(PlainEnd.Ended);
            return;
        }
        _state = State.Waiting;
        _destination = null;
        _readable |= _clientEnded;
        Deadline = _loop.Now + NextRequestMilliseconds;
    }

    /// <summary>Gives the upstream back and counts what has become of the request.</summary>
    private void LetGo(bool again, int? status = null)
    {
        ReturnPart();
        if (_upstream is { } upstream)
        {
            _upstream = null;
            if (again) _loop.Pool.Give(upstream);
            else upstream.Close();
        }
        if (_destination is not { } destination) return;
        _destination = null;
        var cluster = _cluster!;
        var code = status ?? _status;
        if (cluster.Settings.Outlier is not null && code > 0) cluster.Outcome(destination, code is 502 or 503 or 504);
        cluster.Counts.Answered(code);
        destination.Release();
        if (_note is not { } note) return;
        _note = null;
        _proxy.Log?.Plain(_client, note, code, cluster, destination, _attempt + 1, _since);
    }

    /// <summary>The endpoint has closed or reset its connection, or does not take the request.</summary>
    private void UpstreamLost()
    {
        if (_state == State.Answering)
        {
            if (_framing == Framing.UntilEnd)
            {
                LetGo(again: false);
                Answered();
            }
            else
            {
                Interlocked.Increment(ref _cluster!.Counts.FailureCount);
                Break(); // the client must not take what it has for the whole
            }
            return;
        }
        if (_upstream is { IsUsed: true } && _isIdempotent && !_isAnswered)
        {
            // It was closed while the request was on its way: the endpoint has said nothing about the request.
            DropUpstream();
            (_fresh, _state) = (true, State.Connecting);
            Ask();
            return;
        }
        Failed("the connection was closed before an answer came", nothingSent: false);
    }

    /// <summary>No answer from this endpoint: another one where that can do no harm, else the client is told.</summary>
    private void Failed(string why, bool nothingSent, int status = StatusCodes502)
    {
        DropUpstream();
        var (cluster, destination) = (_cluster!, _destination!);
        var settings = cluster.Settings;
        if (_attempt < settings.Retries && (nothingSent || (_isIdempotent && !_isAnswered)) && cluster.Pick(but: destination, settings.Balance == Balance.Source ? Mixing.Hash(_client.Client) : 0) is { } other)
        {
            if (cluster.Retries.TryTake(cluster, cluster.Now()))
            {
                Interlocked.Increment(ref cluster.Counts.RetryCount);
                if (settings.Outlier is not null) cluster.Outcome(destination, failed: true);
                destination.Release();
                _destination = other;
                _attempt++;
                _state = State.Connecting;
                Ask();
                return;
            }
            other.Release();
        }
        Interlocked.Increment(ref cluster.Counts.FailureCount);
        Libc.Discard(Fd, _requestBytes);
        var text = $"Endpoint {destination} of Service {cluster.Service} port {cluster.Number} did not answer: {why}\n";
        var head = string.Create(CultureInfo.InvariantCulture,
            $"HTTP/1.1 {status} {(status == StatusCodes504 ? "Gateway Timeout" : "Bad Gateway")}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(text)}\r\n{Encoding.Latin1.GetString(_proxy.DateLine())}{(_keepsAlive ? "" : "Connection: close\r\n")}\r\n");
        var bytes = Encoding.UTF8.GetBytes(_isHead ? head : head + text);
        _state = State.Answering;
        LetGo(again: false, status);
        fixed (byte* from = bytes) Send(from, bytes.Length, more: false);
        if (_state == State.Answering) Answered();
    }

    /// <summary>The client is no longer there, or is not to be answered.</summary>
    private void Gone() => Finish(PlainEnd.Ended, _state == State.Answering ? _status : 0);

    private void Finish(PlainEnd end, int status = 0)
    {
        if (_state == State.Over) return;
        _state = State.Over;
        LetGo(again: false, status);
        ReturnPending();
        _loop.Remove(this);
        if (end == PlainEnd.Ended) Libc.EndSending(Fd);
        _end.TrySetResult(end);
    }

    private void DropUpstream()
    {
        ReturnPart();
        _upstream?.Close();
        _upstream = null;
    }

    private void ReturnPart()
    {
        if (_part is null) return;
        ArrayPool<byte>.Shared.Return(_part);
        (_part, _partBytes) = (null, 0);
    }

    private void ReturnPending()
    {
        if (_pending is null) return;
        ArrayPool<byte>.Shared.Return(_pending);
        (_pending, _pendingFrom, _pendingTo) = (null, 0, 0);
    }
}

/// <summary>What the access log says of a request.</summary>
internal sealed record PlainNote(string Method, string Host, string Path, string? UserAgent);
