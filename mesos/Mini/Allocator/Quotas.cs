using Declarative.Mesos.Protocol.QuotaApi;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>
/// Limits and guarantees of top-level roles. A role consumes what is reserved for it and its children (offered or not) and what they
/// have been allocated beyond that; a limit is never passed by new offers, and what guarantees still need is kept back from other roles.
/// </summary>
/// <remarks>Source: Mesos' document "Quota". Reserved and revocable resources are offered whatever the limit.</remarks>
internal sealed class Quotas(RoleTree roles)
{
    private readonly SortedDictionary<string, QuotaConfig> _configs = new(StringComparer.Ordinal);
    private long[]? _spare;

    /// <summary>All that were ever set, in the order of their roles; an empty one is a role without limit or guarantee.</summary>
    public IReadOnlyCollection<QuotaConfig> Configs => _configs.Values;

    public bool HasGuarantees { get; private set; }

    public void Set(QuotaConfig config)
    {
        _configs[config.Role] = config;
        HasGuarantees = _configs.Values.Any(one => one.Guarantees.Count > 0);
    }

    public void Remove(string role)
    {
        _configs.Remove(role);
        HasGuarantees = _configs.Values.Any(one => one.Guarantees.Count > 0);
    }

    public QuotaConfig? Of(string role) => _configs.GetValueOrDefault(RoleTree.Top(role));

    /// <summary>Thousandths of one scalar that a top-level role and its children have reserved or are using.</summary>
    public long Consumption(string top, string name)
    {
        var node = roles.Path(top)[0];
        return node.Reserved[name] + node.Unreserved[name];
    }

    /// <summary>Begins a round: how much is free beyond what guarantees still need.</summary>
    public void Begin(IEnumerable<Slot> slots)
    {
        _spare = null;
        if (!HasGuarantees)
            return;
        var free = new Quantities();
        foreach (var slot in slots.Where(slot => slot.Active))
            free.AddUnreserved(slot.Available, 1);
        _spare = [.. Quantities.Names.Select(name => free[name] - _configs.Keys.Sum(role => Unmet(role, name)))];
    }

    /// <summary>Cuts what a role may not have out of what it is about to get.</summary>
    public void Cut(string role, ResourceBag resources)
    {
        if (_configs.Count == 0)
            return;
        var top = RoleTree.Top(role);
        var config = _configs.GetValueOrDefault(top);
        for (var i = 0; i < Quantities.Names.Length; i++)
        {
            var name = Quantities.Names[i];
            if (config is not null && config.Limits.TryGetValue(name, out var limit))
                resources.Cap(name, Milli.Of(limit.Value) - Consumption(top, name));
            if (_spare is not null)
                resources.Cap(name, Math.Max(0, _spare[i]) + Unmet(top, name));
        }
    }

    /// <summary>Counts what a role has got in this round. Before it is counted to the role.</summary>
    public void Took(string role, ResourceBag resources)
    {
        if (_spare is null)
            return;
        var taken = new Quantities();
        taken.AddUnreserved(resources, 1);
        var top = RoleTree.Top(role);
        for (var i = 0; i < _spare.Length; i++)
            _spare[i] -= Math.Max(0, taken[Quantities.Names[i]] - Unmet(top, Quantities.Names[i]));
    }

    private long Unmet(string top, string name) =>
        _configs.TryGetValue(top, out var config) && config.Guarantees.TryGetValue(name, out var guarantee)
            ? Math.Max(0, Milli.Of(guarantee.Value) - Consumption(top, name))
            : 0;
}
