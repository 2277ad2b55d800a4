using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.DaemonSets;

/// <summary>The counts of a DaemonSet: nodes, not pods.</summary>
internal static class DaemonStatus
{
    public static Patch? Of(DaemonSet set, IReadOnlyList<DaemonSetPlan.Place> places, StoredRevision present, DateTimeOffset now, ref TimeSpan? lookAgainIn)
    {
        var (desired, current, misplaced, ready, available, updated) = (0, 0, 0, 0, 0, 0);
        foreach (var place in places)
        {
            if (!place.Fit.Runs)
            {
                if (place.Active.Any()) misplaced++;
                continue;
            }
            desired++;
            if (!place.Active.Any()) continue;
            current++;
            if (place.Active.Any(x => x.IsReady)) ready++;
            if (place.Active.Any(x => DaemonRollout.IsAvailable(set, x, now))) available++;
            if (place.Active.Any(x => x.Hash() == present.Hash)) updated++;
            foreach (var pod in place.Active)
            {
                pod.IsAvailable(set.Spec.MinReadySeconds, now, out var left);
                if (left is not null && (lookAgainIn is null || left < lookAgainIn)) lookAgainIn = left;
            }
        }
        var old = set.Status;
        if (old.DesiredNumberScheduled == desired && old.CurrentNumberScheduled == current && old.NumberMisscheduled == misplaced && old.NumberReady == ready
            && old.NumberAvailable == available && old.NumberUnavailable == desired - available && old.UpdatedNumberScheduled == updated && old.ObservedGeneration == set.Metadata.Generation) return null;
        return Change.Merge(ResourceKey.Of(Kind.DaemonSet, set.Namespace, set.Name), Body.Status(json =>
        {
            json.WriteNumber("observedGeneration"u8, set.Metadata.Generation);
            json.WriteNumber("desiredNumberScheduled"u8, desired);
            json.WriteNumber("currentNumberScheduled"u8, current);
            json.WriteNumber("numberMisscheduled"u8, misplaced);
            json.WriteNumber("numberReady"u8, ready);
            json.NumberOrNull("numberAvailable", available);
            json.NumberOrNull("numberUnavailable", desired - available);
            json.NumberOrNull("updatedNumberScheduled", updated);
        }), "status");
    }
}
