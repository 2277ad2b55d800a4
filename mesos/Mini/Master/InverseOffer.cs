using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Master;

/// <summary>A framework is asked to leave an agent by a time, and has not answered yet.</summary>
internal sealed record InverseOffer(string Id, Framework Framework, Agent Agent, Unavailability Unavailability)
{
    public Declarative.Mesos.Protocol.InverseOffer ToProtocol() =>
        new()
        {
            Id = new() { Value = Id },
            Url = OfferMessages.UrlOf(Agent),
            FrameworkId = Framework.Record.Id,
            AgentId = Agent.Record.Id,
            Unavailability = Unavailability,
        };
}
