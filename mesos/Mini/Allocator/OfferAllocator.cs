using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>
/// Decides who is offered what: agents in random order; of each agent everything that is free goes to the role that has least for its
/// weight (<see cref="RoleTree"/>), within it to the framework with the smallest dominant share, unless it has refused it, its
/// constraints exclude the agent or its role's quota is used up (<see cref="Quotas"/>).
/// </summary>
/// <remarks>Called by the master alone, under its gate.</remarks>
internal sealed class OfferAllocator
{
    // Mesos' min_allocatable_resources: cpus:0.01|mem:32.
    private const long CpusMin = 10;
    private const long MemMin = 32_000;

    private readonly Random _random;
    private readonly List<Slot> _slots = [];
    private readonly List<Claimant> _claimants = [];
    private readonly PriorityQueue<DateTimeOffset, DateTimeOffset> _refusalEnds = new();
    private readonly Quantities _total = new();

    public OfferAllocator(Random random)
    {
        _random = random;
        Quotas = new(Roles);
    }

    /// <summary>What the roles have, and their weights.</summary>
    public RoleTree Roles { get; } = new();

    public Quotas Quotas { get; }

    /// <summary>All agents' resources together.</summary>
    public Quantities Total => _total;

    /// <summary>Something became free since the last round over all agents.</summary>
    public bool IsDirty { get; private set; }

    public void Add(Slot slot)
    {
        _slots.Add(slot);
        _total.Add(slot.Total);
        Roles.AddReservations(slot.Total);
    }

    public void Remove(Slot slot)
    {
        _slots.Remove(slot);
        _total.Subtract(slot.Total);
        Roles.RemoveReservations(slot.Total);
        foreach (var claimant in _claimants)
            claimant.Forget(slot);
    }

    public void Add(Claimant claimant) => _claimants.Add(claimant);

    public void Remove(Claimant claimant) => _claimants.Remove(claimant);

    /// <summary>
    /// Counts resources that are in use without an offer (tasks of an agent that has come back). A shared volume counts for nobody: it stays
    /// there for all.
    /// </summary>
    public void Take(Claimant claimant, Slot slot, string role, ResourceBag resources)
    {
        slot.Available.Subtract(resources);
        var counted = resources.WithoutShared();
        Count(claimant, role).Add(counted);
        Roles.Add(role, counted);
    }

    /// <summary>An agent's resources become something else: reserved, a volume, or plain again. The part that is free or taken is the caller's.</summary>
    public void Convert(Slot slot, Conversion conversion)
    {
        Roles.RemoveReservations(slot.Total);
        slot.Total.Convert(conversion);
        Roles.AddReservations(slot.Total);
        IsDirty = true;
    }

    /// <summary>Who may have what has changed: the next round is to look at everything.</summary>
    public void Reconsider() => IsDirty = true;

    /// <summary>Resources become free: an offer was declined or rescinded, a task ended.</summary>
    public void Recover(Claimant claimant, Slot slot, string role, ResourceBag resources)
    {
        slot.Available.Add(resources);
        var counted = resources.WithoutShared();
        Count(claimant, role).Subtract(counted);
        Roles.Subtract(role, counted);
        IsDirty = true;
    }

    public void Refuse(Claimant claimant, Slot slot, string role, ResourceBag resources, DateTimeOffset until)
    {
        claimant.Refuse(slot, role, resources, until);
        _refusalEnds.Enqueue(until, until);
    }

    /// <summary>When the next refusal ends, so that what it covers can be offered again.</summary>
    public DateTimeOffset? NextRefusalEnd(DateTimeOffset now)
    {
        while (_refusalEnds.TryPeek(out var end, out _))
        {
            if (end > now)
                return end;
            _refusalEnds.Dequeue();
        }

        return null;
    }

    /// <summary>A round over all agents.</summary>
    public List<Allocation> Allocate(DateTimeOffset now)
    {
        IsDirty = false;
        var order = _slots.ToArray();
        _random.Shuffle(order);
        return Allocate(order, now);
    }

    /// <summary>A round over some agents: those that have just come.</summary>
    public List<Allocation> Allocate(ReadOnlySpan<Slot> order, DateTimeOffset now)
    {
        List<Allocation> allocations = [];
        var candidates = Candidates();
        if (candidates.Length == 0)
            return allocations;
        Quotas.Begin(_slots);
        foreach (var slot in order)
        {
            if (!slot.Active || slot.Available.IsEmpty)
                continue;
            if (candidates.Length > 1)
                Sort(candidates);
            foreach (var candidate in candidates)
            {
                if (Fitting(candidate, slot, now) is not { } resources)
                    continue;
                Quotas.Took(candidate.Role, resources);
                Take(candidate.Claimant, slot, candidate.Role, resources);
                allocations.Add(new(candidate.Claimant, slot, candidate.Role, resources));
                if (slot.Available.IsEmpty)
                    break;
            }
        }

        return allocations;
    }

    private ResourceBag? Fitting(Candidate candidate, Slot slot, DateTimeOffset now)
    {
        var (claimant, role) = (candidate.Claimant, candidate.Role);
        if (slot.HasGpus && !claimant.UsesGpus)
            return null;
        if (claimant.Constraints.TryGetValue(role, out var constraint) && !constraint.Admits(slot.Record))
            return null;
        var resources = slot.Available.UsableBy(role);
        if (!claimant.TakesRevocable)
            resources = resources.WithoutRevocable();
        if (!claimant.TakesShared)
            resources = resources.WithoutShared();
        Quotas.Cut(role, resources);
        var allocatable = resources.Scalar("cpus") >= CpusMin || resources.Scalar("mem") >= MemMin;
        return allocatable && claimant.IsLargeEnough(role, resources) && !claimant.Refuses(slot, role, resources, now) ? resources : null;
    }

    private Candidate[] Candidates() =>
        [
            .. from claimant in _claimants
            where claimant.Active
            from role in claimant.Roles
            where !claimant.Suppressed.Contains(role)
            select new Candidate(claimant, role, Roles.Path(role), Count(claimant, role)),
        ];

    private void Sort(Candidate[] candidates)
    {
        foreach (var candidate in candidates)
            candidate.Share = candidate.Own.DominantShare(_total);
        // A stable sort: equal shares keep the order in which the frameworks came.
        for (var i = 1; i < candidates.Length; i++)
        {
            var moved = candidates[i];
            var at = i;
            for (; at > 0 && ComesBefore(moved, candidates[at - 1]); at--)
                candidates[at] = candidates[at - 1];
            candidates[at] = moved;
        }
    }

    private bool ComesBefore(Candidate one, Candidate other)
    {
        var roles = Roles.Compare(one.Path, other.Path, _total);
        return roles != 0 ? roles < 0 : one.Share < other.Share;
    }

    private static Quantities Count(Claimant claimant, string role)
    {
        if (!claimant.Allocated.TryGetValue(role, out var count))
            claimant.Allocated[role] = count = new();
        return count;
    }

    private sealed class Candidate(Claimant claimant, string role, IReadOnlyList<RoleTree.Node> path, Quantities own)
    {
        public Claimant Claimant { get; } = claimant;
        public string Role { get; } = role;
        public IReadOnlyList<RoleTree.Node> Path { get; } = path;
        public Quantities Own { get; } = own;
        public double Share { get; set; }
    }
}
