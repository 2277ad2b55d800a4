using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Declarative.Lb.Proxy.Plain;
using Declarative.Lb.Routes;
using Declarative.Lb.Status;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace Declarative.Lb.Proxy;

/// <summary>
/// All bound sockets and their accept loops. Adding or removing one costs one socket and touches no other listener and no connection.
/// Bind and Unbind are called by one loop; connections come on any thread.
/// </summary>
internal sealed class ListenerSockets(LbOptions options, Func<RouteTable> table, ILogger logger)
{
    /// <summary>A connection to a port that speaks HTTP may wait for its first request as long as Kestrel lets one wait for the next.</summary>
    private static readonly TimeSpan FirstRequestWait = TimeSpan.FromSeconds(130);
    private static readonly TimeSpan AcceptRetry = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<ListenerKey, OpenListener> _open = new();
    private readonly Dictionary<ListenerKey, UdpListener> _udp = [];
    private readonly ConcurrentDictionary<UdpListener, Task> _udpLoops = new();

    /// <summary>Of listeners that no event loop takes care of.</summary>
    private readonly ConcurrentDictionary<OpenListener, Task> _loops = new();

    /// <summary>Connections that are not (or not yet) Kestrel's, with the task that carries each.</summary>
    private readonly ConcurrentDictionary<Socket, Task> _connections = new();
    private readonly CancellationTokenSource _stop = new();
    private int _count;

    /// <summary>Set before the first listener is opened, as the two below.</summary>
    public HttpEdge Http { get; set; } = null!;

    public AccessLog? Log { get; set; }

    /// <summary>null = there are no event loops on this system.</summary>
    public PlainProxy? Plain { get; set; }

    public int Count => _open.Count + _udpLoops.Count;

    public IEnumerable<OpenListener> Listeners => _open.Values;

    /// <summary>What marathon-lb calls the port; "" = it is one of a Service's.</summary>
    public string NameOf(OpenListener listener) => listener.Target switch
    {
        ListenerTarget.Ingress => listener.Key.Port == options.H2cPort + options.PortOffset ? "marathon_h2c_in" : "marathon_http_in",
        ListenerTarget.IngressTls => "marathon_https_in",
        ListenerTarget.Admin => "stats",
        _ => "",
    };

    public int OpenConnections => Volatile.Read(ref _count);

    /// <summary>UDP flows that are in use.</summary>
    public int Flows => _udpLoops.Keys.Sum(x => x.Flows);

    public BindFailure? Bind(Listener listener)
    {
        if (listener.Key.IsUdp) return BindUdp(listener);
        if (_open.TryGetValue(listener.Key, out var open))
        {
            open.Cluster = listener.Cluster;
            return null;
        }
        return Open(listener.Key, ListenerTarget.Service, listener.Cluster);
    }

    public BindFailure? Open(ListenerKey key, ListenerTarget target, Cluster? cluster = null)
    {
        try
        {
            var open = new OpenListener(key, target, cluster);
            _open[key] = open;
            if (Plain is null) _loops[open] = AcceptAll(open);
            else open.Accept(Plain, socket => Take(socket, open), e => ProxyLog.AcceptFailed(logger, key.ToString(), e.Message));
            return null;
        }
        catch (SocketException e)
        {
            return Explain(key, e.SocketErrorCode);
        }
    }

    private BindFailure? BindUdp(Listener listener)
    {
        if (_udp.TryGetValue(listener.Key, out var open))
        {
            open.Cluster = listener.Cluster;
            return null;
        }
        try
        {
            var udp = new UdpListener(listener.Key, listener.Cluster, table, logger);
            _udp.Add(listener.Key, udp);
            _udpLoops[udp] = Task.CompletedTask;
            _udpLoops.TryUpdate(udp, Carry(udp), Task.CompletedTask);
            return null;
        }
        catch (SocketException e)
        {
            return Explain(listener.Key, e.SocketErrorCode);
        }
    }

    public void Unbind(ListenerKey key)
    {
        if (_udp.Remove(key, out var udp))
        {
            udp.Cluster = null;
            udp.Dispose();
            return;
        }
        if (!_open.TryRemove(key, out var open)) return;
        open.Cluster = null;
        open.Dispose();
    }

    /// <summary>Takes no new connections; those that are open go on.</summary>
    public async Task StopAccepting()
    {
        foreach (var open in _open.Values) open.Dispose();
        foreach (var udp in _udp.Values) udp.Dispose();
        _stop.Cancel();
        Plain?.Stop();
        foreach (var loop in _loops.Values) await loop;
        foreach (var loop in _udpLoops.Values) await loop;
    }

    /// <summary>Waits for the connections that are not Kestrel's, and ends them when the token says so.</summary>
    public async Task Drain(CancellationToken atOnce)
    {
        using var ending = atOnce.Register(() =>
        {
            Plain?.Break();
            foreach (var socket in _connections.Keys.Where(x => Plain?.Holds(x) != true)) socket.Dispose();
        });
        foreach (var connection in _connections.Values) await connection;
    }

    internal static BindFailure Explain(ListenerKey key, SocketError error) => error switch
    {
        SocketError.AddressAlreadyInUse => new("PortTaken", $"port {key.Port} on {key.Address} is in use by another program"),
        SocketError.AccessDenied => new("PortNotPermitted", $"port {key.Port} on {key.Address}: ports below 1024 need the capability CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start"),
        SocketError.AddressNotAvailable => new("AddressNotAvailable", $"{key.Address} is not an address of this machine"),
        SocketError.TooManyOpenSockets => new("TooManyOpenSockets", $"port {key.Port} on {key.Address}: the limit of open files is reached"),
        _ => new("CannotListen", $"port {key.Port} on {key.Address}: {error}"),
    };

    private async Task AcceptAll(OpenListener listener)
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await listener.Accept(_stop.Token);
            }
            catch (Exception e) when (e is ObjectDisposedException or OperationCanceledException or SocketException { SocketErrorCode: SocketError.OperationAborted })
            {
                _loops.TryRemove(listener, out _);
                return;
            }
            catch (SocketException e)
            {
                // Out of descriptors, or a connection that was gone before it was taken: the listener outlives both.
                ProxyLog.AcceptFailed(logger, listener.Key.ToString(), e.Message);
                await Task.Delay(AcceptRetry, CancellationToken.None);
                continue;
            }
            Take(socket, listener);
        }
    }

    private void Take(Socket socket, OpenListener listener)
    {
        // The dictionary's own count would stop everybody who comes or goes meanwhile.
        if (Interlocked.Increment(ref _count) > options.ConnectionsMax)
        {
            Interlocked.Decrement(ref _count);
            socket.Dispose();
            return;
        }
        _connections[socket] = Task.CompletedTask;
        var connection = Carry(socket, listener);
        _connections.TryUpdate(socket, connection, Task.CompletedTask); // not where it has ended already and is gone
    }

    private async Task Carry(UdpListener udp)
    {
        await udp.Run();
        _udpLoops.TryRemove(udp, out _);
    }

    /// <summary>The bulkhead of one connection.</summary>
    private async Task Carry(Socket socket, OpenListener listener)
    {
        var sessions = listener.Sessions;
        sessions.Begin(Environment.TickCount64);
        ConnectionContext? handedOver = null;
        try
        {
            socket.NoDelay = true;
            var client = TcpTunnel.Peer(socket);
            if (options.ProxyProtocolFrom.Count > 0 && listener.Target != ListenerTarget.Admin && options.ProxyProtocolFrom.Any(x => x.Contains(client.Address)))
            {
                if (await ProxyProtocol.Take(socket, client, options.ProxyProtocolTimeout) is not { } named) return;
                client = named;
            }
            handedOver = await Serve(socket, client, listener);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or IOException)
        {
            ProxyLog.ConnectionLost(logger, listener.Key.ToString(), e.Message);
        }
        catch (Exception e)
        {
            ProxyLog.ConnectionFailed(logger, listener.Key.ToString(), e);
        }
        finally
        {
            _connections.TryRemove(socket, out _);
            Interlocked.Decrement(ref _count);
            if (handedOver is null)
            {
                socket.Dispose();
                sessions.End();
            }
            else handedOver.ConnectionClosed.UnsafeRegister(static x => ((SessionCounts)x!).End(), sessions);
        }
    }

    /// <returns>What Kestrel has of the socket now; null = the connection has ended.</returns>
    private async Task<ConnectionContext?> Serve(Socket socket, IPEndPoint client, OpenListener listener)
    {
        var mode = listener.Target == ListenerTarget.Service ? listener.Cluster?.Mode ?? PortMode.Http : PortMode.Http;
        var silent = false;
        if (Plain is not null && mode is PortMode.Http or PortMode.Sniff && listener.Target is not ListenerTarget.Admin)
        {
            if (listener.Target == ListenerTarget.IngressTls) socket.Blocking = false; // OpenSSL reads as the socket has it
            var (end, tls) = await Plain!.Serve(socket, new ClientConnection(listener, client.Address, 0), mode == PortMode.Sniff ? options.SniffTimeout : FirstRequestWait);
            if (end == PlainEnd.Ended) return null;
            if (tls is not null) return Http.Take(socket, client.Address, listener, tls);
            silent = end == PlainEnd.Silent;
        }
        var first = silent ? FirstBytes.Silent : mode == PortMode.Tcp ? FirstBytes.Other : await Sniffer.Look(socket, mode == PortMode.Sniff ? options.SniffTimeout : FirstRequestWait);
        if (first == FirstBytes.Silent && mode == PortMode.Sniff) first = await SilentConnection.Settle(socket, client, listener, table(), Log, options, Plain);
        switch (first)
        {
            case FirstBytes.Closed or FirstBytes.Silent:
                return null;
            case FirstBytes.Other when mode is PortMode.Tcp or PortMode.Sniff:
                if (listener.Cluster is { } cluster) await TcpTunnel.Run(socket, client, listener, cluster, table(), Log, options, Plain);
                return null;
            case FirstBytes.Other when listener.Target == ListenerTarget.IngressTls && table().Hosts.HasPassthrough && await PassThrough(socket) is { } rule:
                if (TcpTunnel.IsLetIn(rule.Edge!, client.Address) && table().Cluster(rule.Service, rule.Port, rule.PortName) is { } through) await TcpTunnel.Run(socket, client, listener, through, table(), Log, options, Plain);
                return null;
            case FirstBytes.Other when listener.Target == ListenerTarget.IngressTls:
                return Http.Take(socket, client.Address, listener, Wire.Tls);
            default:
                return Http.Take(socket, client.Address, listener, first == FirstBytes.Http2 ? Wire.Http2 : Wire.Http1);
        }
    }

    /// <summary>The rule for the server name, where its Ingress passes TLS through.</summary>
    private async Task<HostRule?> PassThrough(Socket socket)
    {
        var name = await ClientHello.ServerName(socket, options.ProxyProtocolTimeout);
        return table().Hosts.TlsOf(name, static x => x.TlsPassthrough);
    }
}
