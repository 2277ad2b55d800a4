using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Disruption;

/// <summary>
/// The status of a budget (Kubernetes doc "Disruptions"): healthy are the pods that are ready, not on their way out and not granted to an
/// eviction; as many may be evicted as are healthy beyond the desired number.
/// </summary>
internal static class DisruptionPlan
{
    /// <summary>A granted eviction that has not happened by then counts no longer (Kubernetes: 2 min).</summary>
    public static readonly TimeSpan GrantKeptFor = TimeSpan.FromMinutes(2);

    private const string Allowed = "DisruptionAllowed";

    /// <summary>A plain minAvailable needs no other number than the pods'; everything else is of the replicas that their controllers want.</summary>
    public static bool CountsControllers(PodDisruptionBudgetSpec spec) => spec.MaxUnavailable is not null || spec.MinAvailable is { IsText: true };

    /// <param name="pods">Those that the budget selects.</param>
    /// <param name="failure">Why the expected pods can not be counted; "" where they can.</param>
    public static Plan Compute(PodDisruptionBudget budget, IReadOnlyList<Pod> pods, int expected, string failure, DateTimeOffset now)
    {
        var granted = new SortedDictionary<string, DateTimeOffset>(StringComparer.Ordinal);
        TimeSpan? lookAgainIn = null;
        foreach (var pod in pods)
        {
            if (pod.Metadata.IsDeleting || !budget.Status.DisruptedPods.TryGetValue(pod.Name, out var at)) continue;
            var left = at + GrantKeptFor - now;
            if (left <= TimeSpan.Zero) continue;
            granted.Add(pod.Name, at);
            if (lookAgainIn is null || left < lookAgainIn) lookAgainIn = left;
        }
        var healthy = pods.Count(x => x.IsReady && !x.Metadata.IsDeleting && !granted.ContainsKey(x.Name));
        var desired = failure.Length > 0 ? 0 : budget.Spec switch
        {
            { MaxUnavailable: { } most } => Math.Max(0, expected - most.Of(expected, roundUp: true)),
            { MinAvailable: { } least } => least.Of(expected, roundUp: true),
            _ => 0,
        };
        var allowed = failure.Length > 0 || expected <= 0 ? 0 : Math.Max(0, healthy - desired);
        var conditions = failure.Length > 0 ? budget.Status.Conditions.With(Allowed, "False", "SyncFailed", failure, now, hasUpdateTime: false)
            : allowed > 0 ? budget.Status.Conditions.With(Allowed, "True", "SufficientPods", "", now, hasUpdateTime: false)
            : budget.Status.Conditions.With(Allowed, "False", "InsufficientPods", "", now, hasUpdateTime: false);
        var old = budget.Status;
        if (old.DisruptionsAllowed == allowed && old.CurrentHealthy == healthy && old.DesiredHealthy == desired && old.ExpectedPods == expected
            && old.ObservedGeneration == budget.Metadata.Generation && ReferenceEquals(conditions, old.Conditions)
            && old.DisruptedPods.Count == granted.Count && granted.Keys.All(old.DisruptedPods.ContainsKey))
        {
            return new() { LookAgainIn = lookAgainIn };
        }
        var key = ResourceKey.Of(Kind.PodDisruptionBudget, budget.Namespace, budget.Name);
        var patch = Change.Merge(key, Body.Of(json =>
        {
            // An eviction that is granted meanwhile must not be undone: only of this revision.
            json.Object("metadata", meta => meta.WriteString("resourceVersion"u8, budget.Metadata.ResourceVersion));
            json.Object("status", status =>
            {
                status.WriteNumber("observedGeneration"u8, budget.Metadata.Generation);
                status.WriteNumber("disruptionsAllowed"u8, allowed);
                status.WriteNumber("currentHealthy"u8, healthy);
                status.WriteNumber("desiredHealthy"u8, desired);
                status.WriteNumber("expectedPods"u8, expected);
                status.Object("disruptedPods", map =>
                {
                    foreach (var name in old.DisruptedPods.Keys.Where(x => !granted.ContainsKey(x)).Order(StringComparer.Ordinal)) map.WriteNull(name);
                    foreach (var (name, at) in granted) map.WriteString(name, Body.Time(at));
                });
                status.Conditions(conditions);
            });
        }), "status");
        return new() { Changes = [patch], LookAgainIn = lookAgainIn };
    }
}
