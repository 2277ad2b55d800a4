using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>
/// What the pods that stand somewhere mean for one class of waiting pods: required pod affinity, anti-affinity in both directions, and
/// DoNotSchedule topology spread. Counted once per round over all known nodes, and kept up to date as the round places pods. In a round
/// counts only grow: what anti-affinity closes stays closed, while a <see cref="Gate"/> may open and close.
/// </summary>
internal sealed class Neighbours
{
    private readonly Pod _pod;
    private readonly bool _isBound;
    private readonly List<Gate> _gates = [];
    private readonly List<(PodAffinityTerm Term, LabelSelector Selector)> _avoids = [];
    private readonly List<Wish> _wishes = [];
    private readonly Dictionary<string, HashSet<string>> _closed = new(StringComparer.Ordinal);

    /// <param name="nodes">Every known node by name, with offers or without.</param>
    public Neighbours(WaitingPod waiting, IReadOnlyDictionary<string, AgentNode> nodes, params ReadOnlySpan<PlacedPods> placed)
    {
        _pod = waiting.Pod;
        _isBound = waiting.IsBound;
        // "IgnoredDuringExecution": a pod that has its node is not judged again when it restarts there.
        if (_isBound) return;
        foreach (var term in _pod.Spec.Affinity?.PodAffinity?.RequiredDuringSchedulingIgnoredDuringExecution ?? []) _gates.Add(new AffinityGate(term, _pod));
        foreach (var constraint in _pod.Spec.TopologySpreadConstraints)
        {
            if (constraint.WhenUnsatisfiable != "ScheduleAnyway") _gates.Add(new SpreadGate(constraint, _pod, nodes.Values));
        }
        foreach (var term in PlacedGroup.RepelTermsOf(_pod)) _avoids.Add((term, SelectorOf(term)));
        _wishes.AddRange(Wish.Of(_pod));
        foreach (var pods in placed)
        {
            foreach (var group in pods.Groups) Count(group, nodes);
        }
        foreach (var gate in _gates) gate.Counted();
    }

    /// <summary>Conditions that may come to hold for a domain in the course of a round.</summary>
    public IReadOnlyList<Gate> Gates => _gates;

    /// <summary>Wishes about neighbours, which add to the rank of agents.</summary>
    public IReadOnlyList<Wish> Wishes => _wishes;

    /// <summary>False: it makes no difference to the class which pods stand where.</summary>
    public bool Matters => _gates.Count + _closed.Count > 0;

    /// <summary>Anti-affinity, this class's own or that of a pod that stands there, keeps the class away from a node for the rest of the round.</summary>
    public bool IsClosed(AgentNode node)
    {
        foreach (var (key, values) in _closed)
        {
            if (node.Labels.TryGetValue(key, out var value) && values.Contains(value)) return true;
        }
        return false;
    }

    /// <summary>What a pod of this kind, placed somewhere, changes for the class; null where that is nothing.</summary>
    public Influence? InfluenceOf(Pod placed)
    {
        if (_isBound) return null;
        List<string> closes = [];
        foreach (var (term, selector) in _avoids)
        {
            if (Selects(term, selector, _pod, placed)) closes.Add(term.TopologyKey);
        }
        foreach (var term in PlacedGroup.RepelTermsOf(placed))
        {
            if (Selects(term, SelectorOf(term), placed, _pod)) closes.Add(term.TopologyKey);
        }
        var influence = new Influence(this, [.. _gates.Where(x => x.Selects(placed))], [.. _wishes.Where(x => x.Selects(placed))], [.. closes.Distinct(StringComparer.Ordinal)]);
        return influence.IsNone ? null : influence;
    }

    /// <summary>What pods of one kind mean to the class, found once for all of them.</summary>
    internal sealed record Influence(Neighbours On, Gate[] Gates, Wish[] Wishes, string[] Closes)
    {
        public bool IsNone => Gates.Length + Wishes.Length + Closes.Length == 0;

        /// <summary>Counts pods that stand on a node.</summary>
        /// <param name="better">Is told of each domain that has become better by it.</param>
        public void Count(AgentNode node, int by, Action<WishDomain>? better)
        {
            foreach (var wish in Wishes)
            {
                if (wish.Raise(node, by) is { } domain) better?.Invoke(domain);
            }
            foreach (var gate in Gates)
            {
                if (node.Labels.TryGetValue(gate.Key, out var value)) gate.Raise(value, by);
            }
            foreach (var key in Closes) On.Close(key, node);
        }
    }

    public IEnumerable<Reason> Reasons(AgentNode node)
    {
        foreach (var gate in _gates)
        {
            if (!node.Labels.TryGetValue(gate.Key, out var value)) yield return new(gate.Kind, $"{node.Name} has no label {gate.Key}", $"label the node with {gate.Key}");
            else if (gate.Refuses(value) is { } reason) yield return reason;
        }
        foreach (var (key, values) in _closed)
        {
            if (!node.Labels.TryGetValue(key, out var value) || !values.Contains(value)) continue;
            yield return new(RefusalKind.PodAntiAffinity, $"anti-affinity: a pod that must not be near is in {key}={value}", $"add a node with another {key}");
        }
    }

    private void Count(PlacedGroup group, IReadOnlyDictionary<string, AgentNode> nodes)
    {
        if (InfluenceOf(group.Sample) is not { } influence) return;
        foreach (var (name, count) in group.Nodes)
        {
            if (nodes.TryGetValue(name, out var node)) influence.Count(node, count, better: null);
        }
    }

    private void Close(string key, AgentNode node)
    {
        if (!node.Labels.TryGetValue(key, out var value)) return;
        if (!_closed.TryGetValue(key, out var values)) _closed.Add(key, values = new(StringComparer.Ordinal));
        values.Add(value);
    }

    internal static LabelSelector SelectorOf(PodAffinityTerm term) => term.LabelSelector?.ToSelector() ?? LabelSelector.Nothing;

    /// <summary>A term without namespaces looks at its owner's namespace.</summary>
    internal static bool Selects(PodAffinityTerm term, LabelSelector selector, Pod owner, Pod other) =>
        (term.Namespaces.Count > 0 ? term.Namespaces.Contains(other.Namespace) : other.Namespace == owner.Namespace) && selector.Matches(other.Metadata.Labels);
}
