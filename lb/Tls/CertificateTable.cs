using System.Collections.Immutable;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Tls;

/// <summary>All certificates by host; immutable, a change costs the hosts of one Ingress.</summary>
internal sealed class CertificateTable
{
    private readonly ImmutableSortedDictionary<ServiceKey, ImmutableArray<TlsClaim>> _ingresses;
    private readonly ImmutableSortedDictionary<string, ImmutableArray<TlsClaim>> _hosts;

    private CertificateTable(ImmutableSortedDictionary<ServiceKey, ImmutableArray<TlsClaim>> ingresses, ImmutableSortedDictionary<string, ImmutableArray<TlsClaim>> hosts) =>
        (_ingresses, _hosts) = (ingresses, hosts);

    public static CertificateTable Empty { get; } = new(
        ImmutableSortedDictionary<ServiceKey, ImmutableArray<TlsClaim>>.Empty,
        ImmutableSortedDictionary.Create<string, ImmutableArray<TlsClaim>>(StringComparer.Ordinal));

    /// <param name="claims">Empty = the Ingress has none (any more).</param>
    public CertificateTable With(ServiceKey ingress, ImmutableArray<TlsClaim> claims)
    {
        var before = _ingresses.GetValueOrDefault(ingress, []);
        if (before.AsSpan().SequenceEqual(claims.AsSpan())) return this;
        var hosts = _hosts.ToBuilder();
        foreach (var claim in before)
        {
            var left = hosts[claim.Host].Remove(claim);
            if (left.IsEmpty) hosts.Remove(claim.Host);
            else hosts[claim.Host] = left;
        }
        foreach (var claim in claims)
        {
            var present = hosts.GetValueOrDefault(claim.Host, []);
            var at = present.BinarySearch(claim);
            hosts[claim.Host] = present.Insert(at < 0 ? ~at : at, claim);
        }
        return new(claims.IsEmpty ? _ingresses.Remove(ingress) : _ingresses.SetItem(ingress, claims), hosts.ToImmutable());
    }

    /// <summary>The certificate for a server name (RFC 6066 section 3), null = the default one: exact host, then wildcard of one label.</summary>
    /// <param name="name">In any case, "" where the client named none.</param>
    public TlsCertificate? Find(string name)
    {
        name = name.ToLowerInvariant().TrimEnd('.');
        if (_hosts.TryGetValue(name, out var exact)) return exact[0].Certificate;
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && _hosts.TryGetValue("*" + name[dot..], out var wildcard) ? wildcard[0].Certificate : null;
    }
}
