using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>
/// A wish about the pods that stand in a domain of a topology key: a ScheduleAnyway spread, preferred pod affinity or anti-affinity. It adds to
/// an agent's rank. In a round a rank only grows, but for the first pod to be near, which makes its domain better at once.
/// </summary>
/// <param name="weight">What one pod there adds; negative: what the first pod there takes off.</param>
internal sealed class SoftTerm(string key, double weight, Func<Pod, bool> selects)
{
    /// <summary>A pod more in a domain outweighs any difference in load, as a full match of a preferred node affinity does.</summary>
    private const double WeightOfOne = 2;

    private readonly Dictionary<string, int> _counts = new(StringComparer.Ordinal);
    private int _total;

    public string Key => key;
    public bool IsNear => weight < 0;

    public bool Selects(Pod pod) => selects(pod);

    /// <summary>True where the domain has become better by it.</summary>
    public bool Raise(string domain, int by = 1)
    {
        _total += by;
        var before = _counts.GetValueOrDefault(domain);
        _counts[domain] = before + by;
        return IsNear && before == 0;
    }

    /// <summary>A node without the key is as bad as all the pods in one domain.</summary>
    public double Penalty(AgentNode node)
    {
        if (!node.Labels.TryGetValue(key, out var domain)) return IsNear ? 0 : weight * WeightOfOne * _total;
        var count = _counts.GetValueOrDefault(domain);
        return weight * WeightOfOne * (IsNear ? Math.Min(1, count) : count);
    }

    /// <summary>All wishes of a pod.</summary>
    public static IEnumerable<SoftTerm> Of(Pod pod)
    {
        foreach (var constraint in pod.Spec.TopologySpreadConstraints)
        {
            if (constraint.WhenUnsatisfiable != "ScheduleAnyway") continue;
            var selector = constraint.LabelSelector?.ToSelector() ?? Api.Objects.LabelSelector.Nothing;
            yield return new(constraint.TopologyKey, 1.0 / Math.Max(1, constraint.MaxSkew), x => x.Namespace == pod.Namespace && !x.Metadata.IsDeleting && selector.Matches(x.Metadata.Labels));
        }
        foreach (var (term, sign) in Weighted(pod))
        {
            var selector = Neighbours.SelectorOf(term.PodAffinityTerm);
            yield return new(term.PodAffinityTerm.TopologyKey, sign * term.Weight / 100.0, x => Neighbours.Selects(term.PodAffinityTerm, selector, pod, x));
        }
    }

    private static IEnumerable<(WeightedPodAffinityTerm Term, int Sign)> Weighted(Pod pod) =>
        (pod.Spec.Affinity?.PodAffinity?.PreferredDuringSchedulingIgnoredDuringExecution ?? []).Select(x => (x, -1))
        .Concat((pod.Spec.Affinity?.PodAntiAffinity?.PreferredDuringSchedulingIgnoredDuringExecution ?? []).Select(x => (x, 1)));
}
