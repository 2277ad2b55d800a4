using System.Net;
using Declarative.Api;
using Declarative.Dns;
using Declarative.Mesos.Scheduler.Http;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Roles;

/// <summary>The DNS server on its default ports.</summary>
internal sealed class DnsRole : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly DnsPart _part;
    private Task _running = Task.CompletedTask;

    private DnsRole(DnsPart part) => _part = part;

    public Task Running => _running;

    public bool IsReady => _part.Ready.IsCompletedSuccessfully;

    /// <summary>On this platform's ports: our framework's names come from the API, all others from its master.</summary>
    public static DnsOptions Defaults(Ports ports, IReadOnlyList<string> masters, MasterAccess? access = null) => new()
    {
        Listen = new(IPAddress.Loopback, ports.Dns),
        Http = new(IPAddress.Loopback, ports.DnsHttp),
        Id = ports.Offset.ToString(System.Globalization.CultureInfo.InvariantCulture),
        Mesos = masters.Count > 0 ? new MesosOptions { Masters = masters, Access = access ?? new(), Https = access?.IsHttps == true } : null,
    };

    /// <summary>Where pods find this server; null where its port 53 could not be bound.</summary>
    public IPAddress? ClusterAddress => _part.ClusterAddress?.Address;

    /// <param name="api">Null: names come from the Mesos masters alone.</param>
    /// <param name="options">What to serve.</param>
    /// <param name="machine">Clock and chance.</param>
    /// <param name="logs">Where to.</param>
    /// <exception cref="UsageException">The options cannot be.</exception>
    public static async Task<DnsRole> Start(IApi? api, DnsOptions options, Machine machine, ILoggerFactory logs)
    {
        DnsPart part;
        try
        {
            if (options.Mesos is { } masters) await masters.Check(machine.Time);
            part = new DnsPart(options, logs);
        }
        catch (Exception e) when (e is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"dns: {e.Message}");
        }
        await part.Open();
        var role = new DnsRole(part);
        role._running = part.Run(api, machine.Time, machine.NewRandom(), role._stop.Token);
        return role;
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _running;
        await _part.DisposeAsync();
        _stop.Dispose();
    }
}
