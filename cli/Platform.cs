using Declarative.Api;
using Declarative.Client.Reconcile;
using Declarative.Controllers;
using Declarative.Controllers.HorizontalPodAutoscalers;
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
    /// <param name="logs">Where to.</param>
    /// <param name="identity">
    /// The controllers run while this identity holds Lease <c>kube-system/controllers</c>, so that any number of processes may run; null where
    /// there is one process (Placement takes its Lease <c>kube-system/placement</c> whatever this is).
    /// </param>
    /// <param name="autoscaling">null = as Kubernetes does by default.</param>
    public static IReadOnlyList<Part> Controllers(
        PlacementOptions placement, Func<CancellationToken, IAsyncEnumerable<AgentFacts>>? agents, ILoggerFactory logs, string? identity = null, AutoscalerOptions? autoscaling = null)
    {
        var lease = identity is null ? null : new SharedLease("kube-system", "controllers", identity, placement.Lease) { Logger = logs.CreateLogger("controllers") };
        var nodesLease = identity is null ? null : new SharedLease("kube-system", "node-controller", identity, placement.Lease) { Logger = logs.CreateLogger("node-controller") };
        List<Part> parts = [];
        if (lease is not null) parts.Add(new("controllers", User.Controllers, (api, _, time, random, stop) => lease.Run(api, time, random, stop)));
        parts.AddRange(ControllerTable.Rows(logs, autoscaling).Select(row => new Part(row.Name, User.Controllers, (api, _, time, random, stop) =>
            Led(lease, term => row.Run(api, time, new Random(random.Next()), term), stop))));
        parts.Add(new("placement", User.Placement, (api, master, time, random, stop) =>
        {
            // Both see the same agents: what Placement learns from offers becomes Node objects, on which it places.
            var feed = new AgentFeed();
            var logger = logs.CreateLogger("placement");
            return Task.WhenAll(
                new PlacementController(placement, feed) { Logger = logger }.Run(api, master, time, random, stop),
                Led(nodesLease, term => new NodesController(feed, agents) { Logger = logger }.Run(api, time, new Random(random.Next()), term), stop),
                nodesLease?.Run(api, time, random, stop) ?? Task.CompletedTask);
        }));
        return parts;
    }

    private static Task Led(SharedLease? lease, Func<CancellationToken, Task> run, CancellationToken stop) => lease is null ? run(stop) : lease.Run(run, stop);

    /// <summary>
    /// Everything that runs in the simulated world: the controllers, and the deciding halves of balancer and DNS with emulated clients in
    /// the place of their sockets.
    /// </summary>
    /// <param name="traffic">Is told whom the clients reach; null = no clients.</param>
    public static IReadOnlyList<Part> Simulated(ILoggerFactory logs, SimulatedTraffic? traffic = null) =>
    [
        .. Controllers(new PlacementOptions { User = "nobody" }, null, logs),
        new("lb", User.Lb, (api, _, time, random, stop) =>
        {
            var routes = new LbRoutes(new LbOptions(), logs);
            var running = routes.Run(api, time, random, stop);
            return traffic is null ? running : Task.WhenAll(running, SimulatedClients.Balanced(routes, traffic, time, new Random(random.Next()), stop));
        }),
        new("dns", User.Dns, (api, _, time, random, stop) =>
        {
            var zones = new DnsZones(new DnsOptions(), logs);
            var running = zones.Run(api, time, random, stop);
            return traffic is null ? running : Task.WhenAll(running, SimulatedClients.Resolving(zones, traffic, time, new Random(random.Next()), stop));
        }),
    ];
}
