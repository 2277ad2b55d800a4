using System.Text.Json;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Http;

/// <summary>
/// Resources in the form of the read endpoints: beside <c>reservations</c> also the role and the reservation as they were told before
/// reservation refinement, as far as that could say it.
/// </summary>
internal static class EndpointResources
{
#pragma warning disable CS0612 // The fields of that time.
    /// <param name="resource">Changed and returned.</param>
    public static Resource AsBefore(Resource resource)
    {
        switch (resource.Reservations)
        {
            case []:
                resource.Role = "*";
                break;
            case [var only]:
                resource.Role = only.Role;
                if (only.Type == Resource.Types.ReservationInfo.Types.Type.Dynamic)
                    resource.Reservation = WithoutPlace(only);
                break;
        }

        return resource;
    }
#pragma warning restore CS0612

    /// <param name="agent">Changed and returned.</param>
    public static AgentInfo AsBefore(AgentInfo agent)
    {
        foreach (var resource in agent.Resources)
            AsBefore(resource);
        return agent;
    }

    private static Resource.Types.ReservationInfo WithoutPlace(Resource.Types.ReservationInfo reservation)
    {
        var before = reservation.Clone();
        before.ClearRole();
        before.ClearType();
        return before;
    }

    extension(Utf8JsonWriter json)
    {
        /// <summary>What is reserved, by role, and what is not.</summary>
        /// <param name="suffix">Of both members' names.</param>
        public void WriteReserved(ResourceBag bag, string suffix = "")
        {
            json.WriteStartObject("reserved_resources" + suffix);
            foreach (var (role, resources) in bag.Reserved())
                json.WriteResources(role, resources);
            json.WriteEndObject();
            json.WriteResources("unreserved_resources" + suffix, bag.Unreserved());
        }

        /// <summary>The same in full.</summary>
        public void WriteReservedInFull(ResourceBag bag)
        {
            json.WriteStartObject("reserved_resources_full");
            foreach (var (role, resources) in bag.Reserved())
                json.WriteMessages(role, resources.ToProtocol().Select(AsBefore));
            json.WriteEndObject();
            json.WriteMessages("unreserved_resources_full", bag.Unreserved().ToProtocol().Select(AsBefore));
        }
    }
}
