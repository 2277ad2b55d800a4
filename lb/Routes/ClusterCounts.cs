namespace Declarative.Lb.Routes;

/// <summary>Monotonic counts of one cluster; written with Interlocked, read at any time.</summary>
public sealed class ClusterCounts
{
    /// <summary>HTTP requests routed, whatever came of them.</summary>
    internal long RequestCount;
    internal long ConnectionCount;
    internal long RetryCount;
    internal long NoEndpointCount;
    internal long FailureCount;
    internal long EjectionCount;
    internal long RefusalCount;

    private readonly long[] _answers = new long[6];

    /// <summary>HTTP answers whose status begins with this digit; 0 = any other, or none.</summary>
    public long Answers(int digit) => Volatile.Read(ref _answers[digit]);

    internal void Answered(int status) => Interlocked.Increment(ref _answers[status is >= 100 and < 600 ? status / 100 : 0]);

    public long Requests => Volatile.Read(ref RequestCount);

    /// <summary>TCP connections passed through.</summary>
    public long Connections => Volatile.Read(ref ConnectionCount);

    /// <summary>Requests and connections sent to a second endpoint because the first did not answer.</summary>
    public long Retries => Volatile.Read(ref RetryCount);

    /// <summary>Requests and connections refused because no endpoint was ready.</summary>
    public long NoEndpoint => Volatile.Read(ref NoEndpointCount);

    /// <summary>Requests answered with 502 or 504 or cut, and connections whose endpoints could not be reached.</summary>
    public long Failures => Volatile.Read(ref FailureCount);

    /// <summary>Times that an endpoint was left out because it failed again and again.</summary>
    public long Ejections => Volatile.Read(ref EjectionCount);

    /// <summary>Requests and connections answered by the balancer itself: not allowed, too many, too large, not authenticated.</summary>
    public long Refusals => Volatile.Read(ref RefusalCount);
}
