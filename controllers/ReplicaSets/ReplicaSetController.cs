using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.ReplicaSets;

/// <summary>ReplicaSet → Pods.</summary>
internal static class ReplicaSetController
{
    public const string Name = "replicaset-controller";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop) =>
        Run(Name, Kind.ReplicaSet, ReplicaSet.Read, api, time, random, logger, stop);

    /// <summary>The same for another kind whose wishes are those of a ReplicaSet.</summary>
    public static Task Run(
        string name, Kind kind, Func<ReadOnlyMemory<byte>, ReplicaSet> read, IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var sets = new Informer<ReplicaSet>(api, kind, read, time, random) { KeepJson = true, Logger = logger };
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = logger }
            .AddIndex(Ownership.ByController, Ownership.ControllerUid)
            .AddIndex(Ownership.Orphans, Ownership.OrphanNamespace);
        var rests = new Rests();
        var controller = new Controller<ObjectName>(name, api, time, (key, _) => new(Compute(key)))
        {
            Views = [sets, pods],
            Events = new(api, name, time, random) { Logger = logger },
            Rest = key => rests.After(key, sets.Get(key.Namespace, key.Name)?.Spec.Replicas ?? 0),
            Logger = logger,
        };
        sets.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        pods.OnChange(change =>
        {
            foreach (var pod in new[] { change.Old, change.New })
            {
                if (pod is null) continue;
                if (pod.Metadata.Controller is { } owner && owner.Kind == kind.Name) controller.Queue.Add(new(pod.Namespace, owner.Name));
                else if (pod.Metadata.Controller is null && !pod.Metadata.IsDeleting)
                {
                    foreach (var set in sets.ListNamespace(pod.Namespace))
                    {
                        if (set.Spec.Selector.ToSelector().Matches(pod.Metadata.Labels)) controller.Queue.Add(ObjectName.Of(set));
                    }
                }
            }
        });
        return controller.Run(stop);

        Plan Compute(ObjectName key)
        {
            if (sets.Entry(key.Namespace, key.Name) is not { } entry) return Plan.Nothing;
            return rests.Note(key, ReplicaSetPlan.Compute(
                kind, entry.Object, () => TemplateJson.Of(entry.Json), pods.ByIndex(Ownership.ByController, entry.Uid), pods.ByIndex(Ownership.Orphans, key.Namespace), time.GetUtcNow()),
                isNew: entry.Object.Status.ObservedGeneration != entry.Object.Metadata.Generation);
        }
    }
}
