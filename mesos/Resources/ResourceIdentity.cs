using System.Text;
using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Mesos.Resources;

/// <summary>
/// What makes two resources of one name different things: reservations, disk source and volume, provider, revocable, shared.
/// To whom it is allocated is not part of it: a bag is allocated as a whole.
/// </summary>
internal sealed class ResourceIdentity : IEquatable<ResourceIdentity>
{
    private readonly ByteString details;
    private readonly Resource? template;

    private ResourceIdentity(string name, Value.Types.Type type, Resource? template)
    {
        Name = name;
        Type = type;
        this.template = template;
        details = Details(template);
    }

    public string Name { get; }
    public Value.Types.Type Type { get; }

    /// <summary>Not reserved, no special disk: what almost every resource is.</summary>
    public bool IsPlain => template is null;

    /// <summary>The role the resource is reserved for, the most refined one; null when it is unreserved.</summary>
    public string? ReservedFor => template is { Reservations.Count: > 0 } reserved ? reserved.Reservations[^1].Role : null;

    /// <summary>A dynamic reservation or a persistent volume: it does not come from the agent's flags.</summary>
    public bool IsCheckpointed =>
        template is not null
        && (
            template.Disk?.Persistence is not null
            || template.Reservations.Any(one => one.Type == Resource.Types.ReservationInfo.Types.Type.Dynamic)
        );

    public bool IsRevocable => template?.Revocable is not null;

    public bool IsShared => template?.Shared is not null;

    public static ResourceIdentity Of(Resource resource)
    {
        var oldRole = Role(resource);
        var plain =
            resource.Reservations.Count == 0
            && resource.Disk is null
            && resource.Revocable is null
            && resource.Shared is null
            && resource.ProviderId is null
            && oldRole is null;
        if (plain)
            return new(resource.Name, resource.Type, null);
        var bare = resource.Clone();
        bare.Scalar = null;
        bare.Ranges = null;
        bare.Set = null;
        bare.AllocationInfo = null;
        if (oldRole is not null && bare.Reservations.Count == 0)
            bare.Reservations.Add(OldReservation(resource, oldRole));
#pragma warning disable CS0612 // The form before reservation refinement is still sent by frameworks without that capability.
        bare.ClearRole();
        bare.Reservation = null;
#pragma warning restore CS0612
        return new(resource.Name, resource.Type, bare);
    }

    public Resource ToProtocol() => template?.Clone() ?? new Resource { Name = Name, Type = Type };

    public bool Equals(ResourceIdentity? other) =>
        other is not null && Type == other.Type && Name == other.Name && details.Equals(other.details);

    public override bool Equals(object? other) => Equals(other as ResourceIdentity);

    public override int GetHashCode() => HashCode.Combine(Name, details);

    // Where a task has a volume in its sandbox is said of the use, not of the volume: a task may name another path than CREATE did.
    private static ByteString Details(Resource? template)
    {
        if (template?.Disk?.Volume is null)
            return template?.ToByteString() ?? ByteString.Empty;
        var bare = template.Clone();
        bare.Disk.Volume = null;
        return bare.ToByteString();
    }

    /// <summary>Name and reservations as Mesos prints them in its messages.</summary>
    public void Print(StringBuilder text, string? allocatedTo)
    {
        text.Append(Name);
        if (allocatedTo is not null)
            text.Append("(allocated: ").Append(allocatedTo).Append(')');
        if (template is not { Reservations.Count: > 0 })
            return;
        text.Append("(reservations: [").AppendJoin(", ", template.Reservations.Select(Print)).Append("])");
    }

    private static string Print(Resource.Types.ReservationInfo reservation)
    {
        var text = new StringBuilder("(").Append(reservation.Type.ToString().ToUpperInvariant()).Append(',').Append(reservation.Role);
        if (reservation.HasPrincipal)
            text.Append(',').Append(reservation.Principal);
        if (reservation.Labels is { } labels)
            text.Append(",{").AppendJoin(", ", labels.Labels_.Select(label => $"{label.Key}: {label.Value}")).Append('}');
        return text.Append(')').ToString();
    }

#pragma warning disable CS0612
    private static string? Role(Resource resource) => resource.HasRole && resource.Role != "*" ? resource.Role : null;

    private static Resource.Types.ReservationInfo OldReservation(Resource resource, string role)
    {
        var reservation = resource.Reservation?.Clone() ?? new Resource.Types.ReservationInfo();
        reservation.Type = resource.Reservation is null
            ? Resource.Types.ReservationInfo.Types.Type.Static
            : Resource.Types.ReservationInfo.Types.Type.Dynamic;
        reservation.Role = role;
        return reservation;
    }
#pragma warning restore CS0612
}
