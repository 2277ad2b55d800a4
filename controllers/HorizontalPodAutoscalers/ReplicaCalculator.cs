using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>Ratios of usage to target within these shares of 1 change nothing.</summary>
internal readonly record struct Tolerances(double Down, double Up)
{
    public bool Contain(double ratio) => ratio >= 1 - Down && ratio <= 1 + Up;
}

/// <summary>How many replicas one metric wants.</summary>
/// <param name="Utilization">Percent of the requests; null where the target is an amount.</param>
/// <param name="AverageMilli">What a pod uses on average, in thousandths.</param>
/// <param name="Error">Why there is no number; "" where there is one.</param>
internal sealed record Proposal(int Replicas, int? Utilization, long AverageMilli, string Error = "")
{
    public static Proposal Failed(string error) => new(0, null, 0, error);
}

/// <summary>
/// From usage to replicas (Kubernetes doc "Horizontal Pod Autoscaling", algorithm details): ceil(replicas × usage ÷ target), unless the ratio is
/// within the tolerance. Pods without a usage are taken to use all they request where the others speak for scaling down and nothing where they
/// speak for scaling up, pods that are not ready yet nothing; what they change can damp a decision and never turn it round.
/// </summary>
internal sealed class ReplicaCalculator(AutoscalerOptions options, DateTimeOffset now)
{
    /// <param name="targetPercent">Of the requests, above 0.</param>
    /// <param name="container">"" = all of the pod.</param>
    public Proposal ByUtilization(int current, int targetPercent, string resource, string container, IReadOnlyList<Pod> pods, IReadOnlyDictionary<string, PodUsage> usages, Tolerances tolerances)
    {
        var requests = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var pod in pods)
        {
            var sum = 0L;
            // An init container that goes on is one of them.
            foreach (var x in pod.Spec.Containers.Concat(pod.Spec.InitContainers.Where(x => x.RestartPolicy == "Always")))
            {
                if (container.Length > 0 && x.Name != container) continue;
                if (!x.Resources.Requests.TryGetValue(resource, out var request)) return Proposal.Failed($"missing request for {resource} in container {x.Name} of Pod {pod.Name}");
                sum += request.Milli;
            }
            requests[pod.Name] = sum;
        }
        return Compute(current, resource, pods, usages, tolerances, Ratio, pod => requests[pod] * Math.Max(100, targetPercent) / 100);

        UsageRatio? Ratio(IReadOnlyDictionary<string, long> milli)
        {
            var requested = milli.Keys.Sum(x => requests[x]);
            if (requested == 0) return null;
            var percent = (int)Math.Min(int.MaxValue, (decimal)milli.Values.Sum() * 100 / requested);
            return new((double)percent / targetPercent, percent, milli.Values.Sum() / milli.Count);
        }
    }

    /// <param name="target">Of each pod on average, above 0.</param>
    public Proposal ByAverage(int current, Quantity target, string resource, IReadOnlyList<Pod> pods, IReadOnlyDictionary<string, PodUsage> usages, Tolerances tolerances)
    {
        return Compute(current, resource, pods, usages, tolerances, Ratio, _ => target.Milli);

        UsageRatio? Ratio(IReadOnlyDictionary<string, long> milli)
        {
            var average = milli.Values.Sum() / milli.Count;
            return new((double)average / target.Milli, null, average);
        }
    }

    /// <param name="full">What a pod of which nothing is told is taken to use, where the others speak for scaling down.</param>
    private Proposal Compute(
        int current, string resource, IReadOnlyList<Pod> pods, IReadOnlyDictionary<string, PodUsage> usages, Tolerances tolerances,
        Func<IReadOnlyDictionary<string, long>, UsageRatio?> ratioOf, Func<string, long> full)
    {
        if (pods.Count == 0) return Proposal.Failed("no pods returned by selector while calculating replica count");
        var groups = PodGroups.Of(pods, usages, resource, options, now);
        if (groups.Milli.Count == 0) return Proposal.Failed("did not receive metrics for targeted pods (pods might be unready)");
        if (ratioOf(groups.Milli) is not { } seen) return Proposal.Failed("no metrics returned matched known pods");
        var countsUnready = groups.Unready.Count > 0 && seen.Value > 1;
        if (!countsUnready && groups.Missing.Count == 0) return Of(tolerances.Contain(seen.Value) ? current : Ceiling(seen.Value * groups.Ready));

        var all = new Dictionary<string, long>(groups.Milli, StringComparer.Ordinal);
        if (seen.Value != 1)
        {
            foreach (var pod in groups.Missing) all[pod.Name] = seen.Value < 1 ? full(pod.Name) : 0;
        }
        if (countsUnready)
        {
            foreach (var pod in groups.Unready) all[pod.Name] = 0;
        }
        var ratio = ratioOf(all)!.Value.Value;
        if (tolerances.Contain(ratio) || ratio > 1 != seen.Value > 1) return Of(current);
        var wanted = Ceiling(ratio * all.Count);
        return Of(ratio < 1 ? Math.Min(wanted, current) : Math.Max(wanted, current));

        Proposal Of(int replicas) => new(replicas, seen.Utilization, seen.AverageMilli);
    }

    private static int Ceiling(double replicas) => (int)Math.Min(int.MaxValue, Math.Ceiling(replicas));

    private readonly record struct UsageRatio(double Value, int? Utilization, long AverageMilli);
}
