using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement.Desk;
using Declarative.Mesos.Scheduler;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Controllers.Placement;

/// <summary>
/// Brings pods to Mesos agents and their tasks' states back into the pods' statuses; the only part that speaks the scheduler API.
/// While it holds Lease kube-system/placement it subscribes under the stored framework id, adopts what runs, and places what waits.
/// </summary>
/// <param name="agents">Where agents seen in offers are noted for <see cref="NodesController"/>, which must run too: a pod is placed on Node objects.</param>
public sealed class PlacementController(PlacementOptions options, AgentFeed agents)
{
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>What happened how often since this object was made.</summary>
    public PlacementCounters Counters { get; } = new();

    public async Task Run(IApi api, IMaster master, TimeProvider time, Random random, CancellationToken stop)
    {
        var lease = new LeaderLease(api, Identity.Namespace, "placement", options.Identity, time, random, options.Lease) { Logger = Logger };
        await lease.Run(term => Lead(api, master, time, random, () => lease.MayAct, term), stop);
    }

    private async Task Lead(IApi api, IMaster master, TimeProvider time, Random random, Func<bool> mayAct, CancellationToken stop)
    {
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = Logger };
        var nodes = new Informer<Node>(api, Kind.Node, Node.Read, time, random) { Logger = Logger };
        var replicaSets = new Informer<Api.Objects.ApiObject>(api, Kind.ReplicaSet, Api.Objects.ApiObject.Read, time, random) { Logger = Logger };
        var reports = new Informer<TrafficReport>(api, Kind.TrafficReport, TrafficReport.Read, time, random) { Logger = Logger };
        var budgets = new Informer<PodDisruptionBudget>(api, Kind.PodDisruptionBudget, PodDisruptionBudget.Read, time, random) { Logger = Logger };
        var namespaces = new Informer<Namespace>(api, Kind.Namespace, Namespace.Read, time, random) { Logger = Logger };
        var claims = new Informer<PersistentVolumeClaim>(api, Kind.PersistentVolumeClaim, PersistentVolumeClaim.Read, time, random) { Logger = Logger };
        var volumes = new Informer<PersistentVolume>(api, Kind.PersistentVolume, PersistentVolume.Read, time, random) { Logger = Logger };
        var classes = new Informer<StorageClass>(api, Kind.StorageClass, StorageClass.Read, time, random) { Logger = Logger };
        var events = new EventRecorder(api, "placement", time, random) { Logger = Logger };
        var identity = new Identity(api, options);
        using var desk = new PlacementDesk(new(api, master, options, time, random, Logger)
        {
            Events = events,
            Agents = agents,
            Counters = Counters,
            Identity = identity,
            MayAct = mayAct,
            ReplicaSet = replicaSets.Get,
            Budgets = () => budgets.List(),
        });
        namespaces.OnChange(desk.NamespaceChanged);
        claims.OnChange(desk.ClaimChanged);
        volumes.OnChange(desk.VolumeChanged);
        classes.OnChange(desk.ClassChanged);
        pods.OnChange(desk.PodChanged);
        nodes.OnChange(desk.NodeChanged);
        reports.OnChange(desk.ReportChanged);
        List<Informer> views = [nodes, namespaces, classes, volumes, claims, replicaSets, reports, budgets, pods];
        List<Task> running = [.. views.Select(x => x.Run(stop)), events.Run(stop)];
        if (await Ready(identity, views, time, stop)) await desk.Run(stop);
        foreach (var task in running) await task;
    }

    /// <summary>Waits until what is stored is known: who we are, and every pod and task that was there before. False when stopped.</summary>
    private async Task<bool> Ready(Identity identity, List<Informer> views, TimeProvider time, CancellationToken stop)
    {
        for (var failures = 0; ; failures++)
        {
            try
            {
                await identity.Read(stop);
                break;
            }
            catch (Exception e) when (e is not OperationCanceledException || !stop.IsCancellationRequested) // an outage of the API
            {
                var delay = Client.Backoff.Exponential(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5), failures);
                Log.WriteFailed(Logger, identity.ConfigMapName, delay, e.Message);
                await Task.Delay(delay, time, stop);
            }
            catch (OperationCanceledException)
            {
                return false;
            }
        }
        var stopped = Completion.New();
        using var registration = stop.Register(() => stopped.TrySetResult());
        foreach (var view in views)
        {
            if (await Task.WhenAny(view.Synced, stopped.Task) == stopped.Task) return false;
        }
        return true;
    }
}
