using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.StatefulSets;

/// <summary>The counts of a StatefulSet, and which of its revisions is current.</summary>
internal static class StatefulStatus
{
    public static Patch? Of(StatefulSet set, IReadOnlyList<Pod> pods, StoredRevision current, StoredRevision update, DateTimeOffset now, out TimeSpan? lookAgainIn)
    {
        lookAgainIn = null;
        var (replicas, ready, available, ofCurrent, ofUpdate) = (0, 0, 0, 0, 0);
        foreach (var pod in pods)
        {
            if (pod.IsFinished) continue;
            replicas++;
            if (pod.IsReady) ready++;
            if (pod.IsAvailable(set.Spec.MinReadySeconds, now, out var left)) available++;
            if (left is not null && (lookAgainIn is null || left < lookAgainIn)) lookAgainIn = left;
            if (pod.Metadata.IsDeleting) continue;
            if (pod.Revision() == current.Name) ofCurrent++;
            if (pod.Revision() == update.Name) ofUpdate++;
        }
        var currentName = current.Name;
        // The roll-out is complete: what was new is current.
        if (set.Spec.UpdateStrategy.Type == "RollingUpdate" && ofUpdate == replicas && ready == replicas && replicas == set.Spec.Replicas)
        {
            (currentName, ofCurrent) = (update.Name, ofUpdate);
        }
        var old = set.Status;
        if (old.ObservedGeneration == set.Metadata.Generation && old.Replicas == replicas && old.ReadyReplicas == ready && old.AvailableReplicas == available
            && old.CurrentReplicas == ofCurrent && old.UpdatedReplicas == ofUpdate && old.CurrentRevision == currentName && old.UpdateRevision == update.Name) return null;
        return Change.Merge(ResourceKey.Of(Kind.StatefulSet, set.Namespace, set.Name), Body.Status(json =>
        {
            json.WriteNumber("observedGeneration"u8, set.Metadata.Generation);
            json.WriteNumber("replicas"u8, replicas);
            json.NumberOrNull("readyReplicas", ready);
            json.WriteNumber("availableReplicas"u8, available);
            json.NumberOrNull("currentReplicas", ofCurrent);
            json.NumberOrNull("updatedReplicas", ofUpdate);
            json.WriteString("currentRevision"u8, currentName);
            json.WriteString("updateRevision"u8, update.Name);
            json.WriteNumber("collisionCount"u8, 0);
        }), "status");
    }
}
