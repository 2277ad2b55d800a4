using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>All sockets of the DNS role: bound first, so that a taken port is known before anything starts, then served.</summary>
internal sealed class DnsServer(DnsOptions options, DnsZones zones, ILogger logger) : IAsyncDisposable
{
    private readonly List<DnsSockets> sockets = [];
    private readonly TcpListeners tcp = new(zones, logger);
    private readonly CancellationTokenSource stopping = new();
    private readonly List<Task> accepting = [];
    private HttpApi? http;
    private bool closed;

    /// <summary>Where UDP and TCP are answered; the port that was taken where 0 was asked for.</summary>
    public IPEndPoint Address => sockets[0].Address;

    public string? HttpAddress => http?.Address;

    /// <summary>Only the first call does anything.</summary>
    /// <exception cref="IOException">An address cannot be bound; the message says which and why.</exception>
    public async Task Start()
    {
        if (sockets.Count > 0)
            return;
        sockets.Add(Bind(options.Listen, options.UdpThreads));
        if (options.ClusterListen is { } cluster)
        {
            try
            {
                sockets.Add(DnsSockets.Bind(cluster, 1));
            }
            catch (SocketException e)
            {
                Log.NotOnClusterAddress(logger, cluster, e.Message, Address);
            }
        }
        try
        {
            if (options.Http is { } address)
                http = await HttpApi.Start(address, new HttpAnswers(zones, options, Metrics), logger);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new IOException($"dns: cannot listen on {options.Http} for HTTP: {e.Message}", e);
        }
        foreach (var bound in sockets)
        {
            bound.Start(zones, logger);
            accepting.Add(tcp.Run(bound.Tcp, stopping.Token));
            Log.Listening(logger, bound.Address);
        }
        if (http is not null)
            Log.HttpListening(logger, http.Address);
    }

    public DnsMetrics Metrics()
    {
        var (udp, streams) = (new Counters(), new Counters());
        foreach (var loop in sockets.SelectMany(s => s.Loops))
            udp.Add(loop.Counters);
        tcp.AddTo(streams);
        var snapshot = zones.Cell.Current;
        return new DnsMetrics(udp, streams, tcp.Open, tcp.Refused, snapshot.Names.Count, snapshot.Version, zones.Synced.IsCompleted);
    }

    public async ValueTask DisposeAsync()
    {
        if (closed)
            return;
        closed = true;
        await stopping.CancelAsync();
        foreach (var bound in sockets)
            bound.Dispose();
        await Task.WhenAll(accepting);
        if (http is not null)
            await http.DisposeAsync();
        stopping.Dispose();
    }

    private static DnsSockets Bind(IPEndPoint address, int threads)
    {
        try
        {
            return DnsSockets.Bind(address, threads);
        }
        catch (SocketException e)
        {
            throw new IOException($"dns: cannot listen on {address}: {e.Message}", e);
        }
    }
}
