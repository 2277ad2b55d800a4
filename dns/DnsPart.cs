using System.Net;
using Declarative.Api;
using Declarative.Dns.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Dns;

/// <summary>The DNS role: zones that follow the API, answered over UDP, TCP and Mesos-DNS' HTTP API.</summary>
public sealed class DnsPart : IAsyncDisposable
{
    private readonly DnsServer _server;

    /// <exception cref="FormatException">A domain or the framework's name in the options gives no domain name.</exception>
    public DnsPart(DnsOptions options, ILoggerFactory? loggers = null)
    {
        loggers ??= NullLoggerFactory.Instance;
        Zones = new DnsZones(options, loggers);
        _server = new DnsServer(options, Zones, loggers.CreateLogger("dns"));
    }

    public DnsZones Zones { get; }

    /// <summary>Completes when the zones hold what the API has; before that every answer is SERVFAIL.</summary>
    public Task Ready => Zones.Synced;

    public bool IsReady => Zones.Synced.IsCompleted;

    /// <summary>Where DNS is answered, after <see cref="Open"/>.</summary>
    public IPEndPoint Address => _server.Address;

    /// <summary>Where pods find DNS, after <see cref="Open"/>; null where this process may not bind it.</summary>
    public IPEndPoint? ClusterAddress => _server.ClusterAddress;

    /// <summary>Mesos-DNS' HTTP API as <c>http://address:port</c>, after <see cref="Open"/>; null: not served.</summary>
    public string? HttpAddress => _server.HttpAddress;

    /// <summary>
    /// Binds all addresses, so that a port that is taken is known before anything else starts, and answers SERVFAIL until <see cref="Ready"/>;
    /// <see cref="Run"/> does it where nobody has.
    /// </summary>
    /// <exception cref="IOException">An address cannot be bound; the message says which and why.</exception>
    public Task Open() => _server.Start();

    /// <summary>
    /// Follows the API until stopped; then the sockets are closed, and after them the TrafficReport is deleted: while it stands, answers may go out.
    /// </summary>
    public async Task Run(IApi api, TimeProvider time, Random random, CancellationToken stop)
    {
        await Open();
        using var zonesStop = new CancellationTokenSource();
        var zones = Zones.Run(api, time, random, zonesStop.Token);
        var stopped = Completion.New();
        await using (stop.Register(stopped.SetResult))
            await Task.WhenAny(zones, stopped.Task);
        await DisposeAsync();
        zonesStop.Cancel();
        await zones;
    }

    /// <summary>Closes all sockets.</summary>
    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
