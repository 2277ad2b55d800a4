using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using Declarative.Lb.Proxy.Plain;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Proxy;

internal enum ListenerTarget
{
    Service,
    Ingress,

    /// <summary>The same over TLS.</summary>
    IngressTls,
    Admin,
}

/// <summary>One bound socket. Its target can change while connections go on; closing it touches no connection.</summary>
internal sealed class OpenListener : IDisposable
{
    // The kernel cuts it to net.core.somaxconn.
    private const int Backlog = 4096;

    private readonly Socket _socket;
    private readonly SessionCounts _sessions = new();
    private Cluster? _cluster;
    private Action? _end;
    private long _refusals;

    /// <exception cref="SocketException">The address cannot be listened on.</exception>
    public OpenListener(ListenerKey key, ListenerTarget target, Cluster? cluster)
    {
        (Key, Target, _cluster) = (key, target, cluster);
        var address = IPAddress.Parse(key.Address);
        _socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            _socket.Bind(new IPEndPoint(address, key.Port));
            _socket.Listen(Backlog);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
        PortText = key.Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
    }

    public ListenerKey Key { get; }
    public ListenerTarget Target { get; }
    public string PortText { get; }

    /// <summary>Where new requests and connections go; null for shared listeners and after the Service has gone.</summary>
    public Cluster? Cluster
    {
        get => Volatile.Read(ref _cluster);
        set => Volatile.Write(ref _cluster, value);
    }

    /// <summary>Where connections that come now are counted.</summary>
    public SessionCounts Sessions => Cluster?.Sessions ?? _sessions;

    /// <summary>Requests refused by their head alone, before a Service was known.</summary>
    public long Refusals => Volatile.Read(ref _refusals);

    public void CountRefusal() => Interlocked.Increment(ref _refusals);

    public ValueTask<Socket> Accept(CancellationToken stop) => _socket.AcceptAsync(stop);

    /// <summary>Connections come by an event loop from now on, each on its thread.</summary>
    public void Accept(PlainProxy loops, Action<Socket> accepted, Action<SocketException> failed)
    {
        _socket.Blocking = false;
        _end = loops.Accept(_socket, accepted, failed);
    }

    public void Dispose()
    {
        _socket.Dispose();
        _end?.Invoke();
    }
}

/// <summary>What a request needs to know of the connection it came on; a feature of the connection.</summary>
/// <param name="HttpsPort">Where Ingress is reached over TLS, 0 = nowhere.</param>
internal sealed record ClientConnection(OpenListener Listener, IPAddress Client, int HttpsPort)
{
    public string ClientAddress { get; } = Client.ToString();

    /// <summary>The Secrets with authorities whose certificate the client has shown in the handshake; empty = it had to show none.</summary>
    public ImmutableArray<ServiceKey> TlsClientCas { get; set; } = [];

    /// <summary>Of a handshake that an event loop has made; null = Kestrel knows, or there was none.</summary>
    public SslProtocols? TlsVersion { get; init; }
}
