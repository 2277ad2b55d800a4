using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Volumes;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>What of an offer this platform can use: scalars and ports, unreserved or reserved for its role, and its volumes.</summary>
/// <param name="Free">Without volumes and without what is reserved for one.</param>
/// <param name="PlainDisk">The unreserved part of the disk, in thousandths of MiB.</param>
internal sealed record HeldOffer(string Id, string AgentId, string Role, string Hostname, string Address, Amounts Free, IReadOnlyList<(int Begin, int End)> Ports, long PlainDisk, DateTimeOffset Since, DateTimeOffset Until)
{
    private static readonly List<Resource> None = [];

    /// <summary>Reserved for the role, and for no volume: used before what is unreserved.</summary>
    public IReadOnlyList<Resource> Reserved { get; init; } = None;

    /// <summary>Persistent volumes, and disk that is reserved for one.</summary>
    public IReadOnlyList<Resource> OfVolumes { get; init; } = None;

    /// <param name="role">Of offers that name none.</param>
    public static HeldOffer Of(Offer offer, string role, DateTimeOffset now, DateTimeOffset until)
    {
        var ports = new List<(int, int)>();
        var free = default(Amounts);
        var plainDisk = 0L;
        List<Resource>? reserved = null, volumes = null;
        foreach (var resource in offer.Resources)
        {
            // What may be taken back, is shared and no volume, or is of a storage provider is nobody's of this platform.
            if (resource.Revocable is not null || (resource.Shared is not null && resource.Disk?.Persistence is null) || resource.ProviderId is not null || resource.Disk?.Source is not null) continue;
            if (VolumeResources.IsOfVolume(resource))
            {
                (volumes ??= []).Add(resource);
                continue;
            }
            if (resource.Reservations.Count > 0) (reserved ??= []).Add(resource);
            switch (resource.Name)
            {
                case "cpus": free += new Amounts(Milli(resource), 0, 0); break;
                case "mem": free += new Amounts(0, Milli(resource), 0); break;
                case "disk":
                    free += new Amounts(0, 0, Milli(resource));
                    if (resource.Reservations.Count == 0) plainDisk += Milli(resource);
                    break;
                case "gpus": free += new Amounts(0, 0, 0, Milli(resource)); break;
                case "ports": ports.AddRange(resource.Ranges.Range.Select(x => ((int)x.Begin, (int)x.End))); break;
            }
        }
        var address = offer.Url?.Address;
        var host = address is null ? offer.Hostname : address.Ip.Length > 0 ? address.Ip : address.Hostname;
        return new(offer.Id.Value, offer.AgentId.Value, offer.AllocationInfo is { Role.Length: > 0 } to ? to.Role : role, offer.Hostname, host, free, ports, plainDisk, now, until)
        {
            Reserved = reserved ?? None,
            OfVolumes = volumes ?? None,
        };
    }

    private static long Milli(Resource resource) => Mesos.Resources.Milli.Of(resource.Scalar?.Value ?? 0);
}

/// <summary>The offers of one agent in one role, which are accepted together.</summary>
internal sealed class HeldAgent(string agentId, string role)
{
    public string AgentId { get; } = agentId;
    public string Role { get; } = role;
    public List<HeldOffer> Offers { get; } = [];

    /// <summary>The agent as the matcher sees it; null where it must be made anew.</summary>
    public AgentSlot? Slot { get; set; }

    public Amounts Free => Offers.Aggregate(default(Amounts), (sum, x) => sum + x.Free);

    public IEnumerable<Resource> OfVolumes => Offers.SelectMany(x => x.OfVolumes);

    /// <summary>Persistence ids of the volumes that are offered.</summary>
    public IReadOnlySet<string>? Volumes => Offers.Exists(x => x.OfVolumes.Count > 0) ? OfVolumes.Where(x => x.Disk?.Persistence is not null).Select(x => x.Disk.Persistence.Id).ToHashSet(StringComparer.Ordinal) : null;
}

/// <summary>The offers that are held now, by agent and role. Not synchronised: it belongs to the desk's loop.</summary>
internal sealed class OfferBook
{
    private readonly Dictionary<(string Agent, string Role), HeldAgent> _agents = [];
    private readonly Dictionary<string, HeldOffer> _offers = new(StringComparer.Ordinal);

    /// <summary>Roles that were ever offered in: there are few.</summary>
    private readonly List<string> _roles = [];

    public int Count => _offers.Count;

    public IReadOnlyCollection<HeldAgent> Agents => _agents.Values;

    public HeldAgent? Agent(string agentId, string role) => _agents.GetValueOrDefault((agentId, role));

    /// <summary>What is held of an agent, in whatever role.</summary>
    public IEnumerable<HeldAgent> Of(string agentId)
    {
        foreach (var role in _roles)
        {
            if (_agents.TryGetValue((agentId, role), out var held)) yield return held;
        }
    }

    /// <summary>The matcher's view of an agent must be made anew.</summary>
    public bool Renew(string agentId)
    {
        var any = false;
        foreach (var held in Of(agentId))
        {
            held.Slot = null;
            any = true;
        }
        return any;
    }

    public void Add(HeldOffer offer)
    {
        if (!_offers.TryAdd(offer.Id, offer)) return;
        var key = (offer.AgentId, offer.Role);
        if (!_agents.TryGetValue(key, out var agent)) _agents.Add(key, agent = new(offer.AgentId, offer.Role));
        if (!_roles.Contains(offer.Role)) _roles.Add(offer.Role);
        agent.Offers.Add(offer);
        agent.Slot = null;
        if (NextExpiry is null || offer.Until < NextExpiry) NextExpiry = offer.Until;
    }

    /// <summary>False where the offer is not held: unknown, or already on its way into an ACCEPT.</summary>
    public bool Remove(string offerId)
    {
        if (!_offers.Remove(offerId, out var offer)) return false;
        var agent = _agents[(offer.AgentId, offer.Role)];
        agent.Offers.Remove(offer);
        agent.Slot = null;
        if (agent.Offers.Count == 0) _agents.Remove((offer.AgentId, offer.Role));
        return true;
    }

    /// <summary>Takes all offers of an agent in a role out, to accept them.</summary>
    public IReadOnlyList<HeldOffer> TakeAgent(string agentId, string role)
    {
        if (!_agents.Remove((agentId, role), out var agent)) return [];
        foreach (var offer in agent.Offers) _offers.Remove(offer.Id);
        return agent.Offers;
    }

    /// <summary>Takes out the offers whose time is over.</summary>
    public IReadOnlyList<HeldOffer> TakeExpired(DateTimeOffset now)
    {
        if (NextExpiry is null || NextExpiry > now) return [];
        var expired = _offers.Values.Where(x => x.Until <= now).ToList();
        foreach (var offer in expired) Remove(offer.Id);
        NextExpiry = _offers.Count == 0 ? null : _offers.Values.Min(x => x.Until);
        return expired;
    }

    /// <summary>No offer's time is over before; the one whose time this was may have been taken out already.</summary>
    public DateTimeOffset? NextExpiry { get; private set; }

    /// <summary>The subscription is gone, and with it every offer.</summary>
    public void Clear()
    {
        _agents.Clear();
        _offers.Clear();
        NextExpiry = null;
    }
}
