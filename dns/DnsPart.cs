using System.Net;
using Declarative.Api;
using Declarative.Dns.MesosState;
using Declarative.Dns.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Dns;

/// <summary>The DNS role: zones that follow the API, answered over UDP, TCP and Mesos-DNS' HTTP API.</summary>
public sealed class DnsPart : IAsyncDisposable
{
    private readonly DnsOptions _options;
    private readonly ILogger _logger;
    private readonly DnsServer _server;

    /// <exception cref="FormatException">A domain or the framework's name in the options gives no domain name.</exception>
    public DnsPart(DnsOptions options, ILoggerFactory? loggers = null)
    {
        loggers ??= NullLoggerFactory.Instance;
        (_options, _logger) = (options, loggers.CreateLogger("dns"));
        Zones = new DnsZones(options, loggers);
        _server = new DnsServer(options, Zones, _logger);
    }

    public DnsZones Zones { get; }

    /// <summary>Completes when the zones hold what the API has; before that every answer is SERVFAIL.</summary>
    public Task Ready => Zones.Synced;

    public bool IsReady => Zones.Synced.IsCompleted;

    /// <summary>Where DNS is answered, after <see cref="Open"/>.</summary>
    public IPEndPoint Address => _server.Address;

    /// <summary>Where pods find DNS, after <see cref="Open"/>; null where this process may not bind it.</summary>
    public IPEndPoint? ClusterAddress => _server.ClusterAddress;

    /// <summary>DNS over TLS, after <see cref="Open"/>; null: not offered.</summary>
    public IPEndPoint? TlsAddress => _server.TlsAddress;

    /// <summary>DNS over HTTPS as <c>https://address:port</c>, after <see cref="Open"/>; null: not offered.</summary>
    public string? HttpsAddress => _server.HttpsAddress;

    /// <summary>Mesos-DNS' HTTP API as <c>http://address:port</c>, after <see cref="Open"/>; null: not served.</summary>
    public string? HttpAddress => _server.HttpAddress;

    /// <summary>
    /// Binds all addresses, so that a port that is taken is known before anything else starts, and answers SERVFAIL until <see cref="Ready"/>;
    /// <see cref="Run"/> does it where nobody has.
    /// </summary>
    /// <exception cref="IOException">An address cannot be bound; the message says which and why.</exception>
    public Task Open() => _server.Start();

    /// <summary>
    /// Follows the API and the Mesos masters until stopped; then the sockets are closed, and after them the TrafficReport is deleted: while it
    /// stands, answers may go out.
    /// </summary>
    /// <param name="api">Null: the Mesos masters of the options alone, in place of Mesos-DNS.</param>
    /// <param name="time">Clock.</param>
    /// <param name="random">For the pauses after failures.</param>
    /// <param name="stop">Ends it.</param>
    public async Task Run(IApi? api, TimeProvider time, Random random, CancellationToken stop)
    {
        await Open();
        using var zonesStop = new CancellationTokenSource();
        await using var mesos = _options.Mesos is { } masters ? new MesosWatch(masters, Zones, time, random, _logger) : null;
        var zones = Zones.Run(api, time, random, zonesStop.Token);
        var watching = mesos?.Run(zonesStop.Token) ?? Task.CompletedTask;
        var stopped = Completion.New();
        await using (stop.Register(stopped.SetResult))
            await Task.WhenAny(zones, stopped.Task);
        await DisposeAsync();
        zonesStop.Cancel();
        await Task.WhenAll(zones, watching);
    }

    /// <summary>Closes all sockets.</summary>
    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
