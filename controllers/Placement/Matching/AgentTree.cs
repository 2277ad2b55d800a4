namespace Declarative.Controllers.Placement.Matching;

/// <summary>The order in which agents are tried: least loaded, then fewest pods, then as given.</summary>
internal readonly record struct Rank(double Load, int Pods, int Index) : IComparable<Rank>
{
    public int CompareTo(Rank other)
    {
        var load = Load.CompareTo(other.Load);
        if (load != 0) return load;
        return Pods != other.Pods ? Pods.CompareTo(other.Pods) : Index.CompareTo(other.Index);
    }
}

/// <summary>
/// The agents that one class of pods may go to, least rank first. They hang in a tree with one level per <see cref="Gate"/>, branched by the
/// agents' domains: a domain that is shut is set aside as a whole. Every queue holds lower bounds: in a round agents only fill up, so a rank
/// that has grown is found out when its turn comes. A pod costs O(log agents), spread over the pods of a round.
/// </summary>
internal sealed class AgentTree
{
    private readonly IReadOnlyList<Gate> _gates;
    private readonly Func<int, Rank?> _rank;
    private readonly Branch _root = new(null, "", 0, -1);
    private readonly Dictionary<int, Branch>? _leaves;

    /// <param name="candidates">Agents' indexes with the ranks they have now.</param>
    /// <param name="domain">The domain of an agent under a gate; null: it has none, and never fits.</param>
    /// <param name="rank">The rank of an agent now; null: it is out for the rest of the round.</param>
    /// <param name="mayImprove"><see cref="Improve"/> will be called.</param>
    public AgentTree(IReadOnlyList<Gate> gates, IEnumerable<(int Index, Rank Rank)> candidates, Func<int, Gate, string?> domain, Func<int, Rank?> rank, bool mayImprove = false)
    {
        if (mayImprove) _leaves = [];
        // Coarse domains first: where a zone is shut, none of its hosts is looked at.
        var found = candidates.ToList();
        _gates = gates.Count < 2 ? gates : [.. gates.OrderBy(gate => found.Select(x => domain(x.Index, gate)).Distinct(StringComparer.Ordinal).Count())];
        _rank = rank;
        foreach (var (index, bound) in found) Hang(index, bound, domain);
        _root.Fill();
    }

    /// <summary>A node of the tree: a domain of the gate of its level, or an agent below the last.</summary>
    internal sealed class Branch(Branch? parent, string domain, int level, int index)
    {
        private PriorityQueue<(Branch Child, int Turn), Rank>? _queue;
        private Dictionary<string, Branch>? _domains;
        private List<Branch>? _agents;
        private int _turn;

        public Branch? Parent { get; } = parent;
        public string Domain { get; } = domain;
        public int Level { get; } = level;

        /// <summary>The agent's index; −1 where this is a domain.</summary>
        public int Index { get; } = index;

        /// <summary>No agent below that is not set aside has a lesser rank.</summary>
        public Rank Bound { get; set; }
        public bool IsQueued { get; private set; }
        public bool IsOut { get; set; }

        public Branch Into(string domain)
        {
            _domains ??= new(StringComparer.Ordinal);
            if (!_domains.TryGetValue(domain, out var branch)) _domains.Add(domain, branch = new(this, domain, Level + 1, -1));
            return branch;
        }

        public Branch Add(int index, Rank bound)
        {
            var leaf = new Branch(this, "", Level + 1, index) { Bound = bound };
            (_agents ??= []).Add(leaf);
            return leaf;
        }

        /// <summary>Makes the queues, from the leaves up.</summary>
        public void Fill()
        {
            List<Branch> children = _agents ?? [.. _domains?.Values ?? Enumerable.Empty<Branch>()];
            foreach (var child in children)
            {
                if (child.Index < 0) child.Fill();
                child.IsQueued = true;
            }
            _queue = new(children.Select(x => ((x, 0), x.Bound)));
            if (_queue.TryPeek(out _, out var least)) Bound = least;
            _domains = null;
            _agents = null;
        }

        /// <summary>The child whose turn is next, taken out of the queue; null where there is none.</summary>
        public Branch? Next()
        {
            while (_queue!.TryDequeue(out var entry, out _))
            {
                if (entry.Turn != entry.Child._turn) continue; // queued again since, with a lesser bound
                entry.Child.IsQueued = false;
                return entry.Child;
            }
            return null;
        }

        public void Queue(Branch child)
        {
            child.IsQueued = true;
            _queue!.Enqueue((child, ++child._turn), child.Bound);
        }

        public bool IsFirst(Branch child)
        {
            while (_queue!.TryPeek(out var entry, out _) && entry.Turn != entry.Child._turn) _queue.Dequeue();
            return _queue.TryPeek(out var first, out _) && ReferenceEquals(first.Child, child);
        }
    }

    /// <summary>Branches looked at so far: what a round costs beside the making of the tree.</summary>
    public long Looks { get; private set; }

    /// <summary>The open agent of least rank, which stays in the tree; null where no agent is open.</summary>
    public Branch? Best() => Best(_root);

    /// <summary>Puts a branch that was set aside back, with those above it that were found empty or stand too far back for it.</summary>
    public static void Release(Branch branch) => Lift(branch, branch.Bound);

    /// <summary>An agent's rank has become less: what else only grows in a round is put forward here.</summary>
    public void Improve(int index, Rank rank)
    {
        if (_leaves!.TryGetValue(index, out var leaf) && !leaf.IsOut && leaf.Bound.CompareTo(rank) > 0) Lift(leaf, rank);
    }

    private static void Lift(Branch branch, Rank bound)
    {
        for (var child = branch; child.Parent is { } parent; child = parent)
        {
            var earlier = child.Bound.CompareTo(bound) > 0;
            if (child.IsQueued && !earlier) return;
            if (earlier) child.Bound = bound;
            parent.Queue(child);
        }
    }

    private Branch? Best(Branch branch)
    {
        Looks++;
        if (branch.Index >= 0)
        {
            if (branch.IsOut || _rank(branch.Index) is not { } now) return null;
            branch.Bound = now;
            return branch;
        }
        while (branch.Next() is { } child)
        {
            if (child.Index < 0 && !_gates[branch.Level].IsOpen(child.Domain))
            {
                _gates[branch.Level].Park(child.Domain, child);
                continue;
            }
            var best = Best(child);
            if (best is null) continue; // full, or all of it is set aside: then it comes back with what is released
            branch.Queue(child);
            if (!branch.IsFirst(child)) continue;
            branch.Bound = child.Bound;
            return best;
        }
        return null;
    }

    private void Hang(int index, Rank bound, Func<int, Gate, string?> domain)
    {
        var branch = _root;
        foreach (var gate in _gates)
        {
            if (domain(index, gate) is not { } value) return;
            branch = branch.Into(value);
        }
        var leaf = branch.Add(index, bound);
        _leaves?.Add(index, leaf);
    }
}
