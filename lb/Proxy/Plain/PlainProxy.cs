using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Declarative.Lb.Tls;
using Microsoft.Extensions.Logging;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>
/// The short way for what most traffic is: plain HTTP/1.1 requests and bytes that are passed through, on event loops of one thread each. Everything
/// else goes by Kestrel and YARP (docs/decisions/0005-the-balancers-event-loops.md).
/// </summary>
internal sealed class PlainProxy : IDisposable
{
    private readonly EventLoop[] _loops;

    /// <summary>Sockets that only a loop may touch.</summary>
    private readonly ConcurrentDictionary<Socket, byte> _held = new();

    /// <summary>The keys of tickets are the context's: who gets hold of one can read what was resumed with it, so none is used for longer.</summary>
    private static readonly TimeSpan ContextLife = TimeSpan.FromDays(1);

    /// <summary>By certificate, for as long as that is there.</summary>
    private readonly ConditionalWeakTable<TlsCertificate, TlsBox> _contexts = [];
    private int _turn = -1;
    private byte[] _date = [];
    private long _dateSecond = -1;

    public PlainProxy(LbOptions options, LbRoutes routes, ILogger logger)
    {
        (Options, Routes) = (options, routes);
        _loops = [.. Enumerable.Range(0, Math.Clamp(Environment.ProcessorCount, 1, 16)).Select(x => new EventLoop(x, e => ProxyLog.ConnectionFailed(logger, "loop", e)))];
    }

    public LbOptions Options { get; }

    public LbRoutes Routes { get; }

    /// <summary>null = nothing is logged.</summary>
    public AccessLog? Log { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>The certificate for a server name; null = TLS is somebody else's.</summary>
    public Func<string, TlsCertificate?> Certificate { get; init; } = static _ => null;

    /// <summary>Takes connections until the listener is closed and <see cref="Acceptor.End"/> is called by what is returned.</summary>
    public Action Accept(Socket listener, Action<Socket> accepted, Action<SocketException> failed)
    {
        var loop = NextLoop();
        var acceptor = new Acceptor(loop, listener, accepted, failed);
        loop.Post(acceptor.Begin);
        return () => loop.Post(acceptor.End);
    }

    /// <summary>Serves the plain requests of a connection; on a listener of TLS, those inside it.</summary>
    /// <param name="wait">For the first one.</param>
    /// <returns>How it has ended, and where somebody else has to go on inside of TLS, with what.</returns>
    public async Task<(PlainEnd End, TlsHandoff? Tls)> Serve(Socket socket, ClientConnection client, TimeSpan wait)
    {
        _held[socket] = 0;
        try
        {
            var loop = NextLoop();
            var connection = new PlainConnection(loop, this, socket, client, wait);
            loop.Post(() =>
            {
                if (!loop.Add(connection)) connection.Break();
            });
            return (await connection.End, connection.Handoff);
        }
        finally
        {
            _held.TryRemove(socket, out _);
        }
    }

    /// <summary>Passes bytes both ways until both directions have ended.</summary>
    public async Task Pass(Socket client, Socket server, BackendSettings settings)
    {
        _held[client] = 0;
        try
        {
            var loop = NextLoop();
            var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var tunnel = new Tunnel(
                loop, (int)client.SafeHandle.DangerousGetHandle(), (int)server.SafeHandle.DangerousGetHandle(), settings.IdleTimeout ?? Options.ActivityTimeout, settings.TunnelTimeout, ended.SetResult);
            loop.Post(tunnel.Begin);
            await ended.Task;
        }
        finally
        {
            _held.TryRemove(client, out _);
        }
    }

    /// <summary>A connection that no other event queue knows of: whoever waits for it elsewhere would be woken with each of its packets.</summary>
    /// <exception cref="SocketException">Refused, or not connected in time.</exception>
    public async Task<Socket> Connect(SocketAddress address, TimeSpan timeout)
    {
        var fd = Libc.Connect(address, out var done);
        if (fd < 0) throw new SocketException(-fd);
        var socket = new Socket(new SafeSocketHandle(fd, ownsHandle: true));
        if (done) return socket;
        var loop = NextLoop();
        var connecting = new Connecting(loop, fd, timeout);
        loop.Post(connecting.Begin);
        if (await connecting.Error is var error and not 0)
        {
            socket.Dispose();
            throw new SocketException(error);
        }
        return socket;
    }

    /// <summary>Of an endpoint that is closed: connections that wait for its next request end.</summary>
    public void Forget(Destination destination)
    {
        foreach (var loop in _loops) loop.Post(() => loop.Pool.Forget(destination));
    }

    public bool Holds(Socket socket) => _held.ContainsKey(socket);

    /// <summary>Requests in flight are the last ones of their connections; connections without one end.</summary>
    public void Stop() => Each(x => (x as PlainConnection)?.Stop());

    /// <summary>Ends everything.</summary>
    public void Break() => Each(x => x.Break());

    public void Dispose()
    {
        foreach (var loop in _loops)
        {
            loop.Post(loop.Pool.CloseAll);
            loop.Dispose();
        }
    }

    /// <summary>RFC 9110 section 6.6.1: whoever passes on an answer without a date gives it one.</summary>
    public byte[] DateLine()
    {
        var second = Environment.TickCount64 / 1000;
        if (Volatile.Read(ref _dateSecond) != second)
        {
            _date = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"Date: {DateTime.UtcNow:R}\r\n"));
            Volatile.Write(ref _dateSecond, second);
        }
        return _date;
    }

    /// <summary>
    /// For a handshake of which a loop knows everything; null = it is Kestrel's: HTTP/2, certificates of clients, passing through, a host that wants one version alone.
    /// </summary>
    public TlsContext? ContextFor(in Hello hello)
    {
        if (!OpenSsl.IsSupported || hello.SpeaksHttp2 || !hello.SpeaksHttp1) return null;
        if (Routes.Table.Hosts.TlsOf(hello.Name, static x => x.TlsPassthrough || x.TlsClientCa is not null || x.Tls13Only) is not null) return null;
        return Certificate(hello.Name) is { } certificate ? ContextOf(certificate) : null;
    }

    private TlsContext? ContextOf(TlsCertificate certificate)
    {
        if (_contexts.TryGetValue(certificate, out var box) && IsFresh(box)) return box.Context;
        lock (_contexts)
        {
            if (_contexts.TryGetValue(certificate, out box) && IsFresh(box)) return box.Context;
            // The one before is not disposed: another loop may be about to use it.
            _contexts.AddOrUpdate(certificate, box = new(TlsContext.Of(certificate), Time.GetTimestamp()));
            return box.Context;
        }
    }

    private bool IsFresh(TlsBox box) => Time.GetElapsedTime(box.Made) < ContextLife;

    private EventLoop NextLoop() => _loops[(uint)Interlocked.Increment(ref _turn) % (uint)_loops.Length];

    private void Each(Action<Handler> action)
    {
        foreach (var loop in _loops)
        {
            loop.Post(() =>
            {
                foreach (var handler in loop.All())
                {
                    // One that has ended with another before it is not there any longer, and its descriptor may be somebody else's.
                    if (handler.Slot != 0) action(handler);
                }
            });
        }
    }

    /// <param name="Context">null where OpenSSL refuses the certificate.</param>
    private sealed record TlsBox(TlsContext? Context, long Made);

    private sealed class Connecting : Handler
    {
        private readonly EventLoop _loop;
        private readonly TaskCompletionSource<int> _error = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Connecting(EventLoop loop, int fd, TimeSpan timeout)
        {
            (_loop, Fd) = (loop, fd);
            Deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        }

        /// <summary>0 = connected.</summary>
        public Task<int> Error => _error.Task;

        public void Begin()
        {
            if (!_loop.Add(this)) End((int)SocketError.NoBufferSpaceAvailable);
        }

        public override void News(uint events)
        {
            if ((events & (Libc.Out | Libc.Error | Libc.HangUp)) != 0) End(Libc.ConnectError(Fd));
        }

        public override void Late() => End((int)SocketError.TimedOut);

        public override void Break() => End((int)SocketError.OperationAborted);

        private void End(int error)
        {
            _loop.Remove(this);
            _error.TrySetResult(error);
        }
    }
}
