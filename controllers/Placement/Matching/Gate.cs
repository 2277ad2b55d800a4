using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>
/// One condition of a class on the domains of a topology key (the values of that node label). Branches of the <see cref="AgentTree"/> whose
/// domain is shut are left here, and come back when it opens: nobody looks at them meanwhile.
/// </summary>
internal abstract class Gate(RefusalKind kind, string key)
{
    public RefusalKind Kind { get; } = kind;
    public string Key { get; } = key;

    /// <summary>The pods that this condition counts.</summary>
    public abstract bool Selects(Pod placed);

    /// <summary>Why a domain is shut now; null where it is open.</summary>
    public abstract Reason? Refuses(string domain);

    public abstract bool IsOpen(string domain);

    public abstract void Raise(string domain, int by = 1);

    /// <summary>The pods that stood before the round are counted.</summary>
    public virtual void Counted() { }

    public abstract void Park(string domain, AgentTree.Branch branch);

    protected static void Release(List<AgentTree.Branch> parked)
    {
        foreach (var branch in parked) AgentTree.Release(branch);
        parked.Clear();
    }
}

/// <summary>Required pod affinity: a matching pod stands in the domain, or none stands anywhere and the pod matches its own term.</summary>
internal sealed class AffinityGate(PodAffinityTerm term, Pod pod) : Gate(RefusalKind.PodAffinity, term.TopologyKey)
{
    private readonly LabelSelector _selector = Neighbours.SelectorOf(term);
    private readonly HashSet<string> _domains = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<AgentTree.Branch>> _parked = new(StringComparer.Ordinal);
    private readonly bool _matchesItself = Neighbours.Selects(term, Neighbours.SelectorOf(term), pod, pod);

    public override bool Selects(Pod placed) => Neighbours.Selects(term, _selector, pod, placed);

    public override bool IsOpen(string domain) => _domains.Contains(domain) || _matchesItself && _domains.Count == 0;

    public override Reason? Refuses(string domain) =>
        IsOpen(domain) ? null : new(Kind, $"affinity: no pod matches {_selector} in {Key}={domain}", "place such a pod there first");

    public override void Raise(string domain, int by = 1)
    {
        if (_domains.Add(domain) && _parked.Remove(domain, out var parked)) Release(parked);
    }

    public override void Park(string domain, AgentTree.Branch branch)
    {
        if (!_parked.TryGetValue(domain, out var parked)) _parked.Add(domain, parked = []);
        parked.Add(branch);
    }
}

/// <summary>
/// Topology spread: with the pod a domain has at most maxSkew more than the domain that has least. Domains are those of the nodes that the
/// pod's nodeSelector and node affinity allow, whether they offer something or not; pods that are being deleted are not counted
/// (Kubernetes doc "Pod Topology Spread Constraints", nodeAffinityPolicy Honor, nodeTaintsPolicy Ignore).
/// </summary>
internal sealed class SpreadGate : Gate
{
    private readonly string _namespace;
    private readonly LabelSelector _selector;
    private readonly int _maxSkew;
    private readonly int _self;
    private readonly Dictionary<string, int> _counts = new(StringComparer.Ordinal);
    private readonly Dictionary<int, int> _domainsByCount = [];
    private readonly SortedDictionary<int, List<AgentTree.Branch>> _parkedByCount = [];
    private int _least;

    public SpreadGate(TopologySpreadConstraint constraint, Pod pod, IEnumerable<AgentNode> nodes) : base(RefusalKind.TopologySpread, constraint.TopologyKey)
    {
        _namespace = pod.Namespace;
        _selector = constraint.LabelSelector?.ToSelector() ?? LabelSelector.Nothing;
        _maxSkew = Math.Max(1, constraint.MaxSkew);
        _self = _selector.Matches(pod.Metadata.Labels) ? 1 : 0;
        foreach (var node in nodes)
        {
            if (node.Labels.TryGetValue(Key, out var value) && AgentFilter.Selects(pod.Spec, node)) _counts.TryAdd(value, 0);
        }
    }

    public override bool Selects(Pod placed) => placed.Namespace == _namespace && !placed.Metadata.IsDeleting && _selector.Matches(placed.Metadata.Labels);

    public override bool IsOpen(string domain) => _counts.GetValueOrDefault(domain) + _self - _least <= _maxSkew;

    public override Reason? Refuses(string domain)
    {
        if (IsOpen(domain)) return null;
        var skew = _counts[domain] + _self - _least;
        return new(Kind, $"topology spread: {Key}={domain} would have {skew} more than the least ({_least}), at most {_maxSkew}", $"raise maxSkew or add a node in another {Key}");
    }

    public override void Counted()
    {
        foreach (var count in _counts.Values) _domainsByCount[count] = _domainsByCount.GetValueOrDefault(count) + 1;
        _least = _counts.Count == 0 ? 0 : _counts.Values.Min();
    }

    public override void Raise(string domain, int by = 1)
    {
        if (!_counts.TryGetValue(domain, out var before)) return; // a domain that the pod cannot go to anyway
        _counts[domain] = before + by;
        if (_domainsByCount.Count == 0) return; // still counting what stood before
        _domainsByCount[before]--;
        _domainsByCount[before + by] = _domainsByCount.GetValueOrDefault(before + by) + 1;
        if (before != _least || _domainsByCount[before] > 0) return;
        while (_domainsByCount.GetValueOrDefault(_least) == 0) _least++;
        while (_parkedByCount.Count > 0)
        {
            var (count, parked) = _parkedByCount.First();
            if (count + _self - _least > _maxSkew) return;
            _parkedByCount.Remove(count);
            Release(parked);
        }
    }

    public override void Park(string domain, AgentTree.Branch branch)
    {
        var count = _counts[domain];
        if (!_parkedByCount.TryGetValue(count, out var parked)) _parkedByCount.Add(count, parked = []);
        parked.Add(branch);
    }
}
