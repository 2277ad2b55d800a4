using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>A framework as the allocator sees it.</summary>
internal sealed class Claimant(string id)
{
    private readonly Dictionary<Slot, List<Refusal>> _refusals = [];

    public string Id { get; } = id;

    /// <summary>False while the framework is disconnected.</summary>
    public bool Active { get; set; }

    /// <summary>Agents with gpus are kept for frameworks that ask for them.</summary>
    public bool UsesGpus { get; set; }

    /// <summary>It takes resources that may be taken back at any time.</summary>
    public bool TakesRevocable { get; set; }

    /// <summary>It takes volumes that others may use at the same time.</summary>
    public bool TakesShared { get; set; }

    /// <summary>Per role: the agents it wants to be offered.</summary>
    public IReadOnlyDictionary<string, OfferConstraint> Constraints { get; set; } = new Dictionary<string, OfferConstraint>();

    public IReadOnlyList<string> Roles { get; set; } = [];
    public HashSet<string> Suppressed { get; } = new(StringComparer.Ordinal);

    /// <summary>Per role: the smallest offers the framework wants to see, one of them must fit (FrameworkInfo.offer_filters).</summary>
    public IReadOnlyDictionary<string, List<Dictionary<string, long>>> Smallest { get; set; } =
        new Dictionary<string, List<Dictionary<string, long>>>();

    /// <summary>What it has of each role, offered or in use.</summary>
    public Dictionary<string, Quantities> Allocated { get; } = new(StringComparer.Ordinal);

    public void Refuse(Slot slot, string role, ResourceBag resources, DateTimeOffset until)
    {
        if (!_refusals.TryGetValue(slot, out var list))
            _refusals[slot] = list = [];
        list.Add(new(role, resources, until));
    }

    /// <summary>An offer is filtered when it holds nothing beyond what was refused.</summary>
    public bool Refuses(Slot slot, string role, ResourceBag resources, DateTimeOffset now)
    {
        if (!_refusals.TryGetValue(slot, out var list))
            return false;
        list.RemoveAll(refusal => refusal.Until <= now);
        if (list.Count == 0)
            _refusals.Remove(slot);
        foreach (var refusal in list)
        {
            if (refusal.Role == role && refusal.Resources.Contains(resources))
                return true;
        }

        return false;
    }

    /// <summary>Forgets the refusals in these roles (REVIVE).</summary>
    public void Forgive(IReadOnlyCollection<string> roles)
    {
        foreach (var slot in _refusals.Keys.ToList())
        {
            _refusals[slot].RemoveAll(refusal => roles.Contains(refusal.Role));
            if (_refusals[slot].Count == 0)
                _refusals.Remove(slot);
        }
    }

    public void Forget(Slot slot) => _refusals.Remove(slot);

    public bool IsLargeEnough(string role, ResourceBag resources) =>
        !Smallest.TryGetValue(role, out var smallest)
        || smallest.Exists(wanted => wanted.All(quantity => resources.Scalar(quantity.Key) >= quantity.Value));

    private readonly record struct Refusal(string Role, ResourceBag Resources, DateTimeOffset Until);
}
