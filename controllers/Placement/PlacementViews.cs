using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Controllers.Placement.Desk;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Placement;

/// <summary>What Placement sees of the API. It is followed while another process leads too, so that a take-over begins with all that is known.</summary>
internal sealed class PlacementViews
{
    /// <summary>All that was written in an earlier term is waited for when a term begins: the views say how far they are this often.</summary>
    private static readonly TimeSpan TellEvery = TimeSpan.FromMilliseconds(200);

    private readonly Informer<Pod> _pods;
    private readonly Informer<Node> _nodes;
    private readonly Informer<TrafficReport> _reports;
    private readonly Informer<Namespace> _namespaces;
    private readonly Informer<PersistentVolumeClaim> _claims;
    private readonly Informer<PersistentVolume> _volumes;
    private readonly Informer<StorageClass> _classes;

    public PlacementViews(IApi api, TimeProvider time, Random random, ILogger logger)
    {
        _pods = View<Pod>(Kind.Pod, Pod.Read);
        _nodes = View<Node>(Kind.Node, Node.Read);
        ReplicaSets = View<ApiObject>(Kind.ReplicaSet, ApiObject.Read);
        _reports = View<TrafficReport>(Kind.TrafficReport, TrafficReport.Read);
        Budgets = View<PodDisruptionBudget>(Kind.PodDisruptionBudget, PodDisruptionBudget.Read);
        _namespaces = View<Namespace>(Kind.Namespace, Namespace.Read);
        _claims = View<PersistentVolumeClaim>(Kind.PersistentVolumeClaim, PersistentVolumeClaim.Read);
        _volumes = View<PersistentVolume>(Kind.PersistentVolume, PersistentVolume.Read);
        _classes = View<StorageClass>(Kind.StorageClass, StorageClass.Read);

        Informer<T> View<T>(Kind kind, Func<ReadOnlyMemory<byte>, T> read) where T : ApiObject =>
            new(api, kind, read, time, random) { Logger = logger, BookmarkEvery = TellEvery };
    }

    public Informer<ApiObject> ReplicaSets { get; }
    public Informer<PodDisruptionBudget> Budgets { get; }

    private IReadOnlyList<Informer> All => [_nodes, _namespaces, _classes, _volumes, _claims, ReplicaSets, _reports, Budgets, _pods];

    public Task Run(CancellationToken stop) => Task.WhenAll(All.Select(x => x.Run(stop)));

    /// <summary>Waits until every object is known as it was written up to the revision. False when stopped.</summary>
    public async Task<bool> Show(long revision, CancellationToken stop)
    {
        var stopped = Completion.New();
        using var registration = stop.Register(() => stopped.TrySetResult());
        List<Task> shown = [.. All.Select(x => x.Synced), .. All.Select(x => Reached(x, revision, stop))];
        foreach (var view in shown)
        {
            if (await Task.WhenAny(view, stopped.Task) == stopped.Task) return false;
        }
        return !stop.IsCancellationRequested;
    }

    private static async Task Reached(Informer view, long revision, CancellationToken stop)
    {
        try
        {
            await view.WaitFor(revision, stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
    }

    /// <summary>Tells the desk of all that there is and of each change, until what is returned is disposed of.</summary>
    public IDisposable Attach(PlacementDesk desk) => new Attached(
    [
        _namespaces.Attach(desk.NamespaceChanged),
        _classes.Attach(desk.ClassChanged),
        _volumes.Attach(desk.VolumeChanged),
        _claims.Attach(desk.ClaimChanged),
        _nodes.Attach(desk.NodeChanged),
        _reports.Attach(desk.ReportChanged),
        _pods.Attach(desk.PodChanged),
    ]);

    private sealed class Attached(IReadOnlyList<IDisposable> views) : IDisposable
    {
        public void Dispose()
        {
            foreach (var view in views) view.Dispose();
        }
    }
}
