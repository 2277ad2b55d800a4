using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

/// <summary>How many replicas of what else, by which metrics (autoscaling/v2).</summary>
public sealed record HorizontalPodAutoscaler : ApiObject
{
    public HorizontalPodAutoscalerSpec Spec { get; init; } = new();
    public HorizontalPodAutoscalerStatus Status { get; init; } = new();

    public static new HorizontalPodAutoscaler Read(ReadOnlyMemory<byte> json) => ViewJson.Read<HorizontalPodAutoscaler>(json);
}

public sealed record HorizontalPodAutoscalerSpec
{
    public CrossVersionObjectReference ScaleTargetRef { get; init; } = new();
    public int MinReplicas { get; init; } = 1;
    public int MaxReplicas { get; init; }
    public IReadOnlyList<MetricSpec> Metrics { get; init; } = [];

    /// <summary>null = Kubernetes' default behaviour in both directions.</summary>
    public HorizontalPodAutoscalerBehavior? Behavior { get; init; }
}

public sealed record HorizontalPodAutoscalerStatus
{
    public DateTimeOffset? LastScaleTime { get; init; }
    public int CurrentReplicas { get; init; }
    public int DesiredReplicas { get; init; }
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
}

public sealed record CrossVersionObjectReference
{
    public string ApiVersion { get; init; } = "";
    public string Kind { get; init; } = "";
    public string Name { get; init; } = "";
}

/// <summary>One metric; the member of the name of its type is set.</summary>
public sealed record MetricSpec
{
    /// <summary>Resource, ContainerResource, Pods, Object or External.</summary>
    public string Type { get; init; } = "";
    public ResourceMetricSource? Resource { get; init; }
    public ContainerResourceMetricSource? ContainerResource { get; init; }
    public NamedMetricSource? Pods { get; init; }
    public ObjectMetricSource? Object { get; init; }
    public NamedMetricSource? External { get; init; }
}

public sealed record ResourceMetricSource
{
    /// <summary>cpu or memory.</summary>
    public string Name { get; init; } = "";
    public MetricTarget Target { get; init; } = new();
}

public sealed record ContainerResourceMetricSource
{
    public string Name { get; init; } = "";
    public string Container { get; init; } = "";
    public MetricTarget Target { get; init; } = new();
}

public sealed record NamedMetricSource
{
    public MetricIdentifier Metric { get; init; } = new();
}

public sealed record ObjectMetricSource
{
    /// <summary>What the metric is about.</summary>
    public CrossVersionObjectReference DescribedObject { get; init; } = new();
    public MetricIdentifier Metric { get; init; } = new();
}

public sealed record MetricIdentifier
{
    public string Name { get; init; } = "";
}

public sealed record MetricTarget
{
    /// <summary>Utilization, AverageValue or Value.</summary>
    public string Type { get; init; } = "";
    public Quantity? AverageValue { get; init; }

    /// <summary>Percent of what the containers request.</summary>
    public int? AverageUtilization { get; init; }
}

public sealed record HorizontalPodAutoscalerBehavior
{
    public HPAScalingRules? ScaleUp { get; init; }
    public HPAScalingRules? ScaleDown { get; init; }
}

public sealed record HPAScalingRules
{
    public int? StabilizationWindowSeconds { get; init; }

    /// <summary>Max (also where it is empty), Min or Disabled.</summary>
    public string SelectPolicy { get; init; } = "";
    public IReadOnlyList<HPAScalingPolicy> Policies { get; init; } = [];

    /// <summary>A share, such as 50m for 5 %; null = the controller's.</summary>
    public Quantity? Tolerance { get; init; }
}

public sealed record HPAScalingPolicy
{
    /// <summary>Pods or Percent.</summary>
    public string Type { get; init; } = "";
    public int Value { get; init; }
    public int PeriodSeconds { get; init; }
}

/// <summary>What the containers of a pod use (metrics.k8s.io/v1beta1).</summary>
public sealed record PodMetrics : ApiObject
{
    public DateTimeOffset Timestamp { get; init; }

    /// <summary>The time that the usage was taken over, in Go's form, such as 30s or 1m0s.</summary>
    public string Window { get; init; } = "";
    public IReadOnlyList<ContainerMetrics> Containers { get; init; } = [];

    public static new PodMetrics Read(ReadOnlyMemory<byte> json) => ViewJson.Read<PodMetrics>(json);
}

public sealed record ContainerMetrics
{
    public string Name { get; init; } = "";
    public IReadOnlyDictionary<string, Quantity> Usage { get; init; } = new Dictionary<string, Quantity>();
}
