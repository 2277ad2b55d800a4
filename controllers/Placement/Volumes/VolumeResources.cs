using Declarative.Controllers.Volumes;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using Reservation = Declarative.Mesos.Protocol.Resource.Types.ReservationInfo;

namespace Declarative.Controllers.Placement.Volumes;

/// <summary>For whom a volume is made: what stands on the reservation under it.</summary>
/// <param name="IsShared">Several tasks are to use it at the same time.</param>
internal sealed record VolumeOwner(string Framework, string Principal, string Role, bool IsShared);

/// <summary>
/// The resources of persistent volumes and the operations on them. All are pure: they are made of what one agent offers, so that no operation asks
/// for what is not there.
/// </summary>
/// <remarks>Source: Mesos' documents "Persistent volumes" and "Reservation".</remarks>
internal static class VolumeResources
{
    /// <summary>Relative, as Mesos wants it; where a task has it stands in the task's own resources.</summary>
    private const string ContainerPath = "volume";

    /// <summary>A volume, or disk that was reserved for one.</summary>
    public static bool IsOfVolume(Resource resource) => resource.Disk?.Persistence is not null || ClaimOf(resource) is not null;

    /// <summary>The uid of the claim that the resource is reserved for; null where for none.</summary>
    public static string? ClaimOf(Resource resource) => Label(resource, MesosVolume.ClaimLabel);

    public static string? FrameworkOf(Resource resource) => Label(resource, MesosVolume.FrameworkLabel);

    public static long MilliOf(Resource resource) => Milli.Of(resource.Scalar?.Value ?? 0);

    /// <summary>
    /// CREATE, with RESERVE before it where the disk is not reserved yet: disk that was reserved for this claim before is taken first, then disk
    /// that is reserved for the role. null: not enough of one kind.
    /// </summary>
    public static IReadOnlyList<Operation>? Create(string operationId, string volume, string claimUid, long size, VolumeOwner owner, long plainDisk, IEnumerable<Resource> reserved, IEnumerable<Resource> ofVolumes)
    {
        var source = ofVolumes.FirstOrDefault(x => x.Disk?.Persistence is null && ClaimOf(x) == claimUid && MilliOf(x) >= size)
            ?? reserved.FirstOrDefault(x => x.Name == "disk" && MilliOf(x) >= size);
        if (source is null && plainDisk < size) return null;
        var operations = new List<Operation>(2);
        var disk = source is null ? ReservedDisk(size, claimUid, owner) : Sized(source, size);
        if (source is null) operations.Add(Reserve(disk));
        var made = disk.Clone();
        made.Disk = new() { Persistence = new() { Id = volume }, Volume = new() { ContainerPath = ContainerPath, Mode = Volume.Types.Mode.Rw } };
        if (owner.Principal.Length > 0) made.Disk.Persistence.Principal = owner.Principal;
        if (owner.IsShared) made.Shared = new();
        var create = new Operation { Type = Operation.Types.Type.Create, Id = new() { Value = operationId }, Create = new() };
        create.Create.Volumes.Add(made);
        operations.Add(create);
        return operations;
    }

    /// <summary>GROW_VOLUME, with RESERVE of what it grows by before it; of the kind that the volume stands on. null: not enough.</summary>
    public static IReadOnlyList<Operation>? Grow(string operationId, Resource volume, long size, VolumeOwner owner, long plainDisk, IEnumerable<Resource> reserved, IEnumerable<Resource> ofVolumes)
    {
        var more = size - MilliOf(volume);
        var under = PlainOf(volume);
        var source = reserved.Concat(ofVolumes.Where(x => x.Disk?.Persistence is null)).FirstOrDefault(x => x.Name == "disk" && MilliOf(x) >= more && x.Reservations.Equals(under.Reservations));
        var addition = Sized(source ?? under, more);
        var operations = new List<Operation>(2);
        if (source is null)
        {
            if (ClaimOf(volume) is null || plainDisk < more) return null; // a static reservation does not grow
            operations.Add(Reserve(addition));
        }
        operations.Add(new Operation { Type = Operation.Types.Type.GrowVolume, Id = new() { Value = operationId }, GrowVolume = new() { Volume = Bare(volume), Addition = addition } });
        return operations;
    }

    /// <summary>DESTROY, and UNRESERVE of what was reserved for it.</summary>
    public static IReadOnlyList<Operation> Destroy(string operationId, Resource volume)
    {
        var destroy = new Operation { Type = Operation.Types.Type.Destroy, Id = new() { Value = operationId }, Destroy = new() };
        destroy.Destroy.Volumes.Add(Bare(volume));
        return ClaimOf(volume) is null ? [destroy] : [destroy, Unreserve(PlainOf(volume))];
    }

    public static Operation Unreserve(Resource reserved)
    {
        var operation = new Operation { Type = Operation.Types.Type.Unreserve, Unreserve = new() };
        operation.Unreserve.Resources.Add(Bare(reserved));
        return operation;
    }

    /// <summary>The volume in a task's resources, at a path below the task's sandbox.</summary>
    public static Resource At(Resource volume, string containerPath)
    {
        var resource = Bare(volume);
        resource.Disk.Volume = new() { ContainerPath = containerPath, Mode = Volume.Types.Mode.Rw };
        return resource;
    }

    private static Operation Reserve(Resource disk)
    {
        var operation = new Operation { Type = Operation.Types.Type.Reserve, Reserve = new() };
        operation.Reserve.Resources.Add(disk);
        return operation;
    }

    private static Resource ReservedDisk(long size, string claimUid, VolumeOwner owner)
    {
        var reservation = new Reservation { Type = Reservation.Types.Type.Dynamic, Role = owner.Role, Labels = new() };
        if (owner.Principal.Length > 0) reservation.Principal = owner.Principal;
        reservation.Labels.Labels_.Add(new Label { Key = MesosVolume.FrameworkLabel, Value = owner.Framework });
        reservation.Labels.Labels_.Add(new Label { Key = MesosVolume.ClaimLabel, Value = claimUid });
        var disk = new Resource { Name = "disk", Type = Value.Types.Type.Scalar, Scalar = new() { Value = Milli.ToDouble(size) } };
        disk.Reservations.Add(reservation);
        return disk;
    }

    private static Resource PlainOf(Resource volume)
    {
        var plain = Bare(volume);
        plain.Disk = null;
        plain.Shared = null;
        return plain;
    }

    private static Resource Sized(Resource resource, long size)
    {
        var sized = Bare(resource);
        sized.Scalar = new() { Value = Milli.ToDouble(size) };
        return sized;
    }

    /// <summary>Without the allocation of the offer: the master adds it.</summary>
    private static Resource Bare(Resource resource)
    {
        var bare = resource.Clone();
        bare.AllocationInfo = null;
        return bare;
    }

    private static string? Label(Resource resource, string key) =>
        resource.Reservations is [.., { Labels: { } labels }] ? labels.Labels_.FirstOrDefault(x => x.Key == key)?.Value : null;
}
