using Declarative.Mesos.Protocol;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using ReservationType = Declarative.Mesos.Protocol.Resource.Types.ReservationInfo.Types.Type;

namespace Declarative.Mesos.Resources;

/// <summary>
/// What an operation on an agent's resources takes and what it makes of it. The amounts are the same on both sides; only what they are
/// changes: reserved or not, a volume or plain disk.
/// </summary>
/// <remarks>Source: Mesos' documents "Reservation" and "Persistent volumes".</remarks>
internal sealed record Conversion(ResourceBag From, ResourceBag To)
{
    /// <summary>Null for operations that do not convert resources (launches, and disks of storage providers).</summary>
    public static Conversion? Of(Operation operation) =>
        operation.Type switch
        {
            Operation.Types.Type.Reserve when operation.Reserve is { } reserve => new(
                Bag(reserve.Source.Count > 0 ? reserve.Source : Bag(reserve.Resources).ToProtocol().Select(Unreserved)),
                Bag(reserve.Resources)
            ),
            Operation.Types.Type.Unreserve when operation.Unreserve is { } unreserve => new(
                Bag(unreserve.Resources),
                Bag(Bag(unreserve.Resources).ToProtocol().Select(Unreserved))
            ),
            Operation.Types.Type.Create when operation.Create is { } create => new(
                Bag(Bag(create.Volumes).ToProtocol().Select(Plain)),
                Bag(create.Volumes)
            ),
            Operation.Types.Type.Destroy when operation.Destroy is { } destroy => new(
                Bag(destroy.Volumes),
                Bag(Bag(destroy.Volumes).ToProtocol().Select(Plain))
            ),
            Operation.Types.Type.GrowVolume when operation.GrowVolume is { } grow => new(
                Bag([grow.Volume, grow.Addition]),
                Bag([WithSize(grow.Volume, grow.Volume.Scalar.Value + grow.Addition.Scalar.Value)])
            ),
            Operation.Types.Type.ShrinkVolume when operation.ShrinkVolume is { } shrink => new(
                Bag([shrink.Volume]),
                Bag(
                    [
                        WithSize(shrink.Volume, shrink.Volume.Scalar.Value - shrink.Subtract.Value),
                        Plain(WithSize(shrink.Volume, shrink.Subtract.Value)),
                    ]
                )
            ),
            _ => null,
        };

    /// <summary>A resource as the agent's own flags give it: without dynamic reservations and without a volume.</summary>
    public static Resource Static(Resource resource)
    {
        var plain = Plain(resource);
        while (plain.Reservations is [.., { Type: ReservationType.Dynamic }])
            plain.Reservations.RemoveAt(plain.Reservations.Count - 1);
        return plain;
    }

    private static ResourceBag Bag(IEnumerable<Resource> resources) => ResourceBag.Of(resources);

    // Only the innermost reservation goes: the others are its parents'.
    private static Resource Unreserved(Resource resource)
    {
        var copy = resource.Clone();
        if (copy.Reservations.Count > 0)
            copy.Reservations.RemoveAt(copy.Reservations.Count - 1);
        return copy;
    }

    private static Resource Plain(Resource resource)
    {
        var copy = resource.Clone();
        copy.Shared = null;
        if (copy.Disk is null)
            return copy;
        copy.Disk.Persistence = null;
        copy.Disk.Volume = null;
        if (copy.Disk.Source is null)
            copy.Disk = null;
        return copy;
    }

    private static Resource WithSize(Resource resource, double size)
    {
        var copy = resource.Clone();
        copy.Scalar = new() { Value = size };
        return copy;
    }
}
