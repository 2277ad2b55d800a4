using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.StatefulSets;

/// <summary>StatefulSet → Pods, PersistentVolumeClaims and ControllerRevisions.</summary>
internal static class StatefulSetController
{
    public const string Name = "statefulset-controller";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var sets = new Informer<StatefulSet>(api, Kind.StatefulSet, StatefulSet.Read, time, random) { KeepJson = true, Logger = logger };
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = logger }
            .AddIndex(Ownership.ByController, Ownership.ControllerUid)
            .AddIndex(Ownership.Orphans, Ownership.OrphanNamespace);
        var revisions = new Informer<ControllerRevision>(api, Kind.ControllerRevision, ControllerRevision.Read, time, random) { KeepJson = true, Logger = logger }
            .AddIndex(Ownership.ByController, Ownership.ControllerUid);
        var claims = new Informer<ApiObject>(api, Kind.PersistentVolumeClaim, ApiObject.Read, time, random) { Logger = logger };
        var controller = new Controller<ObjectName>(Name, api, time, (key, _) => new(Compute(key)))
        {
            Views = [sets, pods, revisions, claims],
            Events = new(api, Name, time, random) { Logger = logger },
            Logger = logger,
        };
        sets.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        revisions.OnChange(change =>
        {
            if (change.Object.Metadata.Controller is { Kind: "StatefulSet" } owner) controller.Queue.Add(new(change.Object.Namespace, owner.Name));
        });
        claims.OnChange(change =>
        {
            // A pod of the set may wait for it to be gone.
            if (change.New is not null) return;
            foreach (var set in sets.ListNamespace(change.Object.Namespace))
            {
                if (set.Spec.VolumeClaimTemplates.Count > 0) controller.Queue.Add(ObjectName.Of(set));
            }
        });
        pods.OnChange(change =>
        {
            foreach (var pod in new[] { change.Old, change.New })
            {
                if (pod is null) continue;
                if (pod.Metadata.Controller is { Kind: "StatefulSet" } owner) controller.Queue.Add(new(pod.Namespace, owner.Name));
                else if (pod.Metadata.Controller is null)
                {
                    foreach (var set in sets.ListNamespace(pod.Namespace))
                    {
                        // Also a pod of the set's name that is another's: when it goes the name is free.
                        if (StatefulPods.Ordinal(set, pod) is not null) controller.Queue.Add(ObjectName.Of(set));
                    }
                }
            }
        });
        return controller.Run(stop);

        Plan Compute(ObjectName key)
        {
            if (sets.Entry(key.Namespace, key.Name) is not { } entry) return Plan.Nothing;
            return StatefulSetPlan.Compute(
                entry.Object, entry.Json, TemplateJson.Of(entry.Json),
                pods.ByIndex(Ownership.ByController, entry.Uid), pods.ByIndex(Ownership.Orphans, key.Namespace),
                [.. revisions.EntriesByIndex(Ownership.ByController, entry.Uid).Select(StoredRevision.Of)],
                name => revisions.Get(key.Namespace, name) is not null, name => claims.Get(key.Namespace, name), time.GetUtcNow());
        }
    }
}
