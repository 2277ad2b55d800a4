using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>Accepts TCP connections within the limits of all and of one client (RFC 7766, 6.2.2).</summary>
internal sealed class TcpListeners(DnsZones zones, ServerParts parts, ILogger logger)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<IPAddress, int> _clients = [];
    private readonly HashSet<Task> _open = [];
    private readonly Counters _ended = new();

    /// <summary>Connections now open.</summary>
    public int Open
    {
        get
        {
            lock (_gate)
                return _clients.Values.Sum();
        }
    }

    /// <summary>Connections turned away because of a limit.</summary>
    public long Refused { get; private set; }

    /// <summary>Adds the counts of connections that have ended.</summary>
    public void AddTo(Counters total)
    {
        lock (_gate)
            total.Add(_ended);
    }

    /// <summary>Accepts on one socket until stopped, then waits for its connections to end.</summary>
    /// <param name="listener">Bound.</param>
    /// <param name="tls">Null: plain TCP.</param>
    /// <param name="stop">Ends it.</param>
    public async Task Run(Socket listener, SslServerAuthenticationOptions? tls, CancellationToken stop)
    {
        var address = (IPEndPoint)listener.LocalEndPoint!;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                Take(await listener.AcceptAsync(stop), tls, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                break;
            }
            catch (SocketException e)
            {
                // Out of descriptors, or the client was gone already.
                Log.AcceptFailed(logger, address, e.Message);
                await Task.Delay(10, CancellationToken.None);
            }
        }
        Task[] rest;
        lock (_gate)
            rest = [.. _open];
        await Task.WhenAll(rest);
    }

    private void Take(Socket socket, SslServerAuthenticationOptions? tls, CancellationToken stop)
    {
        var client = (socket.RemoteEndPoint as IPEndPoint)?.Address ?? IPAddress.None;
        lock (_gate)
        {
            var own = _clients.GetValueOrDefault(client);
            if (_open.Count < DnsLimits.TcpConnectionsMax && own < DnsLimits.TcpConnectionsPerClientMax)
            {
                _clients[client] = own + 1;
                _open.RemoveWhere(t => t.IsCompleted);
                _open.Add(Serve(socket, client, tls, stop));
                return;
            }
            Refused++;
        }
        socket.Dispose();
    }

    private async Task Serve(Socket socket, IPAddress client, SslServerAuthenticationOptions? tls, CancellationToken stop)
    {
        await Task.Yield(); // not under the lock of Take
        socket.NoDelay = true;
        using (var answering = new Answering(zones, parts, logger))
        {
            try
            {
                await using Stream plain = new NetworkStream(socket, ownsSocket: true);
                await using var stream = tls is null ? plain : await Secured(plain, tls, stop);
                using var connection = new TcpConnection(stream, client, zones, parts, answering, logger);
                await connection.Run(stop);
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or AuthenticationException)
            {
                Close(answering, client); // the client is gone or too slow, or we are stopping
                return;
            }
            catch (Exception e)
            {
                Log.ConnectionFailed(logger, e);
            }
            Close(answering, client);
        }
    }

    private static async Task<Stream> Secured(Stream plain, SslServerAuthenticationOptions tls, CancellationToken stop)
    {
        var secured = new SslStream(plain);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(TimeSpan.FromSeconds(DnsLimits.TcpWriteSeconds));
        try
        {
            await secured.AuthenticateAsServerAsync(tls, limit.Token);
            return secured;
        }
        catch
        {
            await secured.DisposeAsync();
            throw;
        }
    }

    private void Close(Answering answering, IPAddress client)
    {
        lock (_gate)
        {
            _ended.Add(answering.Counters);
            if (--_clients[client] == 0)
                _clients.Remove(client);
        }
    }
}
