using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Deployments;

/// <summary>
/// Moves a Deployment's pods from its old ReplicaSets to the one with its template, within maxSurge and maxUnavailable
/// (Kubernetes doc "Deployments"), as a list of steps that each may end the plan.
/// </summary>
internal static class DeploymentPlan
{
    /// <param name="owned">Sets that name this Deployment as their controller.</param>
    /// <param name="orphans">Sets of the namespace without a controller.</param>
    /// <param name="isNameTaken">Whether a ReplicaSet of that name stands in the namespace, whoever owns it.</param>
    /// <param name="podsOf">The pods of a set that have not finished, those on their way out included (Recreate waits for them).</param>
    public static Plan Compute(
        Deployment deployment, TemplateJson template, IReadOnlyList<OwnedSet> owned, IReadOnlyList<ReplicaSet> orphans,
        Func<string, bool> isNameTaken, Func<ReplicaSet, int> podsOf, DateTimeOffset now)
    {
        var claim = Ownership.Claim(
            Kind.Deployment, deployment, deployment.Spec.Selector.ToSelector(), Kind.ReplicaSet, [.. owned.Select(x => x.Set)], orphans);
        // What is adopted or let go changes the sets that everything else is decided by: that comes first and alone.
        if (claim.Changes.Count > 0) return new() { Changes = claim.Changes };
        var rollout = new Rollout(deployment, template, [.. owned.Where(x => claim.Mine.Contains(x.Set))], now);
        if (!deployment.Metadata.IsDeleting)
        {
            Revisions(rollout);
            if (deployment.Spec.Paused || IsScaling(rollout)) Scaling.Proportional(rollout);
            else if (rollout.IsRolling) RollingSteps.Step(rollout, isNameTaken);
            else RecreateSteps.Step(rollout, isNameTaken, podsOf);
            rollout.Changes.AddRange(rollout.All.Select(x => x.Patch()).OfType<Patch>());
            CleanUp(rollout);
        }
        var lookAgainIn = DeploymentStatusPlan.Add(rollout);
        return new() { Changes = rollout.Changes, Events = rollout.Events, LookAgainIn = lookAgainIn };
    }

    /// <summary>The revision of the new set, made or found: one more than all the others.</summary>
    public static long NextRevision(Rollout rollout) => rollout.Old.Select(x => x.Revision).DefaultIfEmpty(0).Max() + 1;

    /// <summary>A found set that is not the newest revision becomes it (kubectl rollout undo); the Deployment carries the same number.</summary>
    private static void Revisions(Rollout rollout)
    {
        var revision = NextRevision(rollout);
        if (rollout.New is { } set)
        {
            foreach (var (key, value) in rollout.Deployment.Metadata.Annotations)
            {
                if (!Annotations.IsOwn(key) && set.Set.Metadata.Annotations.GetValueOrDefault(key) != value) set.Annotate[key] = value;
            }
            set.MinReadySeconds = rollout.Deployment.Spec.MinReadySeconds;
            if (set.Revision >= revision)
            {
                revision = set.Revision;
            }
            else
            {
                var history = set.Set.Metadata.Annotations.GetValueOrDefault(Annotations.RevisionHistory, "");
                set.Annotate[Annotations.Revision] = Rollout.Text(revision);
                if (set.Revision > 0) set.Annotate[Annotations.RevisionHistory] = history.Length == 0 ? Rollout.Text(set.Revision) : $"{history},{set.Revision}";
            }
        }
        else if (rollout.Deployment.Spec.Paused)
        {
            return; // no set is made while paused, so there is no new revision either
        }
        if (rollout.Deployment.Metadata.Annotations.GetValueOrDefault(Annotations.Revision) == Rollout.Text(revision)) return;
        rollout.Changes.Add(Change.Merge(ResourceKey.Of(Kind.Deployment, rollout.Deployment.Namespace, rollout.Deployment.Name), Body.Of(json =>
            json.Object("metadata", meta => meta.Object("annotations", x => x.WriteString(Annotations.Revision, Rollout.Text(revision)))))));
    }

    /// <summary>spec.replicas was changed since a set was last scaled.</summary>
    private static bool IsScaling(Rollout rollout) => rollout.All.Any(x => x.Replicas > 0 && x.DesiredReplicas != rollout.Wanted);

    /// <summary>Deletes the oldest empty sets beyond revisionHistoryLimit once the roll-out is complete.</summary>
    private static void CleanUp(Rollout rollout)
    {
        if (!DeploymentStatusPlan.IsComplete(rollout)) return;
        var empty = rollout.Old
            .Where(x => x.Replicas == 0 && x.Set.Status.Replicas == 0 && x.Set.Status.ObservedGeneration >= x.Set.Metadata.Generation && !x.Set.Metadata.IsDeleting)
            .OrderBy(x => x.Revision).ToList();
        var limit = rollout.Deployment.Spec.RevisionHistoryLimit ?? 10;
        foreach (var set in empty.Take(Math.Max(0, empty.Count - limit)))
        {
            rollout.Changes.Add(Change.Delete(ResourceKey.Of(Kind.ReplicaSet, set.Set.Namespace, set.Name), set.Set.Uid));
        }
    }
}
