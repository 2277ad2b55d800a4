using Declarative.Api;
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

    /// <summary>Another leads for so long already that this process is a standby.</summary>
    private static readonly TimeSpan StandbyAfter = TimeSpan.FromSeconds(1);

    /// <summary>So long the views may take in a new term to show what was written before it.</summary>
    private static readonly TimeSpan ShownMax = TimeSpan.FromSeconds(5);

    public async Task Run(IApi api, IMaster master, TimeProvider time, Random random, CancellationToken stop)
    {
        var lease = new LeaderLease(api, Identity.Namespace, "placement", options.Identity, time, random, options.Lease) { Logger = Logger };
        var views = new PlacementViews(api, time, random, Logger);
        var begun = Completion.New();
        using var stopping = stop.Register(() => begun.TrySetResult());
        await using var standby = time.CreateTimer(_ => begun.TrySetResult(), null, StandbyAfter, Timeout.InfiniteTimeSpan);
        var viewing = View();
        await lease.Run(term =>
        {
            begun.TrySetResult();
            return Lead(views, api, master, time, random, lease, term);
        }, stop);
        await viewing;

        // Begun with the first term: what is listed then is newer than any other's writes and need not be waited for.
        async Task View()
        {
            await begun.Task;
            await views.Run(stop);
        }
    }

    private async Task Lead(PlacementViews views, IApi api, IMaster master, TimeProvider time, Random random, LeaderLease lease, CancellationToken term)
    {
        var events = new EventRecorder(api, "placement", time, random) { Logger = Logger };
        var identity = new Identity(api, options);
        using var desk = new PlacementDesk(new(api, master, options, time, random, Logger)
        {
            Events = events,
            Agents = agents,
            Counters = Counters,
            Identity = identity,
            MayAct = () => lease.MayAct,
            ReplicaSet = (ns, name) => views.ReplicaSets.Get(ns, name),
            Budgets = () => views.Budgets.List(),
        });
        var recording = events.Run(term);
        if (await Known(identity, time, term))
        {
            // Where the views do not come up to date, their watches are stuck: the term has views of its own then, which list all anew.
            using var listing = CancellationTokenSource.CreateLinkedTokenSource(term);
            var anew = Task.CompletedTask;
            if (!await Shown(views, lease.TakenAt, time, term) && !term.IsCancellationRequested)
            {
                Log.ListedAnew(Logger, ShownMax);
                views = new(api, time, random, Logger);
                anew = views.Run(listing.Token);
            }
            try
            {
                if (await views.Show(lease.TakenAt, term))
                {
                    using var shown = views.Attach(desk);
                    await desk.Run(term);
                }
            }
            finally
            {
                listing.Cancel();
                await anew;
            }
        }
        await recording;
    }

    /// <summary>Whether the views show all up to the revision in time.</summary>
    private static async Task<bool> Shown(PlacementViews views, long revision, TimeProvider time, CancellationToken stop)
    {
        using var late = new CancellationTokenSource(ShownMax, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop, late.Token);
        return await views.Show(revision, end.Token);
    }

    /// <summary>Waits until it is known who we are. False when stopped.</summary>
    private async Task<bool> Known(Identity identity, TimeProvider time, CancellationToken stop)
    {
        for (var failures = 0; ; failures++)
        {
            try
            {
                await identity.Read(stop);
                return true;
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
    }
}
