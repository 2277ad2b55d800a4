using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;

namespace Declarative.Lb.Proxy;

/// <summary>What a connection speaks.</summary>
internal enum Wire
{
    Http1,

    /// <summary>Without TLS and without a protocol upgrade (RFC 9113 section 3.3).</summary>
    Http2,

    /// <summary>TLS, and inside it what ALPN decides.</summary>
    Tls,
}

/// <summary>
/// Gives Kestrel connections that were accepted elsewhere. Kestrel cannot add or remove endpoints while it runs but by reading all of its
/// configuration again; here it has three that never change, one per wire, and thousands of listeners feed them.
/// </summary>
internal sealed class Handoff : IConnectionListenerFactory
{
    /// <summary>Names only: nothing is bound to them.</summary>
    public static readonly IPEndPoint Http1 = new(IPAddress.Loopback, 1);
    public static readonly IPEndPoint Http2 = new(IPAddress.Loopback, 2);

    public static readonly IPEndPoint Tls = new(IPAddress.Loopback, 3);

    private readonly Source _http1 = new(Http1);
    private readonly Source _http2 = new(Http2);
    private readonly Source _tls = new(Tls);

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult<IConnectionListener>(endpoint.Equals(Tls) ? _tls : endpoint.Equals(Http2) ? _http2 : _http1);

    /// <summary>False once Kestrel stops.</summary>
    public bool TryGive(ConnectionContext connection, Wire wire)
    {
        var source = wire switch { Wire.Tls => _tls, Wire.Http2 => _http2, _ => _http1 };
        return source.Channel.Writer.TryWrite(connection);
    }

    private sealed class Source(EndPoint endpoint) : IConnectionListener
    {
        public Channel<ConnectionContext> Channel { get; } = System.Threading.Channels.Channel.CreateUnbounded<ConnectionContext>(new() { SingleReader = true });

        public EndPoint EndPoint { get; } = endpoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (await Channel.Reader.WaitToReadAsync(cancellationToken))
            {
                if (Channel.Reader.TryRead(out var connection)) return connection;
            }
            return null;
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            Channel.Writer.TryComplete();
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => UnbindAsync(CancellationToken.None);
    }
}
