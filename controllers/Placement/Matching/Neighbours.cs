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
    private readonly List<Gate> _gates = [];
    private readonly List<(PodAffinityTerm Term, LabelSelector Selector)> _avoids = [];
    private readonly List<SoftTerm> _wishes = [];
    private readonly Dictionary<string, HashSet<string>> _closed = new(StringComparer.Ordinal);

    /// <param name="nodes">Every known node by name, with offers or without.</param>
    public Neighbours(WaitingPod waiting, IReadOnlyDictionary<string, AgentNode> nodes, params ReadOnlySpan<PlacedPods> placed)
    {
        _pod = waiting.Pod;
        // "IgnoredDuringExecution": a pod that has its node is not judged again when it restarts there.
        if (waiting.IsBound) return;
        foreach (var term in _pod.Spec.Affinity?.PodAffinity?.RequiredDuringSchedulingIgnoredDuringExecution ?? []) _gates.Add(new AffinityGate(term, _pod));
        foreach (var constraint in _pod.Spec.TopologySpreadConstraints)
        {
            if (constraint.WhenUnsatisfiable != "ScheduleAnyway") _gates.Add(new SpreadGate(constraint, _pod, nodes.Values));
        }
        foreach (var term in PlacedGroup.RepelTermsOf(_pod)) _avoids.Add((term, SelectorOf(term)));
        _wishes.AddRange(SoftTerm.Of(_pod));
        foreach (var pods in placed)
        {
            foreach (var group in pods.Groups) Count(group, nodes);
        }
        foreach (var gate in _gates) gate.Counted();
    }

    /// <summary>Conditions that may come to hold for a domain in the course of a round.</summary>
    public IReadOnlyList<Gate> Gates => _gates;

    /// <summary>What the wishes about neighbours add to the rank of a node now.</summary>
    public double Penalty(AgentNode node)
    {
        var penalty = 0.0;
        foreach (var wish in _wishes) penalty += wish.Penalty(node);
        return penalty;
    }

    /// <summary>Keys whose domains become better when a first pod stands there.</summary>
    public IEnumerable<string> NearKeys => _wishes.Where(x => x.IsNear).Select(x => x.Key).Distinct(StringComparer.Ordinal);

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

    /// <summary>A pod of this kind, placed somewhere, would change what is possible for the class.</summary>
    public bool Minds(Pod placed)
    {
        foreach (var gate in _gates)
        {
            if (gate.Selects(placed)) return true;
        }
        foreach (var wish in _wishes)
        {
            if (wish.Selects(placed)) return true;
        }
        foreach (var (term, selector) in _avoids)
        {
            if (Selects(term, selector, _pod, placed)) return true;
        }
        foreach (var term in PlacedGroup.RepelTermsOf(placed))
        {
            if (Selects(term, SelectorOf(term), placed, _pod)) return true;
        }
        return false;
    }

    /// <summary>Counts a pod that was just put on a node. True where nodes near it have become better by it.</summary>
    public bool Count(Pod placed, AgentNode node)
    {
        var better = false;
        foreach (var wish in _wishes)
        {
            if (node.Labels.TryGetValue(wish.Key, out var domain) && wish.Selects(placed)) better |= wish.Raise(domain);
        }
        foreach (var gate in _gates)
        {
            if (node.Labels.TryGetValue(gate.Key, out var value) && gate.Selects(placed)) gate.Raise(value);
        }
        foreach (var (term, selector) in _avoids)
        {
            if (Selects(term, selector, _pod, placed)) Close(term.TopologyKey, node);
        }
        foreach (var term in PlacedGroup.RepelTermsOf(placed))
        {
            if (Selects(term, SelectorOf(term), placed, _pod)) Close(term.TopologyKey, node);
        }
        return better;
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
        foreach (var wish in _wishes)
        {
            if (!wish.Selects(group.Sample)) continue;
            foreach (var (name, count) in group.Nodes)
            {
                if (nodes.TryGetValue(name, out var node) && node.Labels.TryGetValue(wish.Key, out var domain)) wish.Raise(domain, count);
            }
        }
        foreach (var gate in _gates)
        {
            if (!gate.Selects(group.Sample)) continue;
            foreach (var (name, count) in group.Nodes)
            {
                if (nodes.TryGetValue(name, out var node) && node.Labels.TryGetValue(gate.Key, out var value)) gate.Raise(value, count);
            }
        }
        foreach (var (term, selector) in _avoids)
        {
            if (Selects(term, selector, _pod, group.Sample)) Close(term.TopologyKey, group, nodes);
        }
        foreach (var term in PlacedGroup.RepelTermsOf(group.Sample))
        {
            if (Selects(term, SelectorOf(term), group.Sample, _pod)) Close(term.TopologyKey, group, nodes);
        }
    }

    private void Close(string key, PlacedGroup group, IReadOnlyDictionary<string, AgentNode> nodes)
    {
        foreach (var (name, _) in group.Nodes)
        {
            if (nodes.TryGetValue(name, out var node)) Close(key, node);
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
