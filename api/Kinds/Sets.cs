using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

/// <summary>Pods with stable names and an order (apps/v1).</summary>
public sealed record StatefulSet : ApiObject
{
    public const string PodNameLabel = "statefulset.kubernetes.io/pod-name";
    public const string PodIndexLabel = "apps.kubernetes.io/pod-index";

    public StatefulSetSpec Spec { get; init; } = new();
    public StatefulSetStatus Status { get; init; } = new();

    public static new StatefulSet Read(ReadOnlyMemory<byte> json) => ViewJson.Read<StatefulSet>(json);
}

public sealed record StatefulSetSpec
{
    public int Replicas { get; init; } = 1;
    public LabelSelectorSpec Selector { get; init; } = new();
    public PodTemplateSpec Template { get; init; } = new();
    public string ServiceName { get; init; } = "";

    /// <summary>OrderedReady or Parallel.</summary>
    public string PodManagementPolicy { get; init; } = "OrderedReady";
    public StatefulSetUpdate UpdateStrategy { get; init; } = new();
    public int? RevisionHistoryLimit { get; init; }
    public int MinReadySeconds { get; init; }
    public StatefulSetOrdinals Ordinals { get; init; } = new();
    public IReadOnlyList<ApiObject> VolumeClaimTemplates { get; init; } = [];
    public ClaimRetention PersistentVolumeClaimRetentionPolicy { get; init; } = new();

    public bool IsOrdered => PodManagementPolicy != "Parallel";
}

public sealed record StatefulSetOrdinals
{
    public int Start { get; init; }
}

public sealed record StatefulSetUpdate
{
    /// <summary>RollingUpdate or OnDelete.</summary>
    public string Type { get; init; } = "RollingUpdate";
    public StatefulSetRollingUpdate? RollingUpdate { get; init; }
}

public sealed record StatefulSetRollingUpdate
{
    /// <summary>Pods of lower ordinals keep the old revision.</summary>
    public int Partition { get; init; }
    public IntOrString? MaxUnavailable { get; init; }
}

/// <summary>Retain or Delete.</summary>
public sealed record ClaimRetention
{
    public string WhenDeleted { get; init; } = "Retain";
    public string WhenScaled { get; init; } = "Retain";
}

public sealed record StatefulSetStatus
{
    public long ObservedGeneration { get; init; }
    public int Replicas { get; init; }
    public int ReadyReplicas { get; init; }
    public int AvailableReplicas { get; init; }
    public int CurrentReplicas { get; init; }
    public int UpdatedReplicas { get; init; }
    public string CurrentRevision { get; init; } = "";
    public string UpdateRevision { get; init; } = "";
}

/// <summary>One pod on every node that fits (apps/v1).</summary>
public sealed record DaemonSet : ApiObject
{
    public DaemonSetSpec Spec { get; init; } = new();
    public DaemonSetStatus Status { get; init; } = new();

    public static new DaemonSet Read(ReadOnlyMemory<byte> json) => ViewJson.Read<DaemonSet>(json);
}

public sealed record DaemonSetSpec
{
    public LabelSelectorSpec Selector { get; init; } = new();
    public PodTemplateSpec Template { get; init; } = new();
    public DaemonSetUpdate UpdateStrategy { get; init; } = new();
    public int MinReadySeconds { get; init; }
    public int? RevisionHistoryLimit { get; init; }
}

public sealed record DaemonSetUpdate
{
    /// <summary>RollingUpdate or OnDelete.</summary>
    public string Type { get; init; } = "RollingUpdate";
    public RollingUpdate? RollingUpdate { get; init; }
}

public sealed record DaemonSetStatus
{
    public int CurrentNumberScheduled { get; init; }
    public int NumberMisscheduled { get; init; }
    public int DesiredNumberScheduled { get; init; }
    public int NumberReady { get; init; }
    public long ObservedGeneration { get; init; }
    public int UpdatedNumberScheduled { get; init; }
    public int NumberAvailable { get; init; }
    public int NumberUnavailable { get; init; }
}

/// <summary>A template that a StatefulSet or DaemonSet had; its data is read from the stored bytes (apps/v1).</summary>
public sealed record ControllerRevision : ApiObject
{
    public long Revision { get; init; }

    public static new ControllerRevision Read(ReadOnlyMemory<byte> json) => ViewJson.Read<ControllerRevision>(json);
}

/// <summary>The ReplicaSet of the core group; its selector is a map.</summary>
public sealed record ReplicationController : ApiObject
{
    public ReplicationControllerSpec Spec { get; init; } = new();
    public ReplicaSetStatus Status { get; init; } = new();

    public static new ReplicationController Read(ReadOnlyMemory<byte> json) => ViewJson.Read<ReplicationController>(json);

    /// <summary>The same wishes in the words of a ReplicaSet.</summary>
    public static ReplicaSet ReadAsSet(ReadOnlyMemory<byte> json)
    {
        var read = Read(json);
        return new()
        {
            ApiVersion = read.ApiVersion,
            Kind = read.Kind,
            Metadata = read.Metadata,
            Spec = new() { Replicas = read.Spec.Replicas, MinReadySeconds = read.Spec.MinReadySeconds, Template = read.Spec.Template, Selector = new() { MatchLabels = read.Spec.Selector } },
            Status = read.Status,
        };
    }
}

public sealed record ReplicationControllerSpec
{
    public int Replicas { get; init; } = 1;
    public int MinReadySeconds { get; init; }
    public IReadOnlyDictionary<string, string> Selector { get; init; } = ObjectMeta.NoStrings;
    public PodTemplateSpec Template { get; init; } = new();
}
