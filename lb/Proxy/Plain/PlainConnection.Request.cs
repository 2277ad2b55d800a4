using System.Net.Sockets;
using System.Text;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Proxy.Plain;

/// <content>The request: looked at, routed, written to an endpoint.</content>
internal sealed unsafe partial class PlainConnection
{
    private const int LookBytes = 16 * 1024;

    private static ReadOnlySpan<byte> Upgrade => "Connection: Upgrade\r\nUpgrade: websocket\r\n"u8;

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
        var seen = Look();
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
            if (_destination is not null) Gone(); // it was a request a moment ago
            else if (RequestHead.HasTooManyLines(new(_loop.Buffer, seen))) Refuse();
            else Finish(PlainEnd.NotPlain);
            return;
        }
        Write(to, ref written, head, forwardedFor);
        _readable |= seen == LookBytes || seen > head.Bytes; // of what lies behind it there may be no news
        _requestBytes = head.Bytes;
        (_keepsAlive, _isHead, _isUpgrade) = (head.KeepsAlive && !_stopping, head.IsHead, head.IsUpgrade);
        _isIdempotent = head.IsIdempotent;
        _bodyMissing = head.Streams;
        if (_upstream is null && !TryUpstream()) return;
        _state = State.Asked;
        (_isAnswered, _upstreamReadable, _upstreamEnded, _passed) = (false, false, false, 0);
        Touch();
        if (Libc.Send(_upstream!.Fd, _loop.Outgoing, written) != written) UpstreamLost();
        else if (head.Streams) BeginBody(head);
        else if (_clientEnded) SeeWhetherItLeft();
    }

    /// <summary>
    /// As Kestrel would, for a hundredth of what that costs: floods of headers are to take nothing from others.
    /// </summary>
    private void Refuse()
    {
        _client.Listener.CountRefusal();
        _proxy.Log?.Refused(_client, 431);
        (_keepsAlive, _bodyMissing) = (false, true); // whatever follows is not read
        var written = 0;
        var to = new Span<byte>(_loop.Outgoing, EventLoop.BufferBytes);
        Put(to, ref written, "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n"u8);
        Put(to, ref written, _proxy.DateLine());
        Put(to, ref written, "\r\n"u8);
        _state = State.Answering;
        Send(_loop.Outgoing, written, more: false);
        if (_state == State.Answering) Answered();
    }

    private bool Choose(in RequestHead head)
    {
        if (_tls is not null && head.IsUpgrade) return false; // a tunnel passes bytes as they are
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
        if (listener.Target is not (ListenerTarget.Ingress or ListenerTarget.IngressTls) || !head.TryPath(out var bytes)) return null;
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
        while (!_fresh && _loop.Pool.Take(_destination!) is { } waiting)
        {
            // A request that must not be sent twice is worth a look whether its endpoint has closed the connection in this moment.
            if (!_isIdempotent && !waiting.IsOpen)
            {
                waiting.Close();
                continue;
            }
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
}

/// <summary>What the access log says of a request.</summary>
internal sealed record PlainNote(string Method, string Host, string Path, string? UserAgent);
