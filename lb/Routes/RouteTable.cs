using System.Collections.Immutable;
using Declarative.Lb.Marathon;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>
/// Everything the balancer routes, as one immutable snapshot: a change makes the next one at the cost of what changed, and a change of
/// endpoints alone swaps the snapshot of one <see cref="Cluster"/> and leaves the table as it is. One writer, any number of readers.
/// </summary>
public sealed class RouteTable
{
    private readonly ImmutableSortedDictionary<ServiceKey, Entry> _services;

    private readonly ImmutableSortedSet<ServiceKey> _checked;

    private RouteTable(
        ImmutableSortedDictionary<ServiceKey, Entry> services, ImmutableSortedSet<ServiceKey> withChecks, ImmutableSortedDictionary<ListenerKey, Listener> listeners, HostRules hosts,
        ImmutableSortedDictionary<ServiceKey, ImmutableSortedSet<DeploymentMember>> groups) =>
        (_services, _checked, Listeners, Hosts, Groups) = (services, withChecks, listeners, hosts, groups);

    public static RouteTable Empty { get; } = new(
        ImmutableSortedDictionary<ServiceKey, Entry>.Empty, [], ImmutableSortedDictionary<ListenerKey, Listener>.Empty, HostRules.Empty,
        ImmutableSortedDictionary<ServiceKey, ImmutableSortedSet<DeploymentMember>>.Empty);

    public ImmutableSortedDictionary<ListenerKey, Listener> Listeners { get; }

    internal HostRules Hosts { get; }

    /// <summary>Blue/green deployments, each with its colours, the old one first.</summary>
    internal ImmutableSortedDictionary<ServiceKey, ImmutableSortedSet<DeploymentMember>> Groups { get; }

    public IEnumerable<ServiceKey> Services => _services.Keys;

    public IEnumerable<Cluster> Clusters => _services.Values.SelectMany(x => x.Clusters);

    /// <summary>Those whose endpoints are asked whether they work.</summary>
    internal IEnumerable<Cluster> CheckedClusters => _checked.SelectMany(x => _services[x].Clusters).Where(x => x.Settings.Health is not null);

    /// <summary>The port of a Service by number, or by name where the number is 0; null where there is none.</summary>
    public Cluster? Cluster(ServiceKey service, int port, string name = "")
    {
        if (!_services.TryGetValue(service, out var entry)) return null;
        foreach (var cluster in entry.Clusters)
        {
            if (port == 0 ? cluster.Name == name : cluster.Number == port) return cluster;
        }
        return null;
    }

    /// <summary>null where the Service has more ports than one, or none.</summary>
    public Cluster? OnlyCluster(ServiceKey service) => _services.TryGetValue(service, out var entry) && entry.Clusters is [var only] ? only : null;

    internal ServiceRoutes? Routes(ServiceKey service) => _services.GetValueOrDefault(service)?.Routes;

    internal RouteTable With(HostRules hosts) => new(_services, _checked, Listeners, hosts, Groups);

    internal RouteTable Without(ServiceKey service, RouteChanges changes) =>
        _services.TryGetValue(service, out var old) ? With(new(service, "", old.Routes.Created, []), changes) : this;

    /// <summary>The table with this in the place of what the Service had.</summary>
    /// <param name="changes">Is told what else has to be done.</param>
    internal RouteTable With(ServiceRoutes routes, RouteChanges changes)
    {
        var old = _services.GetValueOrDefault(routes.Service);
        if (old is null && routes.Ports.IsEmpty) return this;
        var clusters = routes.Ports.Select(x => ClusterOf(old, routes.Service, x, changes.Time)).ToImmutableArray();
        for (var i = 0; i < clusters.Length; i++) Fill(clusters[i], routes.Ports[i].Endpoints, routes.Ports[i].Settings, changes);
        if (old is not null)
        {
            foreach (var gone in old.Clusters.Where(x => !clusters.Contains(x))) Fill(gone, [], PortSettings.Default, changes);
        }
        var services = routes.Ports.IsEmpty ? _services.Remove(routes.Service) : _services.SetItem(routes.Service, new(routes, clusters));
        var groups = Groups;
        if (old?.Routes.Member is { } before)
        {
            var left = groups[before.Group].Remove(before);
            groups = left.IsEmpty ? groups.Remove(before.Group) : groups.SetItem(before.Group, left);
        }
        if (routes.Member is { } member) groups = groups.SetItem(member.Group, (groups.GetValueOrDefault(member.Group) ?? []).Add(member));
        var hosts = Hosts;
        if (!routes.Rules.IsEmpty || hosts.Has(HostRules.KeyOf(routes.Service))) hosts = hosts.With(HostRules.KeyOf(routes.Service), routes.Rules);
        var withChecks = routes.Ports.Any(x => x.Settings.Backend.Health is not null) ? _checked.Add(routes.Service) : _checked.Remove(routes.Service);
        var listeners = old is not null && SameClaims(old, routes, clusters) ? Listeners : Claim(old, routes, clusters, changes);
        return new(services, withChecks, listeners, hosts, groups);
    }

    private static Cluster ClusterOf(Entry? old, ServiceKey service, PortRoute port, TimeProvider? time)
    {
        foreach (var cluster in old?.Clusters ?? [])
        {
            if (cluster.Number == port.Number && cluster.Name == port.Name && cluster.Mode == port.Mode) return cluster;
        }
        return new(service, port, time);
    }

    private static void Fill(Cluster cluster, ImmutableArray<EndpointRoute> endpoints, PortSettings settings, RouteChanges changes)
    {
        var before = cluster.Destinations;
        var all = new Destination[endpoints.Length];
        var ready = 0;
        var used = 0;
        for (var i = 0; i < all.Length; i++)
        {
            // Both are in the order of EndpointRoute, so that one pass finds what is kept.
            while (used < before.Count && Order(before[used], endpoints[i]) < 0) changes.Left(before[used++]);
            all[i] = used < before.Count && Order(before[used], endpoints[i]) == 0 ? before[used++] : changes.NewDestination(endpoints[i]);
            all[i].HealthPort = endpoints[i].HealthPort;
            if (endpoints[i].Terminating) changes.Terminating(all[i]);
            else changes.Open(all[i]);
            if (endpoints[i].Ready) ready++;
        }
        while (used < before.Count) changes.Left(before[used++]);
        var next = new Destination[ready];
        for (int i = 0, at = 0; i < all.Length; i++)
        {
            if (endpoints[i].Ready) next[at++] = all[i];
        }
        cluster.Swap(all, next, settings);
    }

    private static int Order(Destination a, EndpointRoute b) => new EndpointRoute(a.Address, a.Port, a.PodUid, "", false, false).CompareTo(b);

    private static bool SameClaims(Entry old, ServiceRoutes routes, ImmutableArray<Cluster> clusters) =>
        old.Routes.Uid == routes.Uid && old.Routes.Created == routes.Created && old.Clusters.AsSpan().SequenceEqual(clusters.AsSpan())
        && old.Routes.Ports.Zip(routes.Ports).All(x => x.First.Claims.AsSpan().SequenceEqual(x.Second.Claims.AsSpan()));

    private ImmutableSortedDictionary<ListenerKey, Listener> Claim(Entry? old, ServiceRoutes routes, ImmutableArray<Cluster> clusters, RouteChanges changes)
    {
        var touched = new SortedDictionary<ListenerKey, Listener?>();
        foreach (var key in (old?.Routes.Ports ?? []).SelectMany(x => x.Claims).Select(x => x.Listener))
        {
            if (!touched.ContainsKey(key)) touched[key] = Listeners[key].Without(routes.Service);
        }
        for (var i = 0; i < clusters.Length; i++)
        {
            foreach (var claim in routes.Ports[i].Claims)
            {
                var listener = touched.TryGetValue(claim.Listener, out var known) ? known : Listeners.GetValueOrDefault(claim.Listener);
                var contender = new Contender(claim.Held, routes.Created, routes.Uid, routes.Service, claim.Purpose, clusters[i]);
                touched[claim.Listener] = listener is null ? new(claim.Listener, [contender]) : listener.With(contender);
            }
        }
        var listeners = Listeners;
        foreach (var (key, listener) in touched)
        {
            foreach (var contender in listener?.Contenders ?? []) changes.StatusOf.Add(contender.Service);
            if (listener is null)
            {
                listeners = listeners.Remove(key);
                changes.Removed.Add(key);
            }
            else
            {
                listeners = listeners.SetItem(key, listener);
                changes.Set.Add(listener);
            }
        }
        return listeners;
    }

    private sealed record Entry(ServiceRoutes Routes, ImmutableArray<Cluster> Clusters);
}
