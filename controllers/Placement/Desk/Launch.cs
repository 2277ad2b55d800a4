using Declarative.Controllers.Placement.Matching;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>One ACCEPT in the making: all offers of one agent, and the pods whose intents are being stored.</summary>
internal sealed class Launch(string agentId, string role, IReadOnlyList<HeldOffer> offers, int epoch, int pending)
{
    public string AgentId { get; } = agentId;
    public string Role { get; } = role;
    public IReadOnlyList<HeldOffer> Offers { get; } = offers;

    /// <summary>The subscription that the offers belong to.</summary>
    public int Epoch { get; } = epoch;

    /// <summary>Intents that have not been answered yet; the ACCEPT waits for all of them.</summary>
    public int Pending { get; set; } = pending;
    public bool Rescinded { get; set; }
    public bool Accepted { get; set; }
    public List<(PodRecord Record, Offer.Types.Operation Operation)> Ready { get; } = [];
}
