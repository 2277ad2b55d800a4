using Declarative.Api;
using Declarative.Controllers;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement;
using Declarative.Dns;
using Declarative.Lb;
using Declarative.Sim;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli;

/// <summary>The composition of the platform: which parts there are. <c>up</c>, the separate roles and the simulated world take them from here.</summary>
internal static class Platform
{
    /// <summary>The controllers, in the order of the data flow.</summary>
    /// <param name="agents">The agents as the master tells them; null where only offers tell.</param>
    public static IReadOnlyList<Part> Controllers(PlacementOptions placement, Func<CancellationToken, IAsyncEnumerable<AgentFacts>>? agents, ILoggerFactory logs) =>
    [
        .. ControllerTable.Rows(logs).Select(row => new Part(row.Name, User.Controllers, (api, _, time, random, stop) => row.Run(api, time, random, stop))),
        new("placement", User.Placement, (api, master, time, random, stop) =>
        {
            // Both see the same agents: what Placement learns from offers becomes Node objects, on which it places.
            var feed = new AgentFeed();
            var logger = logs.CreateLogger("placement");
            return Task.WhenAll(
                new PlacementController(placement, feed) { Logger = logger }.Run(api, master, time, random, stop),
                new NodesController(feed, agents) { Logger = logger }.Run(api, time, new Random(random.Next()), stop));
        }),
    ];

    /// <summary>Everything that runs in the simulated world: the controllers, and the deciding halves of balancer and DNS without their sockets.</summary>
    public static IReadOnlyList<Part> Simulated(ILoggerFactory logs) =>
    [
        .. Controllers(new PlacementOptions(), null, logs),
        new("lb", User.Lb, (api, _, time, random, stop) => new LbRoutes(new LbOptions(), logs).Run(api, time, random, stop)),
        new("dns", User.Dns, (api, _, time, random, stop) => new DnsZones(new DnsOptions(), logs).Run(api, time, random, stop)),
    ];
}
