using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Deployments;

/// <summary>Deployment → ReplicaSets.</summary>
internal static class DeploymentController
{
    public const string Name = "deployment-controller";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var deployments = new Informer<Deployment>(api, Kind.Deployment, Deployment.Read, time, random) { KeepJson = true, Logger = logger };
        var sets = new Informer<ReplicaSet>(api, Kind.ReplicaSet, ReplicaSet.Read, time, random) { KeepJson = true, Logger = logger }
            .AddIndex(Ownership.ByController, Ownership.ControllerUid)
            .AddIndex(Ownership.Orphans, Ownership.OrphanNamespace);
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = logger }.AddIndex(Ownership.ByController, Ownership.ControllerUid);
        var rests = new Rests();
        var controller = new Controller<ObjectName>(Name, api, time, (key, _) => new(Compute(key)))
        {
            Views = [deployments, sets, pods],
            Events = new(api, Name, time, random) { Logger = logger },
            Rest = key => rests.After(key, deployments.Get(key.Namespace, key.Name)?.Spec.Replicas ?? 0),
            Logger = logger,
        };
        deployments.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        sets.OnChange(change =>
        {
            foreach (var set in new[] { change.Old, change.New })
            {
                if (set is null) continue;
                if (set.Metadata.Controller is { Kind: "Deployment" } owner) controller.Queue.Add(new(set.Namespace, owner.Name));
                else if (set.Metadata.Controller is null)
                {
                    foreach (var deployment in deployments.ListNamespace(set.Namespace))
                    {
                        if (deployment.Spec.Selector.ToSelector().Matches(set.Metadata.Labels)) controller.Queue.Add(ObjectName.Of(deployment));
                    }
                }
            }
        });
        // Only Recreate waits for pods; all else it learns from its sets.
        pods.OnChange(change =>
        {
            if (change.New is { IsFinished: false } || change.Object.Metadata.Controller is not { Kind: "ReplicaSet" } owner) return;
            if (sets.Get(change.Object.Namespace, owner.Name)?.Metadata.Controller is { Kind: "Deployment" } deployment) controller.Queue.Add(new(change.Object.Namespace, deployment.Name));
        });
        return controller.Run(stop);

        Plan Compute(ObjectName key)
        {
            if (deployments.Entry(key.Namespace, key.Name) is not { } entry) return Plan.Nothing;
            return rests.Note(key, DeploymentPlan.Compute(
                entry.Object,
                TemplateJson.Of(entry.Json),
                [.. sets.EntriesByIndex(Ownership.ByController, entry.Uid).Select(OwnedSet.Of)],
                sets.ByIndex(Ownership.Orphans, key.Namespace),
                name => sets.Get(key.Namespace, name) is not null,
                set => pods.ByIndex(Ownership.ByController, set.Uid).Count(x => !x.IsFinished),
                time.GetUtcNow()), isNew: entry.Object.Status.ObservedGeneration != entry.Object.Metadata.Generation);
        }
    }
}
