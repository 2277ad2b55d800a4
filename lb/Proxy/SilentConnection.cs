using System.Net;
using System.Net.Sockets;
using Declarative.Lb.Proxy.Plain;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Proxy;

/// <summary>
/// A connection to a port of undeclared protocol whose client has not said anything yet: a protocol in which the server speaks first, or an
/// HTTP client that keeps a connection in reserve. An endpoint is connected and whoever speaks first decides. Until then nothing is in
/// flight: the connection is not counted, so a reserve does not delay the end of a pod, and a pod that ends takes nothing away from it.
/// </summary>
internal static class SilentConnection
{
    private enum Speaker
    {
        Client,
        Server,

        /// <summary>The endpoint closed the connection.</summary>
        ServerLeft,
        Nobody,
    }

    /// <returns>What the client said first; Closed where the connection has been dealt with.</returns>
    public static async Task<FirstBytes> Settle(Socket client, IPEndPoint asking, OpenListener listener, RouteTable table, AccessLog? log, LbOptions options, PlainProxy? plain)
    {
        while (listener.Cluster is { } wanted)
        {
            // Whoever speaks first is counted by what it then is: one request or one connection, not both.
            var rates = new List<RateLimit>();
            if (TcpTunnel.Admit(asking.Address, wanted, table, rates) is not { } cluster) return FirstBytes.Closed;
            using var server = await Greet(Reserve(cluster, options, out var destination), client, asking, cluster);
            var speaker = await FirstToSpeak(client, server, options.ActivityTimeout);
            if (speaker == Speaker.ServerLeft)
            {
                server!.Dispose();
                speaker = await FirstToSpeak(client, null, options.ActivityTimeout);
            }
            switch (speaker)
            {
                case Speaker.Client:
                    return await Sniffer.Look(client, options.SniffTimeout);
                case Speaker.Server when !rates.TrueForAll(x => x.TryTake(asking.Address, EdgeSteps.Now())):
                    Interlocked.Increment(ref cluster.Counts.RefusalCount);
                    return FirstBytes.Closed;
                case Speaker.Server when destination!.TryEnter():
                    var since = AccessLog.Now();
                    try
                    {
                        Interlocked.Increment(ref cluster.Counts.ConnectionCount);
                        await TcpTunnel.Pass(client, server!, cluster.Settings, options, plain);
                    }
                    finally
                    {
                        destination.Release();
                        log?.Connection(asking.Address, listener, cluster, destination, since);
                    }
                    return FirstBytes.Closed;
                case Speaker.Nobody:
                    return FirstBytes.Closed;
            }
            // The pod is going away and the client has heard nothing from it: another one.
        }
        return FirstBytes.Closed;
    }

    private static Task<Socket?> Reserve(Cluster cluster, LbOptions options, out Destination? destination)
    {
        destination = cluster.Pick();
        if (destination is null) return Task.FromResult<Socket?>(null);
        destination.Withdraw();
        return TcpTunnel.TryConnect(destination, cluster.Settings, options);
    }

    /// <summary>An endpoint that waits for the PROXY header would say nothing without it.</summary>
    private static async Task<Socket?> Greet(Task<Socket?> connecting, Socket client, IPEndPoint asking, Cluster cluster)
    {
        var server = await connecting;
        if (server is not null) await TcpTunnel.Greet(server, client, asking, cluster.Settings);
        return server;
    }

    private static async Task<Speaker> FirstToSpeak(Socket client, Socket? server, TimeSpan wait)
    {
        using var either = new CancellationTokenSource(wait);
        var fromClient = Readable(client, either.Token);
        var fromServer = server is null ? null : Readable(server, either.Token);
        if (fromServer is not null) await Task.WhenAny(fromClient, fromServer);
        else await fromClient;
        either.Cancel();
        // Both have ended before anybody else reads from the sockets.
        var clientSpoke = await fromClient;
        var serverSpoke = fromServer is not null && await fromServer;
        if (serverSpoke && server!.Available > 0) return Speaker.Server;
        if (clientSpoke) return Speaker.Client;
        return serverSpoke ? Speaker.ServerLeft : Speaker.Nobody;
    }

    /// <summary>True when there is something to read: bytes, the end or an error.</summary>
    private static async Task<bool> Readable(Socket socket, CancellationToken stop)
    {
        try
        {
            await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, stop);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
