using Declarative.Controllers.Placement.Matching;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>What of an offer this platform can use: the unreserved scalars and ports.</summary>
internal sealed record HeldOffer(string Id, string AgentId, string Hostname, string Address, Amounts Free, IReadOnlyList<(int Begin, int End)> Ports, DateTimeOffset Until)
{
    public static HeldOffer Of(Offer offer, DateTimeOffset until)
    {
        var ports = new List<(int, int)>();
        var free = default(Amounts);
        foreach (var resource in offer.Resources)
        {
            if (resource.Reservations.Count > 0 || resource.Reservation is not null || resource.Revocable is not null || resource.Shared is not null) continue;
            if (resource.ProviderId is not null || resource.Disk is { } disk && (disk.Persistence is not null || disk.Source is not null)) continue;
            switch (resource.Name)
            {
                case "cpus": free += new Amounts(Milli(resource), 0, 0); break;
                case "mem": free += new Amounts(0, Milli(resource), 0); break;
                case "disk": free += new Amounts(0, 0, Milli(resource)); break;
                case "gpus": free += new Amounts(0, 0, 0, Milli(resource)); break;
                case "ports": ports.AddRange(resource.Ranges.Range.Select(x => ((int)x.Begin, (int)x.End))); break;
            }
        }
        var address = offer.Url?.Address;
        return new(offer.Id.Value, offer.AgentId.Value, offer.Hostname, address is null ? offer.Hostname : address.Ip.Length > 0 ? address.Ip : address.Hostname, free, ports, until);
    }

    private static long Milli(Resource resource) => (long)Math.Round((resource.Scalar?.Value ?? 0) * 1000, MidpointRounding.AwayFromZero);
}

/// <summary>The offers of one agent, which are accepted together.</summary>
internal sealed class HeldAgent(string agentId)
{
    public string AgentId { get; } = agentId;
    public List<HeldOffer> Offers { get; } = [];

    /// <summary>The agent as the matcher sees it; null where it must be made anew.</summary>
    public AgentSlot? Slot { get; set; }

    public Amounts Free => Offers.Aggregate(default(Amounts), (sum, x) => sum + x.Free);
}

/// <summary>The offers that are held now, by agent. Not synchronised: it belongs to the desk's loop.</summary>
internal sealed class OfferBook
{
    private readonly Dictionary<string, HeldAgent> _agents = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HeldOffer> _offers = new(StringComparer.Ordinal);

    public int Count => _offers.Count;

    public IEnumerable<HeldAgent> Agents => _agents.Values;

    public HeldAgent? Agent(string agentId) => _agents.GetValueOrDefault(agentId);

    public void Add(HeldOffer offer)
    {
        if (!_offers.TryAdd(offer.Id, offer)) return;
        if (!_agents.TryGetValue(offer.AgentId, out var agent)) _agents.Add(offer.AgentId, agent = new(offer.AgentId));
        agent.Offers.Add(offer);
        agent.Slot = null;
        if (NextExpiry is null || offer.Until < NextExpiry) NextExpiry = offer.Until;
    }

    /// <summary>False where the offer is not held: unknown, or already on its way into an ACCEPT.</summary>
    public bool Remove(string offerId)
    {
        if (!_offers.Remove(offerId, out var offer)) return false;
        var agent = _agents[offer.AgentId];
        agent.Offers.Remove(offer);
        agent.Slot = null;
        if (agent.Offers.Count == 0) _agents.Remove(offer.AgentId);
        return true;
    }

    /// <summary>Takes all offers of an agent out, to accept them.</summary>
    public IReadOnlyList<HeldOffer> TakeAgent(string agentId)
    {
        if (!_agents.Remove(agentId, out var agent)) return [];
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
