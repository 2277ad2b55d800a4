using System.Net;
using Declarative.Api;
using Declarative.Dns;
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

    public static async Task<DnsRole> Start(IApi api, Ports ports, Machine machine, ILoggerFactory logs)
    {
        var part = new DnsPart(new DnsOptions
        {
            Listen = new(IPAddress.Loopback, ports.Dns),
            Http = new(IPAddress.Loopback, ports.DnsHttp),
            Id = ports.Offset.ToString(System.Globalization.CultureInfo.InvariantCulture),
        }, logs);
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
