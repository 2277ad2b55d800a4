using Declarative.Api;
using Declarative.Client.Reconcile;
using Declarative.Controllers.HorizontalPodAutoscalers;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Roles;

/// <summary>All controllers, Placement among them, against one Mesos master.</summary>
internal sealed class ControllersRole : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<HttpMaster> _masters = [];
    private readonly HttpOperator _operator;
    private readonly MasterDetector _detector;
    private readonly Task _running;

    /// <param name="api">The API bound to a user; users differ by part.</param>
    /// <param name="options">How the masters are found and spoken to; its detector ends with this role.</param>
    /// <param name="placement">How Placement registers with them.</param>
    /// <param name="identity">Under which this process takes leases.</param>
    /// <param name="machine">Clock and chance.</param>
    /// <param name="logs">Where to.</param>
    /// <param name="leaseSeconds">After so long another process takes the place of one that is gone; null where there is no other.</param>
    /// <param name="autoscaling">null = as Kubernetes does by default.</param>
    public ControllersRole(Func<User, IApi> api, HttpMasterOptions options, PlacementOptions placement, string identity, Machine machine, ILoggerFactory logs, int? leaseSeconds = null, AutoscalerOptions? autoscaling = null)
    {
        _detector = options.Masters;
        _operator = new HttpOperator(options, machine.Time);
        var parts = Platform.Controllers(placement with { Identity = identity, Principal = options.Access.Principal, Lease = leaseSeconds is { } seconds ? LeaseOptions.Of(seconds) : null }, new AgentWatch(_operator).Agents, logs, identity, autoscaling);
        _running = new PartLoop(parts, api, Master, machine, logs.CreateLogger("controllers")).Run(_stop.Token);

        HttpMaster Master()
        {
            var master = new HttpMaster(options, machine.Time);
            lock (_masters) _masters.Add(master);
            return master;
        }
    }

    public Task Running => _running;

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _running;
        foreach (var master in _masters) await master.DisposeAsync();
        _operator.Dispose();
        await _detector.DisposeAsync();
        _stop.Dispose();
    }
}
