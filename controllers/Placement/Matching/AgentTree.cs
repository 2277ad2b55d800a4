namespace Declarative.Controllers.Placement.Matching;

/// <summary>The order in which agents are tried: least loaded, then fewest pods, then as given.</summary>
internal readonly record struct Rank(double Load, int Pods, int Index) : IComparable<Rank>
{
    public int CompareTo(Rank other) => Load < other.Load ? -1 : Load > other.Load ? 1 : Pods != other.Pods ? Pods.CompareTo(other.Pods) : Index.CompareTo(other.Index);
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

    /// <summary>A node of the tree: a domain of the gate of its level, or an agent below the last. Its children stand in a heap, each knowing where.</summary>
    internal sealed class Branch(Branch? parent, string domain, int level, int index)
    {
        private Entry[] _heap = [];
        private int _count;
        private Dictionary<string, Branch>? _domains;
        private int _at = -1;

        private readonly record struct Entry(Rank Bound, Branch Child);

        public Branch? Parent { get; } = parent;
        public string Domain { get; } = domain;
        public int Level { get; } = level;

        /// <summary>The agent's index; −1 where this is a domain.</summary>
        public int Index { get; } = index;

        /// <summary>No agent below that is not set aside has a lesser rank.</summary>
        public Rank Bound { get; set; }
        public bool IsQueued => _at >= 0;
        public bool IsOut { get; set; }

        /// <summary>The child whose turn is next, which stays queued; null where there is none.</summary>
        public Branch? First => _count > 0 ? _heap[0].Child : null;

        public Branch Into(string domain)
        {
            _domains ??= new(StringComparer.Ordinal);
            if (!_domains.TryGetValue(domain, out var branch)) _domains.Add(domain, branch = new(this, domain, Level + 1, -1));
            return branch;
        }

        public Branch Add(int index, Rank bound)
        {
            var leaf = new Branch(this, "", Level + 1, index) { Bound = bound };
            Queue(leaf);
            return leaf;
        }

        /// <summary>Queues the domains, from the leaves up.</summary>
        public void Fill()
        {
            foreach (var child in _domains?.Values ?? Enumerable.Empty<Branch>())
            {
                child.Fill();
                Queue(child);
            }
            _domains = null;
            if (_count > 0) Bound = _heap[0].Bound;
        }

        /// <summary>Puts a child where its bound belongs, in the queue already or not.</summary>
        public void Queue(Branch child)
        {
            if (!child.IsQueued)
            {
                if (_count == _heap.Length) Array.Resize(ref _heap, Math.Max(1, _count * 2));
                child._at = _count++;
                Up(child);
            }
            else if (child.Bound.CompareTo(_heap[child._at].Bound) < 0)
            {
                Up(child);
            }
            else
            {
                Down(child);
            }
        }

        public void RemoveFirst()
        {
            _heap[0].Child._at = -1;
            var last = _heap[--_count];
            _heap[_count] = default;
            if (_count == 0) return;
            last.Child._at = 0;
            Down(last.Child);
        }

        private void Up(Branch child)
        {
            var (at, bound) = (child._at, child.Bound);
            for (; at > 0 && bound.CompareTo(_heap[(at - 1) / 2].Bound) < 0; at = (at - 1) / 2) Move((at - 1) / 2, at);
            Set(at, new(bound, child));
        }

        private void Down(Branch child)
        {
            var (at, bound) = (child._at, child.Bound);
            for (int least; (least = 2 * at + 1) < _count; at = least)
            {
                if (least + 1 < _count && _heap[least + 1].Bound.CompareTo(_heap[least].Bound) < 0) least++;
                if (bound.CompareTo(_heap[least].Bound) <= 0) break;
                Move(least, at);
            }
            Set(at, new(bound, child));
        }

        private void Move(int from, int to) => Set(to, _heap[from]);

        private void Set(int at, Entry entry)
        {
            _heap[at] = entry;
            entry.Child._at = at;
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
        while (branch.First is { } child)
        {
            Looks++;
            if (child.Index >= 0)
            {
                if (child.IsOut || _rank(child.Index) is not { } now)
                {
                    branch.RemoveFirst();
                    continue;
                }
                child.Bound = now;
            }
            else if (!_gates[branch.Level].IsOpen(child.Domain))
            {
                branch.RemoveFirst();
                _gates[branch.Level].Park(child.Domain, child);
                continue;
            }
            else if (Best(child) is { } best)
            {
                branch.Queue(child);
                if (branch.First != child) continue;
                branch.Bound = child.Bound;
                return best;
            }
            else
            {
                branch.RemoveFirst(); // full, or all of it is set aside: then it comes back with what is released
                continue;
            }
            branch.Queue(child);
            if (branch.First != child) continue;
            branch.Bound = child.Bound;
            return child;
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
