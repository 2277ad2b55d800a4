using Declarative.Api.Kinds;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>What a condition says.</summary>
internal sealed record Verdict(bool IsTrue, string Reason, string Message);

/// <summary>What becomes of a recommendation.</summary>
internal sealed record Allowed(int Replicas, Verdict AbleToScale, Verdict ScalingLimited);

/// <summary>
/// How quickly a recommendation is followed (Kubernetes doc "Horizontal Pod Autoscaling", configurable scaling behavior). Where nothing is given:
/// up at once, by the larger of 4 pods and 100 % in 15 s; down by the highest recommendation of 5 minutes, then as far as it says.
/// </summary>
internal sealed class ScalingBehavior(HorizontalPodAutoscalerSpec spec, AutoscalerOptions options)
{
    private static readonly IReadOnlyList<HPAScalingPolicy> UpPolicies =
        [new() { Type = "Pods", Value = 4, PeriodSeconds = 15 }, new() { Type = "Percent", Value = 100, PeriodSeconds = 15 }];
    private static readonly IReadOnlyList<HPAScalingPolicy> DownPolicies = [new() { Type = "Percent", Value = 100, PeriodSeconds = 15 }];

    private readonly HPAScalingRules _up = Completed(spec.Behavior?.ScaleUp, 0, UpPolicies);
    private readonly HPAScalingRules _down = Completed(spec.Behavior?.ScaleDown, (int)options.DownscaleStabilization.TotalSeconds, DownPolicies);

    public Tolerances Tolerances => new(_down.Tolerance?.AsDouble ?? options.Tolerance, _up.Tolerance?.AsDouble ?? options.Tolerance);

    public Allowed Allow(int current, int desired, ScalingHistory history, DateTimeOffset now)
    {
        var stable = Stabilized(current, desired, history.Recommendations, now);
        var able = stable == desired ? new Verdict(true, "ReadyForNewScale", "recommended size matches current size")
            : desired >= current ? new(true, "ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation")
            : new(true, "ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation");
        var (replicas, limited) = Limited(current, stable, history.Changes, now);
        return new(replicas, able, limited ?? new(false, "DesiredWithinRange", "the desired count is within the acceptable range"));
    }

    private int Stabilized(int current, int desired, IReadOnlyList<Noted> recommendations, DateTimeOffset now)
    {
        var (lowest, highest) = (desired, desired);
        foreach (var (at, replicas) in recommendations)
        {
            if (at > now.AddSeconds(-_up.StabilizationWindowSeconds!.Value)) lowest = Math.Min(lowest, replicas);
            if (at > now.AddSeconds(-_down.StabilizationWindowSeconds!.Value)) highest = Math.Max(highest, replicas);
        }
        return Math.Min(Math.Max(current, lowest), highest);
    }

    private (int Replicas, Verdict? Limited) Limited(int current, int stable, IReadOnlyList<Noted> changes, DateTimeOffset now)
    {
        if (stable > current)
        {
            var quickest = Math.Max(current, Quickest(_up, current, changes, now, isUp: true));
            if (quickest < spec.MaxReplicas && stable > quickest) return (quickest, new(true, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"));
            if (stable > spec.MaxReplicas) return (spec.MaxReplicas, new(true, "TooManyReplicas", "the desired replica count is more than the maximum replica count"));
        }
        else if (stable < current)
        {
            var quickest = Math.Min(current, Quickest(_down, current, changes, now, isUp: false));
            if (quickest > spec.MinReplicas && stable < quickest) return (quickest, new(true, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"));
            if (stable < spec.MinReplicas) return (spec.MinReplicas, new(true, "TooFewReplicas", "the desired replica count is less than the minimum replica count"));
        }
        return (stable, null);
    }

    /// <summary>As far as the policies let the replicas go now, from what there was at the beginning of each one's period.</summary>
    private static int Quickest(HPAScalingRules rules, int current, IReadOnlyList<Noted> changes, DateTimeOffset now, bool isUp)
    {
        if (rules.SelectPolicy == "Disabled") return current;
        var limits = rules.Policies.Select(policy =>
        {
            var began = current - changes.Where(x => x.At > now.AddSeconds(-policy.PeriodSeconds)).Sum(x => x.Replicas);
            var sign = isUp ? 1 : -1;
            var limit = policy.Type == "Pods" ? began + sign * (double)policy.Value : began * (1 + sign * policy.Value / 100.0);
            // 10 × 1.1 is a little above 11: what is no more than the error of the arithmetic makes no replica.
            return (int)Math.Clamp(isUp ? Math.Ceiling(limit - 1e-9) : Math.Truncate(limit + 1e-9), 0, int.MaxValue);
        });
        return isUp == (rules.SelectPolicy != "Min") ? limits.Max() : limits.Min();
    }

    private static HPAScalingRules Completed(HPAScalingRules? given, int windowSeconds, IReadOnlyList<HPAScalingPolicy> policies) => (given ?? new()) with
    {
        StabilizationWindowSeconds = given?.StabilizationWindowSeconds ?? windowSeconds,
        Policies = given is { Policies.Count: > 0 } ? given.Policies : policies,
    };
}
