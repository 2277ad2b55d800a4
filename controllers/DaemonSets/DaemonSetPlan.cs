using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.DaemonSets;

/// <summary>One pod on every node that fits, updated node by node within maxUnavailable or maxSurge (Kubernetes doc "DaemonSet").</summary>
internal static class DaemonSetPlan
{
    /// <summary>Pods created or deleted in one plan, as Kubernetes bounds it.</summary>
    public const int BurstPodsMax = 250;

    /// <summary>A pod that failed stands so long before it is replaced, so that one that can not run does not spin.</summary>
    public static readonly TimeSpan FailedStandsFor = TimeSpan.FromSeconds(10);

    /// <summary>A node, whether the set wants a pod there, and the set's pods there from the oldest to the newest.</summary>
    internal sealed record Place(string Node, NodeFit.Verdict Fit, IReadOnlyList<Pod> Pods)
    {
        public IEnumerable<Pod> Active => Pods.Where(x => x.IsActive());
    }

    /// <param name="owned">Pods that name this set as their controller.</param>
    /// <param name="orphans">Pods of the namespace without a controller.</param>
    /// <param name="revisions">ControllerRevisions that name this set as their controller.</param>
    public static Plan Compute(
        DaemonSet set, TemplateJson template, IReadOnlyList<Node> nodes, IReadOnlyList<Pod> owned, IReadOnlyList<Pod> orphans,
        IReadOnlyList<StoredRevision> revisions, Func<string, bool> isRevisionTaken, DateTimeOffset now)
    {
        var claim = Ownership.Claim(Kind.DaemonSet, set, set.Spec.Selector.ToSelector(), Kind.Pod, owned, orphans);
        if (claim.Changes.Count > 0) return new() { Changes = claim.Changes };
        if (set.Metadata.IsDeleting) return Plan.Nothing;
        var (present, first) = Revisions.Find(Kind.DaemonSet, set, set.Spec.Selector, template, revisions, isRevisionTaken);
        if (present is null || first.Count > 0) return new() { Changes = first };
        var at = claim.Mine.OrderBy(x => x.Metadata.CreationTimestamp).ThenBy(x => x.Name, StringComparer.Ordinal).ToLookup(NodeFit.Target, StringComparer.Ordinal);
        List<Place> places = [.. nodes.Select(x => new Place(x.Name, NodeFit.Of(set.Spec.Template.Spec, x), [.. at[x.Name]]))];
        var steps = new List<Change>();
        TimeSpan? lookAgainIn = null;
        var surge = DaemonRollout.Surge(set, places.Count(x => x.Fit.Runs));
        foreach (var place in places) Settle(set, place, present, surge > 0, steps, now, ref lookAgainIn);
        // A pod that waits for a node that is gone waits for ever.
        var known = nodes.Select(x => x.Name).ToHashSet(StringComparer.Ordinal);
        steps.AddRange(claim.Mine.Where(x => !known.Contains(NodeFit.Target(x)) && !x.Metadata.IsDeleting && (x.Spec.NodeName.Length == 0 || x.IsFinished)).Select(DaemonPods.Remove));
        if (steps.Count == 0 && set.Spec.UpdateStrategy.Type == "RollingUpdate") steps.AddRange(DaemonRollout.Steps(set, places, present, surge, now));
        var status = DaemonStatus.Of(set, places, present, now, ref lookAgainIn);
        var live = claim.Mine.Select(DaemonPods.Hash).Append(present.Hash).ToHashSet(StringComparer.Ordinal);
        return new()
        {
            Changes =
            [
                .. status is null ? [] : (Change[])[status],
                .. steps.Where(x => x is Delete).Take(BurstPodsMax), .. steps.Where(x => x is Create).Take(BurstPodsMax),
                .. Revisions.Outlived(revisions, live, set.Spec.RevisionHistoryLimit ?? 10),
            ],
            LookAgainIn = lookAgainIn,
            Tell = applied => Told(set, applied),
            OnRefused = applied => applied.Change is Create { Key.Kind.Name: "Pod" }
                ? new() { Events = [EventNote.Warning(Body.Reference(Kind.DaemonSet, set), "FailedCreate", $"Error creating: {applied.Error!.Message}")] } : Plan.Nothing,
        };
    }

    /// <summary>One pod where one belongs, none where none may stay.</summary>
    private static void Settle(DaemonSet set, Place place, StoredRevision present, bool surges, List<Change> steps, DateTimeOffset now, ref TimeSpan? lookAgainIn)
    {
        if (!place.Fit.Stays)
        {
            steps.AddRange(place.Pods.Where(x => !x.Metadata.IsDeleting).Select(DaemonPods.Remove));
            return;
        }
        foreach (var failed in place.Pods.Where(x => x.IsFinished && !x.Metadata.IsDeleting))
        {
            var left = (failed.Status.ContainerStatuses.Select(x => x.State.Terminated?.FinishedAt).Max() ?? failed.Metadata.CreationTimestamp ?? now) + FailedStandsFor - now;
            if (left <= TimeSpan.Zero) steps.Add(DaemonPods.Remove(failed));
            else if (lookAgainIn is null || left < lookAgainIn) lookAgainIn = left;
        }
        if (place.Pods.Count == 0)
        {
            if (place.Fit.Runs) steps.Add(DaemonPods.Make(set, present, place.Node));
            return;
        }
        // Two at most while one takes over from the other: one of the new revision, one of an old one.
        var active = place.Active.ToList();
        var kept = surges ? active.GroupBy(x => x.Hash() == present.Hash).Select(x => x.First()).ToList() : active.Take(1).ToList();
        steps.AddRange(active.Except(kept).Select(DaemonPods.Remove));
    }

    private static EventNote? Told(DaemonSet set, Applied applied) => applied.Change switch
    {
        Create { Key.Kind.Name: "Pod" } => EventNote.Normal(Body.Reference(Kind.DaemonSet, set), "SuccessfulCreate", $"Created pod: {applied.Written!.Key.Name}"),
        Delete { Key.Kind.Name: "Pod" } => EventNote.Normal(Body.Reference(Kind.DaemonSet, set), "SuccessfulDelete", $"Deleted pod: {applied.Change.Key.Name}"),
        _ => null,
    };
}
