using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

public sealed record StorageClass : ApiObject
{
    /// <summary>Who makes volumes for claims of the class.</summary>
    public string Provisioner { get; init; } = "";

    /// <summary>Delete or Retain: what becomes of a volume whose claim is gone.</summary>
    public string ReclaimPolicy { get; init; } = "Delete";

    /// <summary>Immediate or WaitForFirstConsumer.</summary>
    public string VolumeBindingMode { get; init; } = "Immediate";
    public bool AllowVolumeExpansion { get; init; }

    /// <summary>The annotation of the class that claims without one get.</summary>
    public const string DefaultAnnotation = "storageclass.kubernetes.io/is-default-class";

    public bool IsDefault => Metadata.Annotations.GetValueOrDefault(DefaultAnnotation) == "true";

    public static new StorageClass Read(ReadOnlyMemory<byte> json) => ViewJson.Read<StorageClass>(json);
}

public sealed record PersistentVolumeClaim : ApiObject
{
    public PersistentVolumeClaimSpec Spec { get; init; } = new();
    public PersistentVolumeClaimStatus Status { get; init; } = new();

    /// <summary>What is asked for, in bytes.</summary>
    public Quantity Storage => Spec.Resources.Requests.GetValueOrDefault("storage");

    public bool IsBound => Spec.VolumeName.Length > 0 && Status.Phase == "Bound";

    public static new PersistentVolumeClaim Read(ReadOnlyMemory<byte> json) => ViewJson.Read<PersistentVolumeClaim>(json);
}

public sealed record PersistentVolumeClaimSpec
{
    /// <summary>null = not said, the default class is wanted; "" = a volume without a class is wanted.</summary>
    public string? StorageClassName { get; init; }
    public ResourceRequirements Resources { get; init; } = new();

    /// <summary>ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod.</summary>
    public IReadOnlyList<string> AccessModes { get; init; } = [];

    /// <summary>Filesystem or Block.</summary>
    public string VolumeMode { get; init; } = "Filesystem";

    /// <summary>The volume that the claim is bound to; "" before.</summary>
    public string VolumeName { get; init; } = "";
}

public sealed record PersistentVolumeClaimStatus
{
    /// <summary>Pending, Bound or Lost.</summary>
    public string Phase { get; init; } = "";
    public IReadOnlyList<string> AccessModes { get; init; } = [];
    public IReadOnlyDictionary<string, Quantity> Capacity { get; init; } = new Dictionary<string, Quantity>();
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
}

public sealed record PersistentVolume : ApiObject
{
    public PersistentVolumeSpec Spec { get; init; } = new();
    public PersistentVolumeStatus Status { get; init; } = new();

    /// <summary>Its size in bytes.</summary>
    public Quantity Storage => Spec.Capacity.GetValueOrDefault("storage");

    public static new PersistentVolume Read(ReadOnlyMemory<byte> json) => ViewJson.Read<PersistentVolume>(json);
}

public sealed record PersistentVolumeSpec
{
    public IReadOnlyDictionary<string, Quantity> Capacity { get; init; } = new Dictionary<string, Quantity>();
    public IReadOnlyList<string> AccessModes { get; init; } = [];
    public string StorageClassName { get; init; } = "";

    /// <summary>Delete or Retain.</summary>
    public string PersistentVolumeReclaimPolicy { get; init; } = "Retain";
    public ObjectReference? ClaimRef { get; init; }
    public CsiSource? Csi { get; init; }
}

/// <summary>A volume of a driver: which one, and by what name the driver knows it.</summary>
public sealed record CsiSource
{
    public string Driver { get; init; } = "";
    public string VolumeHandle { get; init; } = "";
    public IReadOnlyDictionary<string, string> VolumeAttributes { get; init; } = ObjectMeta.NoStrings;
}

public sealed record PersistentVolumeStatus
{
    /// <summary>Pending, Available, Bound, Released or Failed.</summary>
    public string Phase { get; init; } = "";
    public string Reason { get; init; } = "";
    public string Message { get; init; } = "";
}
