using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.ReplicaSets;

/// <summary>Keeps the number of active pods at spec.replicas and counts them in the status.</summary>
internal static class ReplicaSetPlan
{
    /// <summary>Pods created or deleted in one plan, as Kubernetes bounds it.</summary>
    public const int BurstPodsMax = 500;

    private const string ReplicaFailure = "ReplicaFailure";

    /// <param name="kind">ReplicaSet, or ReplicationController that is read as one.</param>
    /// <param name="template">Asked for only where pods are to be made.</param>
    /// <param name="owned">Pods that name this set as their controller.</param>
    /// <param name="orphans">Pods of the namespace without a controller.</param>
    public static Plan Compute(Kind kind, ReplicaSet set, Func<TemplateJson> template, IReadOnlyList<Pod> owned, IReadOnlyList<Pod> orphans, DateTimeOffset now)
    {
        var claim = Ownership.Claim(kind, set, set.Spec.Selector.ToSelector(), Kind.Pod, owned, orphans);
        var active = claim.Mine.Where(x => x.IsActive()).ToList();
        // Adopted pods count once they are ours: they come back through the view.
        var missing = claim.Changes.Count > 0 || set.Metadata.IsDeleting ? 0 : set.Spec.Replicas - active.Count;
        var changes = new List<Change>(claim.Changes);
        var status = Status(kind, set, active, missing, now, out var lookAgainIn);
        if (status is not null) changes.Add(status);
        if (missing > 0)
        {
            var count = Math.Min(missing, BurstPodsMax);
            var pod = template().Pod(set.Name + "-", set.Namespace, kind, set);
            for (var i = 0; i < count; i++) changes.Add(Change.Create(ResourceKey.Of(Kind.Pod, set.Namespace, ""), pod));
        }
        else if (missing < 0)
        {
            var count = Math.Min(-missing, BurstPodsMax);
            foreach (var pod in DeletionOrder.First(active).Take(count)) changes.Add(Change.Delete(ResourceKey.Of(Kind.Pod, pod.Namespace, pod.Name), pod.Uid));
        }
        return new()
        {
            Changes = changes,
            LookAgainIn = lookAgainIn,
            Tell = applied => Told(kind, set, applied),
            OnRefused = applied => Refused(kind, set, applied, now),
        };
    }

    private static Patch? Status(Kind kind, ReplicaSet set, List<Pod> active, int missing, DateTimeOffset now, out TimeSpan? lookAgainIn)
    {
        lookAgainIn = null;
        var template = LabelSelector.Of(set.Spec.Template.Metadata.Labels);
        var (labelled, ready, available) = (0, 0, 0);
        foreach (var pod in active)
        {
            if (template.Matches(pod.Metadata.Labels)) labelled++;
            if (pod.IsReady) ready++;
            if (pod.IsAvailable(set.Spec.MinReadySeconds, now, out var left)) available++;
            if (left is not null && (lookAgainIn is null || left < lookAgainIn)) lookAgainIn = left;
        }
        var old = set.Status;
        var conditions = missing == 0 ? old.Conditions.Without(ReplicaFailure) : old.Conditions;
        if (old.Replicas == active.Count && old.FullyLabeledReplicas == labelled && old.ReadyReplicas == ready && old.AvailableReplicas == available
            && old.ObservedGeneration == set.Metadata.Generation && ReferenceEquals(conditions, old.Conditions)) return null;
        return Change.Merge(ResourceKey.Of(kind, set.Namespace, set.Name), Body.Status(json =>
        {
            json.WriteNumber("replicas"u8, active.Count);
            json.NumberOrNull("fullyLabeledReplicas", labelled);
            json.NumberOrNull("readyReplicas", ready);
            json.NumberOrNull("availableReplicas", available);
            json.WriteNumber("observedGeneration"u8, set.Metadata.Generation);
            if (!ReferenceEquals(conditions, old.Conditions)) json.Conditions(conditions);
        }), "status");
    }

    private static EventNote? Told(Kind kind, ReplicaSet set, Applied applied) => applied.Change switch
    {
        Create => EventNote.Normal(Body.Reference(kind, set), "SuccessfulCreate", $"Created pod: {applied.Written!.Key.Name}"),
        Delete => EventNote.Normal(Body.Reference(kind, set), "SuccessfulDelete", $"Deleted pod: {applied.Change.Key.Name}"),
        _ => null,
    };

    private static Plan Refused(Kind kind, ReplicaSet set, Applied applied, DateTimeOffset now)
    {
        var reason = applied.Change is Delete ? "FailedDelete" : "FailedCreate";
        var verb = applied.Change is Delete ? "deleting" : "creating";
        if (applied.Change is not (Create or Delete)) return Plan.Nothing;
        var conditions = set.Status.Conditions.With(ReplicaFailure, "True", reason, applied.Error!.Message, now, hasUpdateTime: false);
        return new()
        {
            Changes = ReferenceEquals(conditions, set.Status.Conditions)
                ? [] : [Change.Merge(ResourceKey.Of(kind, set.Namespace, set.Name), Body.Status(json => json.Conditions(conditions)), "status")],
            Events = [EventNote.Warning(Body.Reference(kind, set), reason, $"Error {verb}: {applied.Error.Message}")],
        };
    }
}
