using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

public sealed record Deployment : ApiObject
{
    public DeploymentSpec Spec { get; init; } = new();
    public DeploymentStatus Status { get; init; } = new();

    public static new Deployment Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Deployment>(json);
}

public sealed record DeploymentSpec
{
    public int Replicas { get; init; } = 1;
    public LabelSelectorSpec Selector { get; init; } = new();
    public PodTemplateSpec Template { get; init; } = new();
    public DeploymentStrategy Strategy { get; init; } = new();
    public int MinReadySeconds { get; init; }
    public int? RevisionHistoryLimit { get; init; }
    public bool Paused { get; init; }
    public int? ProgressDeadlineSeconds { get; init; }
}

public sealed record DeploymentStrategy
{
    /// <summary>RollingUpdate or Recreate.</summary>
    public string Type { get; init; } = "RollingUpdate";
    public RollingUpdate? RollingUpdate { get; init; }
}

public sealed record RollingUpdate
{
    public IntOrString? MaxUnavailable { get; init; }
    public IntOrString? MaxSurge { get; init; }
}

public sealed record DeploymentStatus
{
    public long ObservedGeneration { get; init; }
    public int Replicas { get; init; }
    public int UpdatedReplicas { get; init; }
    public int ReadyReplicas { get; init; }
    public int AvailableReplicas { get; init; }
    public int UnavailableReplicas { get; init; }
    public int? CollisionCount { get; init; }
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
}

/// <summary>A pod's shape inside a workload. Pods are made from the stored JSON field for field, not from this view.</summary>
public sealed record PodTemplateSpec
{
    public ObjectMeta Metadata { get; init; } = new();
    public PodSpec Spec { get; init; } = new();
}

public sealed record ReplicaSet : ApiObject
{
    public ReplicaSetSpec Spec { get; init; } = new();
    public ReplicaSetStatus Status { get; init; } = new();

    public static new ReplicaSet Read(ReadOnlyMemory<byte> json) => ViewJson.Read<ReplicaSet>(json);
}

public sealed record ReplicaSetSpec
{
    public int Replicas { get; init; } = 1;
    public int MinReadySeconds { get; init; }
    public LabelSelectorSpec Selector { get; init; } = new();
    public PodTemplateSpec Template { get; init; } = new();
}

public sealed record ReplicaSetStatus
{
    public int Replicas { get; init; }
    public int FullyLabeledReplicas { get; init; }
    public int ReadyReplicas { get; init; }
    public int AvailableReplicas { get; init; }
    public long ObservedGeneration { get; init; }
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
}
