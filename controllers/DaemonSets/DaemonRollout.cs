using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.DaemonSets;

/// <summary>The next steps of a roll-out, within what may be down (maxUnavailable) or there twice (maxSurge).</summary>
internal static class DaemonRollout
{
    public static int Surge(DaemonSet set, int desired) => set.Spec.UpdateStrategy.RollingUpdate?.MaxSurge?.Of(desired, roundUp: true) ?? 0;

    public static IEnumerable<Change> Steps(DaemonSet set, IReadOnlyList<DaemonSetPlan.Place> places, StoredRevision present, int surge, DateTimeOffset now) =>
        surge > 0 ? Surging(set, places, present, surge, now) : Replacing(set, places, present, now);

    private static List<Change> Replacing(DaemonSet set, IReadOnlyList<DaemonSetPlan.Place> places, StoredRevision present, DateTimeOffset now)
    {
        var wanted = places.Where(x => x.Fit.Runs).ToList();
        var most = Math.Max(1, set.Spec.UpdateStrategy.RollingUpdate?.MaxUnavailable?.Of(wanted.Count, roundUp: true) ?? 1);
        var left = most - wanted.Count(x => !x.Active.Any(y => IsAvailable(set, y, now)));
        var steps = new List<Change>();
        foreach (var place in wanted)
        {
            foreach (var pod in place.Active.Where(x => x.Hash() != present.Hash))
            {
                // One that is down already makes nothing worse.
                if (!IsAvailable(set, pod, now)) steps.Add(DaemonPods.Remove(pod));
                else if (left-- > 0) steps.Add(DaemonPods.Remove(pod));
            }
        }
        return steps;
    }

    private static List<Change> Surging(DaemonSet set, IReadOnlyList<DaemonSetPlan.Place> places, StoredRevision present, int surge, DateTimeOffset now)
    {
        var wanted = places.Where(x => x.Fit.Runs).ToList();
        var left = surge - wanted.Count(x => x.Active.Count() > 1);
        var steps = new List<Change>();
        foreach (var place in wanted)
        {
            var old = place.Active.FirstOrDefault(x => x.Hash() != present.Hash);
            var next = place.Active.FirstOrDefault(x => x.Hash() == present.Hash);
            if (old is null) continue;
            if (next is not null)
            {
                if (IsAvailable(set, next, now) || !IsAvailable(set, old, now)) steps.Add(DaemonPods.Remove(old));
            }
            else if (!IsAvailable(set, old, now) || left-- > 0)
            {
                steps.Add(DaemonPods.Make(set, present, place.Node));
            }
        }
        return steps;
    }

    public static bool IsAvailable(DaemonSet set, Pod pod, DateTimeOffset now) => pod.IsActive() && pod.IsAvailable(set.Spec.MinReadySeconds, now, out _);
}
