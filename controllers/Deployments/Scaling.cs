namespace Declarative.Controllers.Deployments;

/// <summary>
/// A change of spec.replicas, also in the middle of a roll-out or while paused: sets with pods share it in proportion to their size
/// (Kubernetes doc "Deployments", Proportional scaling).
/// </summary>
internal static class Scaling
{
    public static void Proportional(Rollout rollout)
    {
        var active = rollout.All.Where(x => x.Replicas > 0).ToList();
        if (active.Count <= 1)
        {
            var only = active.FirstOrDefault() ?? rollout.New ?? rollout.Old.MaxBy(x => x.Revision);
            if (only is not null) rollout.Scale(only, rollout.Wanted);
            return;
        }
        if (rollout.New is { } current && current.Replicas == rollout.Wanted && current.DesiredReplicas == rollout.Wanted && current.Available == rollout.Wanted)
        {
            foreach (var set in rollout.Old.Where(x => x.Replicas > 0)) rollout.Scale(set, 0);
            return;
        }
        if (!rollout.IsRolling) return;
        Share(rollout, active);
    }

    private static void Share(Rollout rollout, List<OwnedSet> active)
    {
        var allowed = rollout.Wanted > 0 ? rollout.Wanted + rollout.Surge : 0;
        var total = active.Sum(x => x.Replicas);
        var add = allowed - total;
        // The largest first; among equals the newest first when growing, the oldest first when shrinking.
        var order = active.Select((set, age) => (set, age))
            .OrderByDescending(x => x.set.Replicas).ThenBy(x => add > 0 ? -x.age : x.age).Select(x => x.set).ToList();
        var left = add;
        var target = new int[order.Count];
        for (var i = 0; i < order.Count; i++)
        {
            var set = order[i];
            target[i] = set.Replicas;
            if (add == 0 || left == 0) continue;
            var share = Fraction(rollout, set, allowed, total);
            share = add > 0 ? Math.Clamp(share, 0, left) : Math.Clamp(share, left, 0);
            target[i] += share;
            left -= share;
        }
        if (order.Count > 0) target[0] = Math.Max(0, target[0] + left); // what rounding left over
        for (var i = 0; i < order.Count; i++) rollout.Scale(order[i], target[i]);
    }

    private static int Fraction(Rollout rollout, OwnedSet set, int allowed, int total)
    {
        if (rollout.Wanted == 0) return -set.Replicas;
        // The size that the Deployment had when this set was last scaled; sets without the annotation count from the sum.
        var before = set.MaxReplicas > 0 ? set.MaxReplicas : total;
        return (int)Math.Round(set.Replicas * (double)allowed / before, MidpointRounding.AwayFromZero) - set.Replicas;
    }
}
