using Declarative.Controllers.Placement.Status;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>
/// Agents that are to be unavailable (INVERSE_OFFERS of a maintenance schedule): nothing new goes there, and what runs there is evicted within
/// its disruption budgets, so that it is elsewhere when the time comes.
/// </summary>
internal sealed partial class PlacementDesk
{
    /// <summary>How long before an agent's unavailability its pods begin to move.</summary>
    private static readonly TimeSpan MaintenanceLead = TimeSpan.FromHours(1);

    /// <summary>A budget that does not allow it now is asked again after the time that the API server names for evictions.</summary>
    private static readonly TimeSpan EvictAgain = TimeSpan.FromSeconds(10);

    /// <summary>By agent: the newest inverse offer, and when the agent is away.</summary>
    private readonly Dictionary<string, (string Offer, DateTimeOffset Start)> _closings = new(StringComparer.Ordinal);

    private void OnInverseOffers(IEnumerable<InverseOffer> offers)
    {
        var accept = new Call.Types.AcceptInverseOffers();
        foreach (var offer in offers)
        {
            accept.InverseOfferIds.Add(offer.Id);
            if (offer.AgentId is not { } agent) continue;
            _closings[agent.Value] = (offer.Id.Value, DateTimeOffset.UnixEpoch.AddTicks(offer.Unavailability.Start.Nanoseconds / 100));
            Count("inverse-offers");
            StepAgent(agent.Value);
        }
        Send(new() { Type = Call.Types.Type.AcceptInverseOffers, AcceptInverseOffers = accept });
    }

    /// <summary>The schedule has changed: whoever has not been told to go stays.</summary>
    private void OnInverseOfferRescinded(string id)
    {
        if (_closings.FirstOrDefault(x => x.Value.Offer == id).Key is { } agent) Reopen(agent);
    }

    /// <summary>Masters forget an inverse offer that was accepted; what comes without unavailability says that nothing is planned any more.</summary>
    private void Reopen(string agent)
    {
        if (_closings.Remove(agent)) StepAgent(agent);
    }

    private void StepAgent(string agent)
    {
        foreach (var record in _records.Values.Where(x => x.Agent == agent).ToList()) Step(record);
    }

    private void StepClosing(PodRecord record, DateTimeOffset now)
    {
        if (_closings.Count == 0 && record.Displaced is not { IsForMaintenance: true }) return;
        var start = _closings.TryGetValue(record.Agent, out var closing) ? closing.Start : (DateTimeOffset?)null;
        if (record.Phase is not LaunchPhase.Sent || start is not { } at)
        {
            if (record.Displaced is not { IsForMaintenance: true, Goes: true, IsSent: false } stays) return;
            stays.Goes = false;
            stays.Message = "the agent's maintenance is called off";
            return;
        }
        if (record.Displaced is { Goes: true }) return;
        if (now < at - MaintenanceLead)
        {
            _agenda.Add(record, at - MaintenanceLead);
            return;
        }
        record.Displaced = new("", violates: false, $"leaves {record.Pod.Spec.NodeName}, which is unavailable from {StatusPatch.Time(at)}") { IsOrdered = true };
    }
}
