using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>
/// A wish about the pods that stand in a domain of a topology key: a ScheduleAnyway spread, preferred pod affinity or anti-affinity. It adds to
/// the rank of every agent of a domain. In a round that only grows, but for the first pod to be near, which makes its domain better at once.
/// </summary>
/// <param name="weight">What one pod there adds; negative: what the first pod there takes off.</param>
internal sealed class Wish(string key, double weight, Func<Pod, bool> selects)
{
    /// <summary>A pod more in a domain outweighs any difference in load, as a full match of a preferred node affinity does.</summary>
    private const double WeightOfOne = 2;

    private readonly long _step = Score.Of(weight * WeightOfOne);
    private readonly Dictionary<string, WishDomain> _domains = new(StringComparer.Ordinal);

    /// <summary>Nodes without the key: as bad as all the pods in one domain.</summary>
    private readonly WishDomain _without = new();

    public bool IsNear => weight < 0;

    public bool Selects(Pod pod) => selects(pod);

    public WishDomain DomainOf(AgentNode node)
    {
        if (!node.Labels.TryGetValue(key, out var value)) return _without;
        if (!_domains.TryGetValue(value, out var domain)) _domains.Add(value, domain = new());
        return domain;
    }

    /// <summary>Counts pods on a node; returns its domain where that has become better by it.</summary>
    public WishDomain? Raise(AgentNode node, int by = 1)
    {
        var domain = DomainOf(node);
        if (domain == _without) return null;
        if (!IsNear)
        {
            domain.Penalty += _step * by;
            _without.Penalty += _step * by;
            return null;
        }
        if (domain.Penalty != 0) return null;
        domain.Penalty = _step;
        return domain;
    }

    /// <summary>All wishes of a pod.</summary>
    public static IEnumerable<Wish> Of(Pod pod)
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

/// <summary>What a wish adds to all agents of one domain now, and where these hang.</summary>
internal sealed class WishDomain
{
    public long Penalty { get; set; }

    /// <summary>Where the wish is a level of the tree: its branches of this domain.</summary>
    public List<AgentTree.Branch> Branches { get; } = [];

    /// <summary>Where it is none: the agents' indexes.</summary>
    public List<int> Agents { get; } = [];
}
