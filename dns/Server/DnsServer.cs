using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>All sockets of the DNS role: bound first, so that a taken port is known before anything starts, then served.</summary>
internal sealed class DnsServer(DnsOptions options, DnsZones zones, ILogger logger) : IAsyncDisposable
{
    private readonly List<DnsSockets> _sockets = [];
    private readonly TcpListeners _tcp = new(zones, logger);
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _accepting = [];
    private HttpApi? _http;
    private bool _closed;

    /// <summary>Where UDP and TCP are answered; the port that was taken where 0 was asked for.</summary>
    public IPEndPoint Address => _sockets[0].Address;

    /// <summary>The cluster address; null where it could not be bound.</summary>
    public IPEndPoint? ClusterAddress => _sockets.Count > 1 ? _sockets[1].Address : null;

    public string? HttpAddress => _http?.Address;

    /// <summary>Only the first call does anything.</summary>
    /// <exception cref="IOException">An address cannot be bound; the message says which and why.</exception>
    public async Task Start()
    {
        if (_sockets.Count > 0)
            return;
        _sockets.Add(Bind(options.Listen, options.UdpThreads));
        if (options.ClusterListen is { } cluster)
        {
            try
            {
                _sockets.Add(DnsSockets.Bind(cluster, 1));
            }
            catch (SocketException e)
            {
                Log.NotOnClusterAddress(logger, cluster, e.Message, Address);
            }
        }
        try
        {
            if (options.Http is { } address)
                _http = await HttpApi.Start(address, new HttpAnswers(zones, options, Metrics), logger);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new IOException($"dns: cannot listen on {options.Http} for HTTP: {e.Message}", e);
        }
        foreach (var bound in _sockets)
        {
            bound.Start(zones, logger);
            _accepting.Add(_tcp.Run(bound.Tcp, _stopping.Token));
            Log.Listening(logger, bound.Address);
        }
        if (_http is not null)
            Log.HttpListening(logger, _http.Address);
    }

    public DnsMetrics Metrics()
    {
        var (udp, streams) = (new Counters(), new Counters());
        foreach (var loop in _sockets.SelectMany(s => s.Loops))
            udp.Add(loop.Counters);
        _tcp.AddTo(streams);
        var snapshot = zones.Cell.Current;
        return new DnsMetrics(udp, streams, _tcp.Open, _tcp.Refused, snapshot.Names.Count, snapshot.Version, zones.Synced.IsCompleted, zones.MesosAge, zones.IsStale);
    }

    public async ValueTask DisposeAsync()
    {
        if (_closed)
            return;
        _closed = true;
        await _stopping.CancelAsync();
        foreach (var bound in _sockets)
            bound.Dispose();
        await Task.WhenAll(_accepting);
        if (_http is not null)
            await _http.DisposeAsync();
        _stopping.Dispose();
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
