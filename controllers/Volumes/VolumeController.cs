using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Nodes;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Volumes;

/// <summary>
/// PersistentVolumeClaims, their PersistentVolumes and the storage classes, as far as the API goes. Placement selects the node of a claim and does
/// at Mesos what the volumes say: RESERVE and CREATE, GROW_VOLUME, DESTROY and UNRESERVE.
/// </summary>
internal static class VolumeController
{
    public const string Name = "persistentvolume-controller";

    private const string ByClaim = "claim";
    private const string ByProvider = "providerID";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var claims = new Informer<PersistentVolumeClaim>(api, Kind.PersistentVolumeClaim, PersistentVolumeClaim.Read, time, random) { Logger = logger };
        var volumes = new Informer<PersistentVolume>(api, Kind.PersistentVolume, PersistentVolume.Read, time, random) { Logger = logger }.AddIndex(ByClaim, static x => x.Spec.ClaimRef is { Uid.Length: > 0 } of && MesosVolume.IsOurs(x) ? of.Uid : null);
        var classes = new Informer<StorageClass>(api, Kind.StorageClass, StorageClass.Read, time, random) { Logger = logger };
        var nodes = new Informer<Node>(api, Kind.Node, Node.Read, time, random) { Logger = logger }.AddIndex(ByProvider, static x => x.Spec.ProviderID.Length > 0 ? x.Spec.ProviderID : null);
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = logger }.AddIndex(ByClaim, ClaimsOf);
        var controller = new Controller<ObjectName>(Name, api, time, Compute)
        {
            Views = [claims, volumes, classes, nodes, pods],
            Events = new EventRecorder(api, Name, time, random) { Logger = logger },
            Logger = logger,
        };
        claims.OnChange(change =>
        {
            controller.Queue.Add(ObjectName.Of(change.Object));
            foreach (var volume in volumes.ByIndex(ByClaim, change.Object.Uid)) controller.Queue.Add(Cluster(volume.Name));
            if (change.Object.Spec.VolumeName.Length > 0) controller.Queue.Add(Cluster(change.Object.Spec.VolumeName));
        });
        volumes.OnChange(change =>
        {
            controller.Queue.Add(Cluster(change.Object.Name));
            if (change.Object.Spec.ClaimRef is { Name.Length: > 0 } claim) controller.Queue.Add(new(claim.Namespace, claim.Name));
        });
        classes.OnChange(_ =>
        {
            foreach (var claim in claims.List().Where(x => !x.IsBound)) controller.Queue.Add(ObjectName.Of(claim));
        });
        nodes.OnChange(change =>
        {
            if (change.Old is not null && change.New is not null && change.Old.Spec.ProviderID == change.New.Spec.ProviderID && NodePlan.IsGone(change.Old) == NodePlan.IsGone(change.New)) return;
            foreach (var claim in claims.List().Where(x => x.Metadata.Annotations.GetValueOrDefault(MesosVolume.SelectedNode) == change.Object.Name)) controller.Queue.Add(ObjectName.Of(claim));
            foreach (var volume in volumes.List().Where(x => MesosVolume.NodeOf(x) == change.Object.Name))
            {
                controller.Queue.Add(Cluster(volume.Name));
                if (volume.Spec.ClaimRef is { Name.Length: > 0 } of) controller.Queue.Add(new(of.Namespace, of.Name));
            }
        });
        pods.OnChange(change =>
        {
            foreach (var claim in ClaimsOf(change.Object)) controller.Queue.Add(new(change.Object.Namespace, claim[(claim.IndexOf('/', StringComparison.Ordinal) + 1)..]));
        });
        return Task.WhenAll(controller.Run(stop), StandardClasses.Make(api, time, logger, stop));

        async ValueTask<Plan> Compute(ObjectName key, CancellationToken stop)
        {
            if (key.Namespace.Length == 0)
            {
                if (volumes.Get("", key.Name) is not { } volume) return Plan.Nothing;
                return VolumePlan.Compute(volume, MesosVolume.IsOurs(volume) && volume.Spec.ClaimRef is { Name.Length: > 0 } of ? await ClaimOf(of, stop) : null, IsLost(volume), NodeOf(volume));
            }
            if (claims.Get(key.Namespace, key.Name) is not { } claim) return Plan.Nothing;
            var made = volumes.ByIndex(ByClaim, claim.Uid).ToList();
            var bound = claim.Spec.VolumeName.Length > 0 ? volumes.Get("", claim.Spec.VolumeName) : made.Find(x => !x.Metadata.IsDeleting);
            var view = new ClaimView(claim, classes.List(), bound, [.. made.Where(x => x.Name != bound?.Name)],
                claim.Metadata.Annotations.TryGetValue(MesosVolume.SelectedNode, out var node) ? nodes.Get("", node) : null,
                pods.ByIndex(ByClaim, $"{claim.Namespace}/{claim.Name}").Any(x => x.Spec.NodeName.Length > 0 && !x.IsFinished),
                bound is null ? null : IsLost(bound), bound is null ? null : NodeOf(bound), x => volumes.Get("", x) is not null);
            return ClaimPlan.Compute(view, time.GetUtcNow());
        }

        // Without any node nothing is known: somebody may have deleted it.
        bool? IsLost(PersistentVolume volume) => MesosVolume.IsLost(
            volume, nodes.ByIndex(ByProvider, NodePlan.ProviderId(MesosVolume.AgentOf(volume))).FirstOrDefault(), NodeOf(volume));

        Node? NodeOf(PersistentVolume volume) => MesosVolume.NodeOf(volume) is { Length: > 0 } name ? nodes.Get("", name) : null;

        // The view of claims may be behind that of volumes: only the API says that a claim is gone, since its data go with it.
        async ValueTask<PersistentVolumeClaim?> ClaimOf(ObjectReference of, CancellationToken stop)
        {
            if (claims.Get(of.Namespace, of.Name) is { } seen && seen.Uid == of.Uid) return seen;
            try
            {
                return PersistentVolumeClaim.Read((await api.Get(ResourceKey.Of(Kind.PersistentVolumeClaim, of.Namespace, of.Name), stop: stop)).Json);
            }
            catch (ApiException e) when (e.IsNotFound)
            {
                return null;
            }
        }
    }

    private static ObjectName Cluster(string volume) => new("", volume);

    private static IEnumerable<string> ClaimsOf(Pod pod)
    {
        foreach (var volume in pod.Spec.Volumes)
        {
            if (volume.PersistentVolumeClaim is { ClaimName.Length: > 0 } claim) yield return $"{pod.Namespace}/{claim.ClaimName}";
        }
    }
}
