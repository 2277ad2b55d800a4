using System.Collections.Immutable;

namespace Declarative.Lb.Settings;

/// <summary>How an endpoint is chosen.</summary>
public enum Balance
{
    RoundRobin,

    /// <summary>The fewest requests and connections in flight for its weight.</summary>
    LeastRequests,

    /// <summary>Of two taken at random the one with fewer in flight for its weight.</summary>
    PowerOfTwo,
    Random,

    /// <summary>The same client address has the same endpoint while it is ready (rendezvous hashing: a change moves only its share).</summary>
    Source,
}

/// <summary>How a Service's port uses its endpoints; immutable, made from the Service's annotations by <see cref="SettingsReader"/>.</summary>
public sealed record BackendSettings
{
    public static BackendSettings Default { get; } = new();

    public Balance Balance { get; init; }

    /// <summary>Name of the cookie that keeps a client at its endpoint, "" = none.</summary>
    public string Cookie { get; init; } = "";

    /// <summary>By pod name, address or address:port; 1 where an endpoint is not named; 0 = no new requests.</summary>
    public ImmutableSortedDictionary<string, int> Weights { get; init; } = ImmutableSortedDictionary.Create<string, int>(StringComparer.Ordinal);

    /// <summary>An endpoint that has become ready takes a growing part of its share for this long.</summary>
    public TimeSpan SlowStart { get; init; }

    /// <summary>null = the balancer's own.</summary>
    public TimeSpan? ConnectTimeout { get; init; }

    /// <summary>From the request's end to the head of the answer; null = only the idle time counts.</summary>
    public TimeSpan? HeaderTimeout { get; init; }

    /// <summary>Without a byte in either direction; null = the balancer's own.</summary>
    public TimeSpan? IdleTimeout { get; init; }

    /// <summary>A connection that is not HTTP, or an upgraded one, is ended after this; null = never.</summary>
    public TimeSpan? TunnelTimeout { get; init; }

    /// <summary>Further endpoints that are tried.</summary>
    public int Retries { get; init; } = 1;

    /// <summary>Percent of the requests of the last 10 s that may be sent again, <see cref="Limits.RetriesAlways"/> in any case.</summary>
    public int RetryPercent { get; init; } = 20;

    /// <summary>Requests and connections in flight at one endpoint, 0 = no limit.</summary>
    public int InFlightMax { get; init; }

    public OutlierSettings? Outlier { get; init; }

    public HealthSettings? Health { get; init; }

    public ForwardedHeaders Forwarded { get; init; } = ForwardedHeaders.XForwarded;

    /// <summary>Nothing here asks for more of a plain request than an endpoint and the usual headers.</summary>
    internal bool IsPlain => Cookie.Length == 0 && HeaderTimeout is null && Forwarded == ForwardedHeaders.XForwarded;

    /// <summary>Version of the PROXY protocol that an endpoint is greeted with, 0 = none.</summary>
    public int SendProxy { get; init; }
}

/// <summary>Which headers tell the endpoint who asked.</summary>
[Flags]
public enum ForwardedHeaders
{
    None = 0,

    /// <summary>X-Forwarded-For, -Proto, -Host, -Port.</summary>
    XForwarded = 1,

    /// <summary>Forwarded (RFC 7239).</summary>
    Forwarded = 2,
}

/// <summary>An endpoint that fails so many times in a row gets nothing for a while, each time longer; never so many that more than this share is out.</summary>
public sealed record OutlierSettings(int Failures, TimeSpan Ejection, int PercentMax)
{
    public static OutlierSettings Default { get; } = new(5, TimeSpan.FromSeconds(30), 50);
}

/// <summary>Asked of each endpoint at intervals.</summary>
/// <param name="Path">"" = a TCP connection is enough; else an answer of 200–399 to GET.</param>
/// <param name="Port">0 = the endpoint's own.</param>
public sealed record HealthSettings(string Path, int Port, TimeSpan Interval, TimeSpan Timeout, int Fall, int Rise)
{
    public static HealthSettings Default { get; } = new("", 0, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(2), 3, 2);
}
