using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.StatefulSets;

/// <summary>
/// One pod for each ordinal, in order (Kubernetes doc "StatefulSets"): with OrderedReady the next is made, removed or updated only when all
/// before it are ready; with Parallel all at once. A name is used again only when its pod is gone, so an ordinal never has two.
/// </summary>
internal static class StatefulSetPlan
{
    /// <param name="json">The stored set, whose claim templates are used field for field.</param>
    /// <param name="owned">Pods that name this set as their controller.</param>
    /// <param name="orphans">Pods of the namespace without a controller.</param>
    /// <param name="revisions">ControllerRevisions that name this set as their controller.</param>
    /// <param name="claim">A PersistentVolumeClaim of the namespace by name.</param>
    public static Plan Compute(
        StatefulSet set, ReadOnlyMemory<byte> json, TemplateJson template, IReadOnlyList<Pod> owned, IReadOnlyList<Pod> orphans,
        IReadOnlyList<StoredRevision> revisions, Func<string, bool> isRevisionTaken, Func<string, ApiObject?> claim, DateTimeOffset now)
    {
        // Only pods whose name is one of the set's are adopted.
        var claimed = Ownership.Claim(Kind.StatefulSet, set, set.Spec.Selector.ToSelector(), Kind.Pod, owned, [.. orphans.Where(x => StatefulPods.Ordinal(set, x) is not null)]);
        if (claimed.Changes.Count > 0) return new() { Changes = claimed.Changes };
        if (set.Metadata.IsDeleting) return Plan.Nothing;
        var (update, first) = Revisions.Find(Kind.StatefulSet, set, set.Spec.Selector, template, revisions, isRevisionTaken);
        if (update is null || first.Count > 0) return new() { Changes = first };
        var current = revisions.FirstOrDefault(x => x.Name == set.Status.CurrentRevision) ?? update;
        var steps = new StatefulSteps(set, json, claimed.Mine, current, update, claim, now);
        steps.Run();
        var changes = new List<Change>();
        var status = StatefulStatus.Of(set, claimed.Mine, current, update, now, out var lookAgainIn);
        if (status is not null) changes.Add(status);
        changes.AddRange(steps.Changes);
        var live = claimed.Mine.Select(StatefulPods.Revision).Append(update.Name).Append(current.Name).ToHashSet(StringComparer.Ordinal);
        changes.AddRange(Revisions.Outlived(revisions, live, set.Spec.RevisionHistoryLimit ?? 10));
        return new()
        {
            Changes = changes,
            LookAgainIn = lookAgainIn,
            Tell = applied => Told(set, applied),
            OnRefused = applied => Refused(set, applied),
        };
    }

    private static EventNote? Told(StatefulSet set, Applied applied)
    {
        var about = Body.Reference(Kind.StatefulSet, set);
        var name = applied.Change.Key.Name;
        return applied.Change switch
        {
            Create { Key.Kind.Name: "Pod" } => EventNote.Normal(about, "SuccessfulCreate", $"create Pod {name} in StatefulSet {set.Name} successful"),
            Create { Key.Kind.Name: "PersistentVolumeClaim" } => EventNote.Normal(about, "SuccessfulCreate", $"create Claim {name} in StatefulSet {set.Name} success"),
            Delete { Key.Kind.Name: "Pod" } => EventNote.Normal(about, "SuccessfulDelete", $"delete Pod {name} in StatefulSet {set.Name} successful"),
            _ => null,
        };
    }

    private static Plan Refused(StatefulSet set, Applied applied) => applied.Change is not (Create or Delete) ? Plan.Nothing : new()
    {
        Events =
        [
            EventNote.Warning(
                Body.Reference(Kind.StatefulSet, set), applied.Change is Create ? "FailedCreate" : "FailedDelete",
                $"{(applied.Change is Create ? "create" : "delete")} {applied.Change.Key.Kind.Name} {applied.Change.Key.Name} in StatefulSet {set.Name} failed error: {applied.Error!.Message}"),
        ],
    };
}
