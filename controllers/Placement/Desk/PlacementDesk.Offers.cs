using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement.Matching;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Offers: held, matched, declined.</summary>
internal sealed partial class PlacementDesk
{
    /// <summary>Of an offer that something may want soon, as pods come, move and end.</summary>
    private const double RefuseSecondsShort = 5;

    /// <summary>
    /// Of an offer of which nothing that waits can make use before a node, a pod or the offer itself has changed: the first two end in a
    /// REVIVE, and a master offers what has become more than was refused in spite of the filter.
    /// </summary>
    private const double RefuseSecondsLong = 3600;

    /// <summary>Classes of waiting pods that an offer is held against when it is given back; with more of them it is given back for a short time.</summary>
    private const int RefusalClassesMax = 50;

    /// <summary>
    /// A round that took long is followed by a rest of so many times its length, at most the longest rest, and at least as long as the round: the
    /// more agents there are, the more pods share a round, and half of the time is left for what else happens.
    /// </summary>
    private const int RoundRest = 9;
    private static readonly TimeSpan RoundRestMax = TimeSpan.FromMilliseconds(100);

    /// <summary>So long the first of a burst waits for the others: they are spread over all that is offered, not over what it has left.</summary>
    private static readonly TimeSpan BurstGathers = TimeSpan.FromMilliseconds(5);

    private bool _news;
    private DateTimeOffset _roundNext;
    private DateTimeOffset? _roundDue;

    private void OnOffers(IEnumerable<Offer> offers)
    {
        var now = Now;
        var until = now + Options.OfferHold;
        foreach (var offer in offers)
        {
            Count("offers");
            if (!_parts.Agents.KnowsAll(offer.AgentId.Value)) _parts.Agents.Seen(AgentFacts.Of(offer));
            var held = HeldOffer.Of(offer, Options.Role, now, until);
            Ledger(held.AgentId).Address = held.Address;
            if (offer.Unavailability is not null)
            {
                Decline([held], RefuseSecondsShort * 12); // maintenance is announced there: nothing new goes to it
                continue;
            }
            _book.Add(held);
            Reopen(held.AgentId);
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
        if (expired.Count == 0) return;
        var wanted = new Dictionary<(string Role, string Class), (string Role, WaitingPod Pod)>();
        foreach (var record in _waiting)
        {
            wanted.TryAdd((record.Role, record.Waiting!.Class), (record.Role, record.Waiting));
            if (wanted.Count > RefusalClassesMax) break;
        }
        foreach (var group in expired.GroupBy(x => IsWished(x) || MayBeWanted(x, wanted.Values))) Decline([.. group], group.Key ? RefuseSecondsShort : RefuseSecondsLong);
    }

    /// <summary>Something that waits could run on this offer but for where other pods stand, or it cannot be said.</summary>
    private bool MayBeWanted(HeldOffer offer, IReadOnlyCollection<(string Role, WaitingPod Pod)> wanted)
    {
        if (wanted.Count == 0) return false;
        if (wanted.Count > RefusalClassesMax || !_nodes.TryGetValue(offer.AgentId, out var node)) return true;
        var slot = new AgentSlot(offer.AgentId, node, offer.Free, new(offer.Ports)) { Volumes = VolumesOf(offer) };
        return wanted.Any(x => x.Role == offer.Role && AgentFilter.Fits(x.Pod, slot) && !AgentFilter.Fixed(x.Pod, slot).Any());
    }

    private void Decline(IReadOnlyList<HeldOffer> offers, double refuseSeconds)
    {
        var decline = new Call.Types.Decline { Filters = new() { RefuseSeconds = refuseSeconds } };
        foreach (var offer in offers) decline.OfferIds.Add(new OfferID { Value = offer.Id });
        // A master to whom it was never said holds them out for ever: who subscribes again is offered everything anew.
        Send(new() { Type = Call.Types.Type.Decline, Decline = decline }, end =>
        {
            if (end is CallEnd.Unknown) ForceResubscribe();
        });
        Touch(offers);
        Count("declines", offers.Count);
    }

    private void GatherBurst(DateTimeOffset now)
    {
        if (_roundNext < now + BurstGathers) _roundNext = now + BurstGathers;
    }

    /// <summary>One matching round: what waits against what is held.</summary>
    private void Place(DateTimeOffset now)
    {
        _roundDue = null;
        if (_waiting.Count == 0 || !_subscribed) return;
        if (_news && _identityStored && _roundNext > now)
        {
            _roundDue = _roundNext;
        }
        else if (_news && _identityStored)
        {
            var begin = _parts.Time.GetTimestamp();
            _news = false;
            var tried = false;
            // A pod is placed with the offers of its own role alone: each role is a round of its own.
            foreach (var role in WaitingRoles())
            {
                var slots = Slots(role, now);
                if (slots.Count == 0) continue;
                tried = true;
                var result = new Matcher(slots, _nodesByName, _parts.Random, _placed).Run((_roles.Count == 1 ? _waiting : _waiting.Where(x => x.Role == role)).Select(x => x.Waiting!));
                foreach (var pod in result.Refused)
                {
                    // What was kept for it was kept for this round.
                    if (pod.NominatedAgent.Length > 0 && _book.Agent(pod.NominatedAgent, role) is { } held) held.Slot = null;
                }
                if (result.Matches.Count > 0) Launch(role, result.Matches, now);
            }
            var length = _parts.Time.GetElapsedTime(begin);
            if (tried) _roundNext = now + RestAfter(length);
        }
        Explain(now);
    }

    private static TimeSpan RestAfter(TimeSpan length)
    {
        var rest = length * RoundRest < RoundRestMax ? length * RoundRest : RoundRestMax;
        return rest > length ? rest : length;
    }

    private List<AgentSlot> Slots(string role, DateTimeOffset now)
    {
        var slots = new List<AgentSlot>(_book.Agents.Count);
        foreach (var held in _book.Agents)
        {
            if (held.Role != role) continue;
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
        return new(held.AgentId, node, held.Free, ports) { Pods = ledger.Pods, Volumes = held.Volumes };
    }
}
