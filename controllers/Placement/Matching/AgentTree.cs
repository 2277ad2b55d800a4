namespace Declarative.Controllers.Placement.Matching;

/// <summary>The order in which agents are tried: least score, then fewest pods, then as given.</summary>
/// <param name="Score">In units of <see cref="Score.One"/>: the load, and what is liked and disliked about the agent.</param>
internal readonly record struct Rank(long Score, int Pods, int Index) : IComparable<Rank>
{
    public int CompareTo(Rank other) => Score < other.Score ? -1 : Score > other.Score ? 1 : Pods != other.Pods ? Pods.CompareTo(other.Pods) : Index.CompareTo(other.Index);

    /// <summary>The same agent seen from above a domain that adds so much to all in it.</summary>
    public Rank Under(long penalty) => this with { Score = Score + penalty };
}

/// <summary>Scores are whole numbers, so that a sum is the same in whatever order its parts are added: level by level, or all at once.</summary>
internal static class Score
{
    /// <summary>The score of a full agent over that of an empty one.</summary>
    public const long One = 1L << 32;

    public static long Of(double value) => (long)Math.Round(value * One);
}

/// <summary>
/// The agents that one class of pods may go to, least rank first. They hang in a tree with one level per <see cref="Gate"/> and per
/// <see cref="Wish"/> of wide domains, branched by the agents' domains: a domain that is shut is set aside as a whole, and a domain that is
/// liked less than before falls back as a whole. Every queue holds lower bounds: in a round agents only fill up, so a rank that has grown is
/// found out when its turn comes. A pod costs O(log agents), spread over the pods of a round.
/// </summary>
internal sealed class AgentTree
{
    /// <summary>Domains of a wish with at most so many agents each make no level: the agents' own ranks tell them.</summary>
    private const int NarrowAgentsMax = 4;

    private readonly IReadOnlyList<Level> _levels;
    private readonly Func<int, Rank?> _rank;
    private readonly Branch _root = new(null, null, 0, -1);
    private readonly Dictionary<int, Branch>? _leaves;

    /// <param name="levels">The coarsest first.</param>
    /// <param name="candidates">Agents' indexes with the ranks they have now, without what the levels add.</param>
    /// <param name="rank">The rank of an agent now, without what the levels add; null: it is out for the rest of the round.</param>
    /// <param name="mayImprove"><see cref="Improve(int)"/> will be called.</param>
    public AgentTree(IReadOnlyList<Level> levels, IEnumerable<(int Index, Rank Rank)> candidates, Func<int, Rank?> rank, bool mayImprove = false)
    {
        if (mayImprove) _leaves = [];
        _levels = levels;
        _rank = rank;
        if (levels.Count == 0 && candidates.TryGetNonEnumeratedCount(out var count)) _root.Reserve(count);
        foreach (var (index, bound) in candidates) Hang(index, bound);
        _root.Fill();
    }

    /// <summary>One level: each agent's domain, under a gate or under a wish.</summary>
    internal sealed class Level
    {
        private Level(Domain?[] domains, int count) => (Domains, Count) = (domains, count);

        /// <summary>By the agents' indexes; null: the gate never lets it in.</summary>
        public Domain?[] Domains { get; }

        /// <summary>How many there are.</summary>
        public int Count { get; }

        public static Level Of(Gate gate, IReadOnlyList<AgentSlot> agents, IEnumerable<int> candidates)
        {
            var (domains, known) = (new Domain?[agents.Count], new Dictionary<string, Domain>(StringComparer.Ordinal));
            foreach (var index in candidates)
            {
                if (!agents[index].Node.Labels.TryGetValue(gate.Key, out var value)) continue;
                if (!known.TryGetValue(value, out var domain)) known.Add(value, domain = new(value, gate, null));
                domains[index] = domain;
            }
            return new(domains, known.Count);
        }

        /// <summary>null where each domain has so few agents that their ranks may tell it.</summary>
        public static Level? Of(Wish wish, IReadOnlyList<AgentSlot> agents, IReadOnlyCollection<int> candidates)
        {
            var (domains, known) = (new Domain?[agents.Count], new Dictionary<WishDomain, (Domain Domain, int Agents)>());
            var widest = 0;
            foreach (var index in candidates)
            {
                var at = wish.DomainOf(agents[index].Node);
                var (domain, count) = known.GetValueOrDefault(at);
                domain ??= new("", null, at);
                known[at] = (domain, count + 1);
                domains[index] = domain;
                widest = Math.Max(widest, count + 1);
            }
            return widest <= NarrowAgentsMax ? null : new(domains, known.Count);
        }
    }

    /// <summary>A domain of a level: of a gate, with its label's value, or of a wish.</summary>
    internal sealed class Domain(string value, Gate? gate, WishDomain? wish)
    {
        public string Value => value;
        public Gate? Gate => gate;
        public WishDomain? Wish => wish;
    }

    /// <summary>A node of the tree: a domain of its level, or an agent below the last. Its children stand in a heap, each knowing where.</summary>
    internal sealed class Branch(Branch? parent, Domain? domain, int level, int index)
    {
        private Entry[] _heap = [];
        private int _count;
        private Dictionary<Domain, Branch>? _domains;
        private int _at = -1;

        private readonly record struct Entry(Rank Bound, Branch Child);

        public Branch? Parent { get; } = parent;
        public Domain? Domain { get; } = domain;
        public int Level { get; } = level;

        /// <summary>The agent's index; −1 where this is a domain.</summary>
        public int Index { get; } = index;

        /// <summary>What this domain adds to the ranks below it.</summary>
        public long Penalty => Domain?.Wish?.Penalty ?? 0;

        /// <summary>No agent below that is not set aside has a lesser rank; with this domain's own penalty.</summary>
        public Rank Bound { get; set; }
        public bool IsQueued => _at >= 0;
        public bool IsOut { get; set; }

        /// <summary>The child whose turn is next, which stays queued; null where there is none.</summary>
        public Branch? First => _count > 0 ? _heap[0].Child : null;

        /// <summary>So many children are to come: thousands of agents below one branch need not be moved as they come.</summary>
        public void Reserve(int children) => Array.Resize(ref _heap, Math.Max(children, _count));

        public Branch Into(Domain domain)
        {
            _domains ??= [];
            if (_domains.TryGetValue(domain, out var branch)) return branch;
            _domains.Add(domain, branch = new(this, domain, Level + 1, -1));
            domain.Wish?.Branches.Add(branch);
            return branch;
        }

        public Branch Add(int index, Rank bound)
        {
            var leaf = new Branch(this, null, Level + 1, index) { Bound = bound };
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
            if (_count > 0) Bound = _heap[0].Bound.Under(Penalty);
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

    /// <summary>An agent's rank has perhaps become less: what else only grows in a round is put forward here.</summary>
    public void Improve(int index)
    {
        if (_leaves!.TryGetValue(index, out var leaf) && !leaf.IsOut && _rank(index) is { } rank && leaf.Bound.CompareTo(rank) > 0) Lift(leaf, rank);
    }

    /// <summary>A domain is liked better than before.</summary>
    public static void Improve(Branch domain)
    {
        if (domain.First is { } first) Lift(domain, first.Bound.Under(domain.Penalty));
    }

    private static void Lift(Branch branch, Rank bound)
    {
        for (var child = branch; child.Parent is { } parent; child = parent)
        {
            var earlier = child.Bound.CompareTo(bound) > 0;
            if (child.IsQueued && !earlier) return;
            if (earlier) child.Bound = bound;
            parent.Queue(child);
            bound = child.Bound.Under(parent.Penalty);
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
                branch.Queue(child);
                if (branch.First == child) return child;
                continue;
            }
            if (child.Domain!.Gate is { } gate && !gate.IsOpen(child.Domain.Value))
            {
                branch.RemoveFirst();
                gate.Park(child.Domain.Value, child);
                continue;
            }
            if (child.First is { } first && first.Bound.Under(child.Penalty) is var bound && bound.CompareTo(child.Bound) > 0)
            {
                // Liked less than when it was queued: perhaps it is no longer its turn.
                child.Bound = bound;
                branch.Queue(child);
                if (branch.First != child) continue;
            }
            if (Best(child) is not { } best)
            {
                branch.RemoveFirst(); // full, or all of it is set aside: then it comes back with what is released
                continue;
            }
            child.Bound = child.First!.Bound.Under(child.Penalty);
            branch.Queue(child);
            if (branch.First == child) return best;
        }
        return null;
    }

    private void Hang(int index, Rank bound)
    {
        var branch = _root;
        foreach (var level in _levels)
        {
            if (level.Domains[index] is not { } domain) return;
            branch = branch.Into(domain);
        }
        var leaf = branch.Add(index, bound);
        _leaves?.Add(index, leaf);
    }
}
