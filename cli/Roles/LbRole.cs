using System.Net;
using Declarative.Api;
using Declarative.Lb;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Roles;

/// <summary>The load balancer on its default ports.</summary>
internal sealed class LbRole : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly LbPart _part;
    private Task _running = Task.CompletedTask;

    private LbRole(LbPart part) => _part = part;

    public Task Running => _running;

    public bool IsReady => _part.IsReady;

    public static async Task<LbRole> Start(IApi api, Ports ports, int agents, string clusterIps, Machine machine, ILoggerFactory logs, CancellationToken stop, Func<LbOptions, LbOptions>? with = null)
    {
        var options = new LbOptions
        {
            PortOffset = ports.Offset,
            ClusterIps = IPNetwork.Parse(clusterIps),
            Id = ports.Offset.ToString(System.Globalization.CultureInfo.InvariantCulture),
            PlatformPorts = ports.All(agents).Where(x => !x.Use.StartsWith("load balancer", StringComparison.Ordinal)).ToDictionary(x => x.Port, x => x.Use),
        };
        var part = new LbPart(with is null ? options : with(options), logs);
        await part.Open(machine.Time, stop);
        var role = new LbRole(part);
        role._running = part.Run(api, machine.Time, machine.NewRandom(), role._stop.Token);
        return role;
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _running;
        _part.Dispose();
        _stop.Dispose();
    }
}
