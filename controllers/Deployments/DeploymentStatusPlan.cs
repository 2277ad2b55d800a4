using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Deployments;

/// <summary>The counts and the conditions Available, Progressing and ReplicaFailure, with the reasons that kubectl rollout status and wait look for.</summary>
internal static class DeploymentStatusPlan
{
    private const string Available = "Available";
    private const string Progressing = "Progressing";
    private const string ReplicaFailure = "ReplicaFailure";
    private const string IsAvailableReason = "NewReplicaSetAvailable";
    private const string TimedOutReason = "ProgressDeadlineExceeded";
    private const string PausedReason = "DeploymentPaused";

    /// <summary>Every pod is of the new set and available. Before the server has seen the newest spec this is not known.</summary>
    public static bool IsComplete(Rollout rollout) => rollout.New is not null && IsComplete(rollout, Count(rollout));

    /// <summary>Adds the status' patch where something differs. Returns when the progress deadline has to be looked at again.</summary>
    public static TimeSpan? Add(Rollout rollout)
    {
        var deployment = rollout.Deployment;
        var old = deployment.Status;
        var status = Count(rollout);
        var conditions = Availability(rollout, status);
        conditions = Progress(rollout, status, conditions, out var lookAgainIn);
        conditions = Failure(rollout, conditions);
        if (old.ObservedGeneration == status.ObservedGeneration && old.Replicas == status.Replicas && old.UpdatedReplicas == status.UpdatedReplicas
            && old.ReadyReplicas == status.ReadyReplicas && old.AvailableReplicas == status.AvailableReplicas
            && old.UnavailableReplicas == status.UnavailableReplicas && old.CollisionCount == rollout.CollisionCount && conditions.SequenceEqual(old.Conditions)) return lookAgainIn;
        rollout.Changes.Add(Change.Merge(ResourceKey.Of(Kind.Deployment, deployment.Namespace, deployment.Name), Body.Status(json =>
        {
            json.WriteNumber("observedGeneration"u8, status.ObservedGeneration);
            json.NumberOrNull("replicas", status.Replicas);
            json.NumberOrNull("updatedReplicas", status.UpdatedReplicas);
            json.NumberOrNull("readyReplicas", status.ReadyReplicas);
            json.NumberOrNull("availableReplicas", status.AvailableReplicas);
            json.NumberOrNull("unavailableReplicas", status.UnavailableReplicas);
            if (rollout.CollisionCount is { } collisions) json.WriteNumber("collisionCount"u8, collisions);
            json.Conditions(conditions);
        }), "status"));
        return lookAgainIn;
    }

    private static DeploymentStatus Count(Rollout rollout)
    {
        var sets = rollout.All.Select(x => x.Set.Status).ToList();
        var available = sets.Sum(x => x.AvailableReplicas);
        return new()
        {
            ObservedGeneration = rollout.Deployment.Metadata.Generation,
            Replicas = sets.Sum(x => x.Replicas),
            UpdatedReplicas = rollout.New?.Set.Status.Replicas ?? 0,
            ReadyReplicas = sets.Sum(x => x.ReadyReplicas),
            AvailableReplicas = available,
            UnavailableReplicas = Math.Max(0, rollout.Total - available),
        };
    }

    private static bool IsComplete(Rollout rollout, DeploymentStatus status) =>
        status.UpdatedReplicas == rollout.Wanted && status.Replicas == rollout.Wanted && status.AvailableReplicas == rollout.Wanted;

    private static IReadOnlyList<Condition> Availability(Rollout rollout, DeploymentStatus status) =>
        status.AvailableReplicas >= rollout.Wanted - rollout.MaxUnavailable
            ? rollout.Conditions.With(Available, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", rollout.Now)
            : rollout.Conditions.With(Available, "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", rollout.Now);

    private static IReadOnlyList<Condition> Progress(
        Rollout rollout, DeploymentStatus status, IReadOnlyList<Condition> conditions, out TimeSpan? lookAgainIn)
    {
        lookAgainIn = null;
        // The largest int is Kubernetes' way to say: no deadline.
        if (rollout.Deployment.Spec.ProgressDeadlineSeconds is not ({ } seconds and < int.MaxValue)) return conditions.Without(Progressing);
        var now = rollout.Now;
        var current = conditions.Find(Progressing);
        if (rollout.Deployment.Spec.Paused) return conditions.With(Progressing, "Unknown", PausedReason, "Deployment is paused", now);
        if (current?.Reason == PausedReason)
        {
            lookAgainIn = TimeSpan.FromSeconds(seconds);
            return conditions.With(Progressing, "Unknown", "DeploymentResumed", "Deployment is resumed", now);
        }
        if (rollout.CreatedName.Length > 0)
        {
            lookAgainIn = TimeSpan.FromSeconds(seconds);
            return conditions.With(Progressing, "True", "NewReplicaSetCreated", $"Created new replica set \"{rollout.CreatedName}\"", now, touch: true);
        }
        var name = rollout.New is { } set ? $"ReplicaSet \"{set.Name}\"" : $"Deployment \"{rollout.Deployment.Name}\"";
        // Complete before and no new roll-out since: pods that come and go later are no matter of progress.
        if (current?.Reason == IsAvailableReason && status.Replicas == status.UpdatedReplicas && rollout.New is not null) return conditions;
        if (rollout.New is not null && IsComplete(rollout, status)) return conditions.With(Progressing, "True", IsAvailableReason, $"{name} has successfully progressed.", now, touch: true);
        var old = rollout.Deployment.Status;
        if (status.UpdatedReplicas > old.UpdatedReplicas || status.Replicas - status.UpdatedReplicas < old.Replicas - old.UpdatedReplicas
            || status.ReadyReplicas > old.ReadyReplicas || status.AvailableReplicas > old.AvailableReplicas)
        {
            lookAgainIn = TimeSpan.FromSeconds(seconds);
            return conditions.With(Progressing, "True", "ReplicaSetUpdated", $"{name} is progressing.", now, touch: true);
        }
        if (current is null)
        {
            lookAgainIn = TimeSpan.FromSeconds(seconds);
            return rollout.New is null ? conditions : conditions.With(Progressing, "True", "FoundNewReplicaSet", $"Found new replica set \"{rollout.New.Name}\"", now);
        }
        if (current.Reason is IsAvailableReason)
        {
            // A set that was made earlier became the current one: its clock starts now.
            lookAgainIn = TimeSpan.FromSeconds(seconds);
            return conditions.With(Progressing, "True", "FoundNewReplicaSet", $"Found new replica set \"{rollout.New?.Name}\"", now);
        }
        if (current.Reason is TimedOutReason) return conditions;
        var left = (current.LastUpdateTime ?? now).AddSeconds(seconds) - now;
        if (left <= TimeSpan.Zero) return conditions.With(Progressing, "False", TimedOutReason, $"{name} has timed out progressing.", now);
        lookAgainIn = left;
        return conditions;
    }

    private static IReadOnlyList<Condition> Failure(Rollout rollout, IReadOnlyList<Condition> conditions)
    {
        var failure = rollout.All.Reverse().Select(x => x.Set.Status.Conditions.Find(ReplicaFailure)).FirstOrDefault(x => x is { IsTrue: true });
        return failure is null ? conditions.Without(ReplicaFailure)
            : conditions.With(ReplicaFailure, "True", failure.Reason, failure.Message, rollout.Now, touch: conditions.Find(ReplicaFailure)?.Message != failure.Message);
    }
}
