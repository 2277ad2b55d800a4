using Declarative.Api;
using Declarative.Controllers.Nodes;
using Declarative.Mesos.Scheduler;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Placement;

/// <summary>
/// Placement and Nodes as one part of the platform: both act as <c>system:declarative:placement</c> and share what offers tell of agents.
/// Each run begins with nothing in memory.
/// </summary>
/// <param name="watch">The master's own view of its agents (<see cref="NodesController"/>); null where only offers tell.</param>
public sealed class PlacementRole(PlacementOptions options, ILoggerFactory logs, Func<CancellationToken, IAsyncEnumerable<AgentFacts>>? watch = null)
{
    public async Task Run(IApi api, IMaster master, TimeProvider time, Random random, CancellationToken stop)
    {
        var agents = new AgentFeed();
        var nodes = new NodesController(agents, watch) { Logger = logs.CreateLogger("nodes") };
        var placement = new PlacementController(options, agents) { Logger = logs.CreateLogger("placement") };
        var running = nodes.Run(api, time, new Random(random.Next()), stop);
        await placement.Run(api, master, time, new Random(random.Next()), stop);
        await running;
    }
}
