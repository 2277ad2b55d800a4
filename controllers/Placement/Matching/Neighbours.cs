using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>A pod that has its place.</summary>
internal readonly record struct PlacedPod(Pod Pod, string Node);

/// <summary>
/// Required pod affinity and anti-affinity (both directions) and DoNotSchedule topology spread of one class of pods: for each term the
/// number of matching pods per topology value, counted once per round and kept up to date as the round places pods.
/// </summary>
internal sealed class Neighbours
{
    private readonly List<Term> _terms = [];
    private readonly Func<Dictionary<string, AgentNode>> _nodes;

    private sealed record Term(RefusalKind Kind, string Key, LabelSelector Selector, IReadOnlyList<string> Namespaces, int MaxSkew)
    {
        public Dictionary<string, int> Counts { get; } = new(StringComparer.Ordinal);
        public bool SelfMatches { get; init; }

        public bool Selects(Pod pod) => Namespaces.Contains(pod.Namespace) && Selector.Matches(pod.Metadata.Labels);
    }

    /// <param name="repelling">The placed pods that have required anti-affinity of their own.</param>
    public Neighbours(Pod pod, IEnumerable<PlacedPod> placed, IEnumerable<PlacedPod> repelling, Func<Dictionary<string, AgentNode>> nodes)
    {
        _nodes = nodes;
        var affinity = pod.Spec.Affinity;
        foreach (var term in affinity?.PodAffinity?.RequiredDuringSchedulingIgnoredDuringExecution ?? []) Add(RefusalKind.PodAffinity, term, pod);
        foreach (var term in affinity?.PodAntiAffinity?.RequiredDuringSchedulingIgnoredDuringExecution ?? []) Add(RefusalKind.PodAntiAffinity, term, pod);
        foreach (var constraint in pod.Spec.TopologySpreadConstraints)
        {
            if (constraint.WhenUnsatisfiable == "ScheduleAnyway") continue;
            var selector = constraint.LabelSelector?.ToSelector() ?? LabelSelector.Nothing;
            var term = new Term(RefusalKind.TopologySpread, constraint.TopologyKey, selector, [pod.Namespace], Math.Max(1, constraint.MaxSkew)) { SelfMatches = selector.Matches(pod.Metadata.Labels) };
            foreach (var node in nodes().Values)
            {
                if (node.Labels.TryGetValue(constraint.TopologyKey, out var value)) term.Counts.TryAdd(value, 0);
            }
            _terms.Add(term);
        }
        if (_terms.Count > 0)
        {
            foreach (var other in placed) Count(other.Pod, other.Node);
        }
        foreach (var other in repelling) Repel(other, pod);
    }

    public bool IsEmpty => _terms.Count == 0;

    /// <summary>Counts a pod that stands, or was just put, on a node.</summary>
    public void Count(Pod pod, string nodeName)
    {
        if (!_nodes().TryGetValue(nodeName, out var node)) return;
        foreach (var term in _terms)
        {
            if (!node.Labels.TryGetValue(term.Key, out var value) || !term.Selects(pod)) continue;
            term.Counts[value] = term.Counts.GetValueOrDefault(value) + 1;
        }
    }

    /// <summary>A pod just placed, whose own anti-affinity keeps others of the class away.</summary>
    public void Repel(PlacedPod other, Pod pod)
    {
        if (!_nodes().TryGetValue(other.Node, out var node)) return;
        foreach (var term in other.Pod.Spec.Affinity?.PodAntiAffinity?.RequiredDuringSchedulingIgnoredDuringExecution ?? [])
        {
            var selector = term.LabelSelector?.ToSelector() ?? LabelSelector.Nothing;
            IReadOnlyList<string> namespaces = term.Namespaces.Count > 0 ? term.Namespaces : [other.Pod.Namespace];
            if (!namespaces.Contains(pod.Namespace) || !selector.Matches(pod.Metadata.Labels) || !node.Labels.TryGetValue(term.TopologyKey, out var value)) continue;
            var repelled = new Term(RefusalKind.PodAntiAffinity, term.TopologyKey, LabelSelector.Nothing, [], 0);
            repelled.Counts[value] = 1;
            _terms.Add(repelled);
        }
    }

    public IEnumerable<Reason> Reasons(AgentNode node)
    {
        foreach (var term in _terms)
        {
            if (!node.Labels.TryGetValue(term.Key, out var value))
            {
                if (term.Kind != RefusalKind.PodAntiAffinity) yield return new(term.Kind, $"{node.Name} has no label {term.Key}", $"label the node with {term.Key}");
                continue;
            }
            var count = term.Counts.GetValueOrDefault(value);
            switch (term.Kind)
            {
                case RefusalKind.PodAntiAffinity when count > 0:
                    yield return new(term.Kind, $"anti-affinity: a pod that must not be near is in {term.Key}={value}", $"add a node with another {term.Key}");
                    break;
                case RefusalKind.PodAffinity when count == 0 && !(term.SelfMatches && term.Counts.Count == 0):
                    yield return new(term.Kind, $"affinity: no pod matches {term.Selector} in {term.Key}={value}", "place such a pod there first");
                    break;
                case RefusalKind.TopologySpread:
                    var least = term.Counts.Values.DefaultIfEmpty(0).Min();
                    var skew = count + (term.SelfMatches ? 1 : 0) - least;
                    if (skew > term.MaxSkew)
                    {
                        yield return new(term.Kind, $"topology spread: {term.Key}={value} would have {skew} more than the least ({least}), at most {term.MaxSkew}", $"raise maxSkew or add a node in another {term.Key}");
                    }
                    break;
            }
        }
    }

    private void Add(RefusalKind kind, PodAffinityTerm term, Pod pod)
    {
        var selector = term.LabelSelector?.ToSelector() ?? LabelSelector.Nothing;
        IReadOnlyList<string> namespaces = term.Namespaces.Count > 0 ? term.Namespaces : [pod.Namespace];
        // The first pod of a group may start where none is yet, if it matches its own term.
        _terms.Add(new(kind, term.TopologyKey, selector, namespaces, 0) { SelfMatches = namespaces.Contains(pod.Namespace) && selector.Matches(pod.Metadata.Labels) });
    }
}
