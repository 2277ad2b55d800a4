using System.Net;

namespace Declarative.Dns;

/// <summary>Who is asked for names outside of our zones; names in them are never forwarded.</summary>
public sealed record ForwardOptions
{
    /// <summary>Tried in this order; empty: names of no other zone are refused.</summary>
    public IReadOnlyList<IPEndPoint> Resolvers { get; init; } = [];

    /// <summary>For single zones, by domain name; the longest that fits counts.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<IPEndPoint>> Zones { get; init; } = new Dictionary<string, IReadOnlyList<IPEndPoint>>(StringComparer.OrdinalIgnoreCase);

    /// <summary>How long one server may take.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether anything is forwarded.</summary>
    public bool Any => Resolvers.Count > 0 || Zones.Count > 0;
}
