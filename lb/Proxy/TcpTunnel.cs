using System.Buffers;
using System.Net.Sockets;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Proxy;

/// <summary>Passes one TCP connection through to an endpoint. The end of one direction is passed on and leaves the other one open (half-close).</summary>
internal static class TcpTunnel
{
    private const int ChunkBytes = 64 * 1024;

    public static async Task Run(Socket client, Cluster cluster, LbOptions options)
    {
        Interlocked.Increment(ref cluster.Counts.ConnectionCount);
        var destination = cluster.Pick();
        if (destination is null)
        {
            Interlocked.Increment(ref cluster.Counts.NoEndpointCount);
            return;
        }
        var server = await TryConnect(destination, options);
        if (server is null && cluster.Pick(but: destination) is { } other)
        {
            destination.Release();
            Interlocked.Increment(ref cluster.Counts.RetryCount);
            destination = other;
            server = await TryConnect(destination, options);
        }
        try
        {
            if (server is null)
            {
                Interlocked.Increment(ref cluster.Counts.FailureCount);
                return;
            }
            using (server) await Pass(client, server, options);
        }
        finally
        {
            destination.Release();
        }
    }

    /// <summary>Until both directions have ended.</summary>
    public static async Task Pass(Socket client, Socket server, LbOptions options)
    {
        using var idle = new IdleTimeout(client, server, options.ActivityTimeout);
        var upward = Copy(client, server, idle);
        var downward = Copy(server, client, idle);
        await upward;
        await downward;
    }

    /// <summary>null where the endpoint cannot be reached.</summary>
    public static async Task<Socket?> TryConnect(Destination destination, LbOptions options)
    {
        try
        {
            return await Connect(destination.EndPoint, options.ConnectTimeout, CancellationToken.None);
        }
        catch (SocketException)
        {
            return null;
        }
    }

    /// <exception cref="SocketException">Refused, or not connected in time.</exception>
    public static async ValueTask<Socket> Connect(System.Net.EndPoint endpoint, TimeSpan timeout, CancellationToken stop)
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

    private static async Task Copy(Socket from, Socket to, IdleTimeout idle)
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

    private sealed class IdleTimeout : IDisposable
    {
        private readonly Timer _timer;
        private readonly long _limit;
        private long _last = Environment.TickCount64;

        public IdleTimeout(Socket a, Socket b, TimeSpan limit)
        {
            _limit = (long)limit.TotalMilliseconds;
            var period = TimeSpan.FromMilliseconds(Math.Max(1, _limit / 4.0));
            _timer = new(
                _ =>
                {
                    if (Environment.TickCount64 - Volatile.Read(ref _last) < _limit) return;
                    a.Dispose();
                    b.Dispose();
                },
                null, period, period);
        }

        public void Touch() => Volatile.Write(ref _last, Environment.TickCount64);

        public void Dispose() => _timer.Dispose();
    }
}
