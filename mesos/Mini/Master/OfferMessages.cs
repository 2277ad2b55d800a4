using Declarative.Mesos.Protocol;
using Capability = Declarative.Mesos.Protocol.FrameworkInfo.Types.Capability.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>The OFFERS message of an offer, in the form that the framework's capabilities ask for.</summary>
internal static class OfferMessages
{
    public static Declarative.Mesos.Protocol.Offer Of(Offer offer)
    {
        var agent = offer.Agent;
        var message = new Declarative.Mesos.Protocol.Offer
        {
            Id = new() { Value = offer.Id },
            FrameworkId = new() { Value = offer.Framework.Id },
            AgentId = new() { Value = agent.Id },
            Hostname = agent.Record.Hostname,
            Url = UrlOf(agent),
        };
        if (agent.Record.Domain is { } domain)
            message.Domain = domain;
        if (agent.Unavailability is { } unavailability)
            message.Unavailability = unavailability;
        message.Attributes.Add(agent.Record.Attributes);
        foreach (var executor in agent.Executors.Values)
        {
            if (executor.Framework == offer.Framework)
                message.ExecutorIds.Add(executor.Record.ExecutorId);
        }

        var multiRole = offer.Framework.Has(Capability.MultiRole);
        if (multiRole)
            message.AllocationInfo = new() { Role = offer.Role };
        message.Resources.Add(offer.Resources.ToProtocol(multiRole ? offer.Role : null));
        if (!offer.Framework.Has(Capability.ReservationRefinement))
        {
            foreach (var resource in message.Resources)
                ToOldForm(resource);
        }

        return message;
    }

    public static URL UrlOf(Agent agent) =>
        new()
        {
            Scheme = "http",
            Address = agent.Address ?? new Address { Hostname = agent.Record.Hostname, Port = agent.Record.Port },
            Path = "/slave(1)",
        };

    /// <summary>As operators see resources: the newer form, and the older one beside it where it can say the same.</summary>
    public static void ToBothForms(Resource resource)
    {
#pragma warning disable CS0612
        if (resource.Reservations.Count == 0)
            resource.Role = "*";
        if (resource.Reservations.Count != 1)
            return;
        var reservation = resource.Reservations[0];
        resource.Role = reservation.Role;
        if (reservation.Type != Resource.Types.ReservationInfo.Types.Type.Dynamic)
            return;
        resource.Reservation = reservation.Clone();
        resource.Reservation.ClearType();
        resource.Reservation.ClearRole();
#pragma warning restore CS0612
    }

    /// <summary>The form before reservation refinement: one role, "*" when unreserved, and one reservation when dynamic.</summary>
    public static void ToOldForm(Resource resource)
    {
#pragma warning disable CS0612 // The old form is what these frameworks understand.
        if (resource.Reservations.Count == 0)
        {
            resource.Role = "*";
            return;
        }

        if (resource.Reservations.Count > 1)
            return;
        var reservation = resource.Reservations[0];
        resource.Reservations.Clear();
        resource.Role = reservation.Role;
        if (reservation.Type != Resource.Types.ReservationInfo.Types.Type.Dynamic)
            return;
        resource.Reservation = reservation;
        reservation.ClearType();
        reservation.ClearRole();
#pragma warning restore CS0612
    }
}
