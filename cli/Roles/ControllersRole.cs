using Declarative.Api;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement;
using Declarative.Mesos.Scheduler.Http;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Roles;

/// <summary>All controllers, Placement among them, against one Mesos master.</summary>
internal sealed class ControllersRole : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<HttpMaster> _masters = [];
    private readonly HttpOperator _operator;
    private readonly Task _running;

    /// <param name="api">The API bound to a user; users differ by part.</param>
    /// <param name="masters">One of them leads.</param>
    /// <param name="identity">Under which this process takes leases.</param>
    /// <param name="machine">Clock and chance.</param>
    /// <param name="logs">Where to.</param>
    public ControllersRole(Func<User, IApi> api, IReadOnlyList<Uri> masters, string identity, Machine machine, ILoggerFactory logs)
    {
        var options = new HttpMasterOptions { Masters = masters };
        _operator = new HttpOperator(options, machine.Time);
        var parts = Platform.Controllers(new PlacementOptions { Identity = identity }, new AgentWatch(_operator).Agents, logs, identity);
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
        foreach (var master in _masters) master.Dispose();
        _operator.Dispose();
        _stop.Dispose();
    }
}
