using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement.Matching;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Offers: held, matched, declined; and the wish for them: REVIVE and SUPPRESS.</summary>
internal sealed partial class PlacementDesk
{
    private static readonly TimeSpan ReviveFirst = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan ReviveMax = TimeSpan.FromSeconds(5);

    /// <summary>Of an offer that did not fit what waits, and of one that nothing waited for (REVIVE lifts every filter).</summary>
    private const double RefuseSecondsShort = 5;
    private const double RefuseSecondsLong = 3600;

    private bool _news;
    private bool _suppressed;
    private DateTimeOffset? _suppressDue;
    private DateTimeOffset? _reviveDue;
    private TimeSpan _reviveBackoff = ReviveFirst;

    private void OnOffers(IEnumerable<Offer> offers)
    {
        var until = Now + Options.OfferHold;
        foreach (var offer in offers)
        {
            Count("offers");
            _parts.Agents.Seen(AgentFacts.Of(offer));
            var held = HeldOffer.Of(offer, until);
            Ledger(held.AgentId).Address = held.Address;
            if (offer.Unavailability is not null)
            {
                Decline([held], RefuseSecondsShort * 12); // maintenance is announced there: nothing new goes to it
                continue;
            }
            _book.Add(held);
        }
        _news = true;
    }

    private void OnRescind(string offerId)
    {
        Count("rescinds");
        if (_book.Remove(offerId)) return;
        // On its way into an ACCEPT: if that has not been sent, it will not be.
        foreach (var launch in _launches)
        {
            if (launch.Offers.Any(x => x.Id == offerId)) launch.Rescinded = true;
        }
    }

    private void DeclineExpired(DateTimeOffset now)
    {
        var expired = _book.TakeExpired(now);
        if (expired.Count > 0) Decline(expired, _waiting.Count > 0 ? RefuseSecondsShort : RefuseSecondsLong);
    }

    private void Decline(IReadOnlyList<HeldOffer> offers, double refuseSeconds)
    {
        var decline = new Call.Types.Decline { Filters = new() { RefuseSeconds = refuseSeconds } };
        foreach (var offer in offers) decline.OfferIds.Add(new OfferID { Value = offer.Id });
        Send(new() { Type = Call.Types.Type.Decline, Decline = decline });
        Count("declines", offers.Count);
    }

    /// <summary>One matching round: what waits against what is held.</summary>
    private void Place(DateTimeOffset now)
    {
        if (_waiting.Count == 0 || !_subscribed) return;
        var matcher = default(Matcher);
        if (_news && _identityStored)
        {
            _news = false;
            var slots = Slots(now);
            matcher = new(slots, _nodesByName, _placed, _parts.Random);
            if (slots.Count > 0)
            {
                var result = matcher.Run(_waiting.Select(x => x.Waiting!));
                if (result.Matches.Count > 0) Launch(result.Matches, now);
            }
        }
        Explain(matcher, now);
    }

    private List<AgentSlot> Slots(DateTimeOffset now)
    {
        var slots = new List<AgentSlot>();
        foreach (var held in _book.Agents)
        {
            if (held.Slot is null && _nodes.TryGetValue(held.AgentId, out var node)) held.Slot = SlotOf(held, node, now);
            if (held.Slot is { } slot) slots.Add(slot);
        }
        return slots;
    }

    private AgentSlot SlotOf(HeldAgent held, AgentNode node, DateTimeOffset now)
    {
        var ledger = Ledger(held.AgentId);
        var ports = new PortSet(held.Offers.SelectMany(x => x.Ports));
        if (ledger.BadPorts.Count > 0)
        {
            foreach (var (port, until) in ledger.BadPorts.ToList())
            {
                if (until <= now) ledger.BadPorts.Remove(port);
                else ports.Take(port);
            }
        }
        return new(held.AgentId, node, held.Free, ports) { Pods = ledger.Pods };
    }

    private void ReviveOrSuppress(DateTimeOffset now)
    {
        if (!_subscribed || _waiting.Count > 0 || _suppressed) _suppressDue = null;
        if (!_subscribed || _waiting.Count == 0) _reviveDue = null;
        if (!_subscribed) return;
        if (_waiting.Count > 0)
        {
            if (_suppressed) Revive(now);
            else if (_launches.Exists(x => !x.Accepted)) _reviveDue = null; // what comes back of these is matched first
            else if (_reviveDue is { } due && due <= now) Revive(now);
            else _reviveDue ??= now + _reviveBackoff; // what it wants may lie behind our own filters, or in a remainder that is offered only with the master's next round
            return;
        }
        if (_suppressed) return;
        _suppressDue ??= now + SuppressAfter;
        if (_suppressDue > now) return;
        _suppressDue = null;
        _suppressed = true;
        Send(new() { Type = Call.Types.Type.Suppress, Suppress = new() });
        Count("suppresses");
    }

    private void Revive(DateTimeOffset now)
    {
        _suppressed = false;
        Send(new() { Type = Call.Types.Type.Revive, Revive = new() });
        Count("revives");
        _reviveDue = now + _reviveBackoff;
        _reviveBackoff = _reviveBackoff * 2 > ReviveMax ? ReviveMax : _reviveBackoff * 2;
    }
}
