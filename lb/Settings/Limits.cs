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

    /// <summary>After an ejection one request tries the endpoint; where its outcome is not known by then, another does.</summary>
    public static readonly TimeSpan TrialMax = TimeSpan.FromSeconds(10);

    /// <summary>After the last answer of a connection, what the client goes on sending is read so far, so that it can read that answer; for how long is <see cref="LbOptions.CloseTimeout"/>.</summary>
    public const int CloseDiscardBytesMax = 64 * 1024 * 1024;

    /// <summary>Names in one certificate (as Let's Encrypt has it).</summary>
    public const int AcmeNamesMax = 100;

    /// <summary>Nonces tried for one request of ACME: an authority may forget those that it has given.</summary>
    public const int AcmeNoncesMax = 4;

    /// <summary>Of one answer of an authority.</summary>
    public const int AcmeAnswerBytesMax = 256 * 1024;

    /// <summary>Of an authority's explanation in an event.</summary>
    public const int AcmeDetailChars = 512;

    /// <summary>One request to an authority.</summary>
    public static readonly TimeSpan AcmeRequestMax = TimeSpan.FromSeconds(30);

    /// <summary>One order, from its beginning to its certificate.</summary>
    public static readonly TimeSpan AcmeOrderMax = TimeSpan.FromMinutes(5);

    /// <summary>Between two looks at an order: the first pause, and the longest that is not asked for.</summary>
    public static readonly TimeSpan AcmeLookFirst = TimeSpan.FromMilliseconds(250);
    public static readonly TimeSpan AcmeLookMax = TimeSpan.FromSeconds(10);

    /// <summary>After an order that failed, twice as long each time; the longest is that of an authority's own Retry-After too.</summary>
    public static readonly TimeSpan AcmeAgainFirst = TimeSpan.FromMinutes(1);
    public static readonly TimeSpan AcmeAgainMax = TimeSpan.FromHours(12);

    /// <summary>Between two certificates for one Secret, whatever is wrong with the one before.</summary>
    public static readonly TimeSpan AcmeIssuedMin = TimeSpan.FromHours(1);
}
