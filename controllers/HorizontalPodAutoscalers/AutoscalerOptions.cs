namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>The settings of kube-controller-manager's <c>--horizontal-pod-autoscaler-*</c>, with its defaults.</summary>
public sealed record AutoscalerOptions
{
    /// <summary>Between two looks at one autoscaler.</summary>
    public TimeSpan SyncPeriod { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>A ratio of usage to target that is no further from 1 changes nothing.</summary>
    public double Tolerance { get; init; } = 0.1;

    /// <summary>The highest recommendation of so long stands against scaling down, where the behaviour says nothing else.</summary>
    public TimeSpan DownscaleStabilization { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>So long after its start a pod's CPU usage counts only from the time that it was ready.</summary>
    public TimeSpan CpuInitializationPeriod { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A pod that was never ready after so long counts as not ready yet.</summary>
    public TimeSpan InitialReadinessDelay { get; init; } = TimeSpan.FromSeconds(30);
}
