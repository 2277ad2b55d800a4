namespace Declarative.Lb.Settings;

/// <summary>The balancer's limits.</summary>
public static class Limits
{
    /// <summary>Retries in 10 s that no budget forbids: a rollout of a Service with little traffic must not lose requests.</summary>
    public const int RetriesAlways = 100;

    /// <summary>Further endpoints that one request may be sent to.</summary>
    public const int RetriesMax = 5;

    /// <summary>Weight of one endpoint (HAProxy has the same range).</summary>
    public const int WeightMax = 256;

    /// <summary>Splits one after the other: a split may lead to a Service that is split itself.</summary>
    public const int SplitHopsMax = 4;

    /// <summary>Clients whose rate is known at once, 16 bytes each; the one that has been silent longest is forgotten first.</summary>
    public const int RateClientsMax = 32 * 1024;

    /// <summary>Longest time that an endpoint is left out for failures, in times of the first one.</summary>
    public const int EjectionFactorMax = 10;
}
