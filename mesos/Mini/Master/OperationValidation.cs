using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using OperationType = Declarative.Mesos.Protocol.Offer.Types.Operation.Types.Type;
using ReservationType = Declarative.Mesos.Protocol.Resource.Types.ReservationInfo.Types.Type;
using SourceType = Declarative.Mesos.Protocol.Resource.Types.DiskInfo.Types.Source.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>Whether an operation on resources makes sense by itself, whatever there is to perform it on.</summary>
internal static class OperationValidation
{
    /// <summary>RESERVE for Reserve: the name in the API.</summary>
    public static string Name(OperationType type) =>
        type switch
        {
            OperationType.GrowVolume => "GROW_VOLUME",
            OperationType.ShrinkVolume => "SHRINK_VOLUME",
            _ => type.ToString().ToUpperInvariant(),
        };

    /// <param name="role">The role of the offer; null for an operator, who may reserve for any.</param>
    /// <param name="principal">Who asks; reservations and volumes that name somebody else are refused.</param>
    /// <returns>Null when nothing is wrong.</returns>
    public static string? Fault(Operation operation, Agent agent, string? role, string? principal)
    {
        var given = Resources(operation);
        if (given is null)
            return "The operation is not supported by this master";
        if (given.Count == 0)
            return "No resources were specified";
        if (TaskValidation.ResourceFault(given) is { } wrong)
            return wrong;
        if (given.FirstOrDefault(one => role is not null && one.AllocationInfo is { HasRole: true } to && to.Role != role) is { } other)
            return $"The resource {Text(other)} is allocated to role '{other.AllocationInfo.Role}' but was offered to role '{role}'";
        var resources = given.SelectMany(one => ResourceBag.Of([one]).ToProtocol()).ToList();
        return operation.Type switch
        {
            OperationType.Reserve => resources.Select(one => ReserveFault(one, role, principal)).FirstOrDefault(fault => fault is not null),
            OperationType.Unreserve => resources.Select(UnreserveFault).FirstOrDefault(fault => fault is not null),
            OperationType.Create => CreateFault(resources, agent, principal),
            OperationType.Destroy => resources.All(IsVolume) ? null : "Not a persistent volume",
            OperationType.GrowVolume => GrowFault(operation.GrowVolume),
            _ => ShrinkFault(operation.ShrinkVolume),
        };
    }

    private static IReadOnlyList<Resource>? Resources(Operation operation) =>
        operation.Type switch
        {
            OperationType.Reserve => operation.Reserve?.Resources,
            OperationType.Unreserve => operation.Unreserve?.Resources,
            OperationType.Create => operation.Create?.Volumes,
            OperationType.Destroy => operation.Destroy?.Volumes,
            OperationType.GrowVolume when operation.GrowVolume is { } grow => [grow.Volume, grow.Addition],
            OperationType.ShrinkVolume when operation.ShrinkVolume is { } shrink => [shrink.Volume],
            _ => null,
        };

    private static string? ReserveFault(Resource resource, string? role, string? principal)
    {
        if (resource.Reservations is not [.., { Type: ReservationType.Dynamic } last])
            return $"Resource {Text(resource)} is not dynamically reserved";
        if (IsVolume(resource))
            return $"A persistent volume {Text(resource)} must already be reserved";
        if (resource.Revocable is not null)
            return $"Resource {Text(resource)} is revocable and cannot be reserved";
        if (FrameworkValidation.RoleFault(last.Role) is { } fault)
            return fault;
        if (last.Role == "*")
            return $"Resource {Text(resource)} cannot be reserved for role '*'";
        if (role is not null && last.Role != role)
            return $"A reserve operation was attempted for a resource with role '{last.Role}', but the framework can only reserve resources with role '{role}'";
        if (role is null || last.Principal == (principal ?? ""))
            return null;
        return principal is null
            ? $"A reserve operation was attempted with no principal, but there is a reserved resource in the request with principal '{last.Principal}' set"
            : $"A reserve operation was attempted by principal '{principal}', but there is a reserved resource in the request with principal '{last.Principal}' set";
    }

    private static string? UnreserveFault(Resource resource)
    {
        if (resource.Reservations is not [.., { Type: ReservationType.Dynamic }])
            return $"Resource {Text(resource)} is not dynamically reserved";
        return IsVolume(resource)
            ? $"A dynamically reserved persistent volume {Text(resource)} cannot be unreserved directly. Please destroy the persistent volume first then unreserve the resource"
            : null;
    }

    private static string? CreateFault(List<Resource> volumes, Agent agent, string? principal)
    {
        HashSet<(string Role, string Id)> ids = [];
        foreach (var known in agent.Slot.Total.ToProtocol().Where(IsVolume))
            ids.Add((known.Reservations[^1].Role, known.Disk.Persistence.Id));
        foreach (var volume in volumes)
        {
            if (!IsVolume(volume))
                return $"Resource {Text(volume)} does not have DiskInfo.Persistence";
            if (volume.Disk.Volume is not { } mount)
                return $"Persistent volume {Text(volume)} does not have 'disk.volume'";
            if (volume.Reservations.Count == 0)
                return $"Persistent volume {Text(volume)} must be reserved";
            if (mount.HasHostPath)
                return "Expecting 'host_path' to be unset for persistent volume";
            if (mount.ContainerPath.StartsWith('/') || mount.ContainerPath.Split('/').Contains(".."))
                return $"'container_path' of a persistent volume must be relative and stay below the sandbox, not '{mount.ContainerPath}'";
            if (volume.Disk.Persistence.Id.AsSpan().ContainsAny("/\\ \t\n") || volume.Disk.Persistence.Id is "" or "." or "..")
                return $"Persistence ID '{volume.Disk.Persistence.Id}' contains invalid characters";
            if (!ids.Add((volume.Reservations[^1].Role, volume.Disk.Persistence.Id)))
                return $"Persistence ID '{volume.Disk.Persistence.Id}' already exists";
            if (principal is not null && volume.Disk.Persistence.Principal != principal)
                return $"Create volume operation has been attempted by principal '{principal}', but there is a volume in the operation with principal '{volume.Disk.Persistence.Principal}' set";
        }

        return null;
    }

    private static string? GrowFault(Operation.Types.GrowVolume grow)
    {
        if (ResizeFault(grow.Volume, "grow") is { } fault)
            return fault;
        var plain = Conversion.Of(new Operation { Type = OperationType.Destroy, Destroy = new() { Volumes = { grow.Volume } } })!.To;
        var kind = grow.Addition.Clone();
        kind.Scalar = grow.Volume.Scalar;
        return ResourceBag.Of([kind]).Contains(plain)
            ? null
            : $"Incompatible resources in the 'volume' and 'addition' fields: {Text(grow.Volume)} and {Text(grow.Addition)}";
    }

    private static string? ShrinkFault(Operation.Types.ShrinkVolume shrink)
    {
        if (ResizeFault(shrink.Volume, "shrink") is { } fault)
            return fault;
        if (!(shrink.Subtract.Value > 0))
            return "The size to be subtracted must be greater than zero";
        return Milli.Of(shrink.Subtract.Value) < Milli.Of(shrink.Volume.Scalar.Value) ? null : "Shrinking a persistent volume to zero or less is not allowed";
    }

    private static string? ResizeFault(Resource volume, string what)
    {
        if (!IsVolume(volume))
            return "Not a persistent volume";
        if (volume.Shared is not null)
            return $"Cannot {what} a shared persistent volume";
        return volume.Disk.Source?.Type == SourceType.Mount ? $"Cannot {what} a persistent volume on a MOUNT disk" : null;
    }

    private static bool IsVolume(Resource resource) => resource.Disk?.Persistence is not null;

    private static string Text(Resource resource) => ResourceBag.Of([resource]).ToString();
}
