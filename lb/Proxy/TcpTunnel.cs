using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Declarative.Lb.Proxy.Plain;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Proxy;

/// <summary>Passes one TCP connection through to an endpoint. The end of one direction is passed on and leaves the other one open (half-close).</summary>
internal static class TcpTunnel
{
    private const int ChunkBytes = 64 * 1024;

    /// <param name="asking">Whoever the connection came through.</param>
    /// <param name="table">To find the other Services of a split.</param>
    /// <param name="log">null = nothing is logged.</param>
    public static async Task Run(Socket client, IPEndPoint asking, OpenListener listener, Cluster cluster, RouteTable table, AccessLog? log, LbOptions options, PlainProxy? plain)
    {
        var since = AccessLog.Now();
        var address = asking.Address;
        if (Admit(address, cluster, table) is not { } target) return;
        cluster = target;
        Interlocked.Increment(ref cluster.Counts.ConnectionCount);
        var settings = cluster.Settings;
        var source = settings.Balance == Balance.Source ? Mixing.Hash(address) : 0;
        var destination = cluster.Pick(but: null, source);
        if (destination is null)
        {
            Interlocked.Increment(ref cluster.Counts.NoEndpointCount);
            return;
        }
        var server = await TryConnect(destination, settings, options, plain);
        for (var attempt = 0; server is null && attempt < settings.Retries; attempt++)
        {
            cluster.Outcome(destination, failed: true);
            if (cluster.Pick(but: destination, source) is not { } other) break;
            destination.Release();
            destination = other;
            if (!cluster.Retries.TryTake(cluster, cluster.Now())) break;
            Interlocked.Increment(ref cluster.Counts.RetryCount);
            server = await TryConnect(destination, settings, options, plain);
        }
        try
        {
            if (server is null)
            {
                Interlocked.Increment(ref cluster.Counts.FailureCount);
                return;
            }
            cluster.Outcome(destination, failed: false);
            using (server)
            {
                await Greet(server, client, asking, settings);
                await Pass(client, server, settings, options, plain);
            }
        }
        finally
        {
            destination.Release();
            log?.Connection(address, listener, cluster, destination, since);
        }
    }

    /// <summary>What of the settings is about connections.</summary>
    /// <param name="later">Is given the rates that the connection has yet to be counted for; without it it is counted at once.</param>
    /// <returns>The cluster that the connection is for; null = not let in.</returns>
    public static Cluster? Admit(IPAddress client, Cluster cluster, RouteTable table, List<RateLimit>? later = null)
    {
        Cluster? from = null;
        for (var hop = 0; cluster.Edge is { } edge; hop++)
        {
            if (hop > Limits.SplitHopsMax || !IsLetIn(edge, client, later))
            {
                Interlocked.Increment(ref cluster.Counts.RefusalCount);
                return null;
            }
            var next = !edge.Divides ? cluster : Splits.Next(null, cluster, edge, table, from);
            if (next == cluster) return cluster;
            (from, cluster) = (cluster, next);
        }
        return cluster;
    }

    public static bool IsLetIn(EdgeSettings edge, IPAddress client, List<RateLimit>? later = null)
    {
        if (edge.Closed.Length > 0 || !EdgeSteps.MayCome(edge, client)) return false;
        if (edge.Rate is not { } rate) return true;
        if (later is null) return rate.TryTake(client, EdgeSteps.Now());
        later.Add(rate);
        return true;
    }

    /// <summary>The other end of the connection.</summary>
    public static IPEndPoint Peer(Socket client)
    {
        var peer = (IPEndPoint)client.RemoteEndPoint!;
        return peer.Address.IsIPv4MappedToIPv6 ? new(peer.Address.MapToIPv4(), peer.Port) : peer;
    }

    /// <summary>Tells the endpoint who asks, where its settings say so.</summary>
    /// <param name="client">Its own end is the destination that the endpoint is told: the listener may be bound to all addresses.</param>
    public static async Task Greet(Socket server, Socket client, IPEndPoint asking, BackendSettings settings)
    {
        if (settings.SendProxy == 0) return;
        var header = ProxyProtocol.Write(settings.SendProxy, asking, (IPEndPoint)client.LocalEndPoint!);
        for (var sent = 0; sent < header.Length;) sent += await server.SendAsync(header.AsMemory(sent), SocketFlags.None);
    }

    /// <summary>Until both directions have ended.</summary>
    /// <param name="plain">null = there are no event loops on this system.</param>
    public static async Task Pass(Socket client, Socket server, BackendSettings settings, LbOptions options, PlainProxy? plain)
    {
        if (plain is not null)
        {
            await plain.Pass(client, server, settings);
            return;
        }
        using var limit = new TunnelLimit(client, server, settings.IdleTimeout ?? options.ActivityTimeout, settings.TunnelTimeout);
        var upward = Copy(client, server, limit);
        var downward = Copy(server, client, limit);
        await upward;
        await downward;
    }

    /// <summary>null where the endpoint cannot be reached.</summary>
    public static async Task<Socket?> TryConnect(Destination destination, BackendSettings settings, LbOptions options, PlainProxy? plain = null)
    {
        try
        {
            if (plain is not null) return await plain.Connect(destination.SocketAddress, settings.ConnectTimeout ?? options.ConnectTimeout);
            return await Connect(destination.EndPoint, settings.ConnectTimeout ?? options.ConnectTimeout, CancellationToken.None);
        }
        catch (SocketException)
        {
            return null;
        }
    }

    /// <exception cref="SocketException">Refused, or not connected in time.</exception>
    public static async ValueTask<Socket> Connect(EndPoint endpoint, TimeSpan timeout, CancellationToken stop)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(timeout);
        try
        {
            await socket.ConnectAsync(endpoint, limit.Token);
            return socket;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            socket.Dispose();
            throw new SocketException((int)SocketError.TimedOut);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task Copy(Socket from, Socket to, TunnelLimit idle)
    {
        try
        {
            while (true)
            {
                // Waits without a buffer: an idle connection costs no more than its sockets.
                if (from.Available == 0) await from.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None);
                var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
                try
                {
                    var count = await from.ReceiveAsync(buffer.AsMemory(0, ChunkBytes), SocketFlags.None);
                    if (count == 0) break;
                    idle.Touch();
                    for (var sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), SocketFlags.None);
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }
            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Reset by either side: the other one learns it as it is, not as an orderly end.
            Abort(from);
            Abort(to);
        }
    }

    private static void Abort(Socket socket)
    {
        if (socket.SafeHandle.IsClosed) return;
        try
        {
            socket.LingerState = new(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return; // closed by the other direction meanwhile
        }
        socket.Dispose();
    }

    private sealed class TunnelLimit : IDisposable
    {
        private readonly Timer _timer;
        private readonly long _limit;
        private long _last = Environment.TickCount64;

        /// <param name="idle">Without a byte in either direction.</param>
        /// <param name="whole">null = however long it takes.</param>
        public TunnelLimit(Socket a, Socket b, TimeSpan idle, TimeSpan? whole)
        {
            _limit = (long)idle.TotalMilliseconds;
            var end = whole is { } most ? _last + (long)most.TotalMilliseconds : long.MaxValue;
            var period = TimeSpan.FromMilliseconds(Math.Max(1, Math.Min(_limit, whole?.TotalMilliseconds ?? _limit) / 4.0));
            _timer = new(
                _ =>
                {
                    var now = Environment.TickCount64;
                    if (now - Volatile.Read(ref _last) < _limit && now < end) return;
                    a.Dispose();
                    b.Dispose();
                },
                null, period, period);
        }

        public void Touch() => Volatile.Write(ref _last, Environment.TickCount64);

        public void Dispose() => _timer.Dispose();
    }
}
