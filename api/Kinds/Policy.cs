using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

/// <summary>How many pods of a selection may be down by choice (policy/v1).</summary>
public sealed record PodDisruptionBudget : ApiObject
{
    public PodDisruptionBudgetSpec Spec { get; init; } = new();
    public PodDisruptionBudgetStatus Status { get; init; } = new();

    /// <summary>A budget without a selector is for no pod, one with an empty selector for all of its namespace.</summary>
    public LabelSelector Selector => Spec.Selector?.ToSelector() ?? LabelSelector.Nothing;

    public static new PodDisruptionBudget Read(ReadOnlyMemory<byte> json) => ViewJson.Read<PodDisruptionBudget>(json);
}

public sealed record PodDisruptionBudgetSpec
{
    /// <summary>A count or a percentage of the expected pods.</summary>
    public IntOrString? MinAvailable { get; init; }
    public IntOrString? MaxUnavailable { get; init; }
    public LabelSelectorSpec? Selector { get; init; }

    /// <summary>IfHealthyBudget or AlwaysAllow: when a pod that is not ready may be evicted.</summary>
    public string UnhealthyPodEvictionPolicy { get; init; } = "IfHealthyBudget";
}

public sealed record PodDisruptionBudgetStatus
{
    public long ObservedGeneration { get; init; }
    public int DisruptionsAllowed { get; init; }
    public int CurrentHealthy { get; init; }
    public int DesiredHealthy { get; init; }
    public int ExpectedPods { get; init; }

    /// <summary>Pods whose eviction was granted and is not yet seen, by name, with the time of the grant.</summary>
    public IReadOnlyDictionary<string, DateTimeOffset> DisruptedPods { get; init; } = new Dictionary<string, DateTimeOffset>();
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
}
