using System.Collections.Immutable;
using System.Security.Cryptography.X509Certificates;
using Declarative.Api.Kinds;

namespace Declarative.Lb.Tls;

/// <summary>One host of an Ingress' <c>spec.tls</c> with its certificate. Of equal hosts the oldest Ingress with a usable certificate wins.</summary>
/// <param name="Host">Lower case; <c>*.name</c> = one label before the name.</param>
/// <param name="Index">Of the entry of spec.tls.</param>
internal sealed record TlsClaim(string Host, TlsCertificate Certificate, DateTimeOffset Created, string Uid, int Index) : IComparable<TlsClaim>
{
    public int CompareTo(TlsClaim? other)
    {
        if (other is null) return 1;
        if (Created.CompareTo(other.Created) is var age and not 0) return age;
        return string.CompareOrdinal(Uid, other.Uid) is var uid and not 0 ? uid : Index.CompareTo(other.Index);
    }
}

/// <summary>What an Ingress asks of TLS.</summary>
/// <param name="Problems">Whole sentences' parts, each beginning with the field that it is about.</param>
internal sealed record TlsClaims(ImmutableArray<TlsClaim> Usable, ImmutableArray<string> Problems)
{
    public static TlsClaims Nothing { get; } = new([], []);

    /// <param name="read">Gives the Secret of this name in the namespace of the Ingress.</param>
    public static TlsClaims Of(Ingress ingress, Func<string, TlsReading> read, DateTimeOffset now)
    {
        var usable = ImmutableArray.CreateBuilder<TlsClaim>();
        var problems = ImmutableArray.CreateBuilder<string>();
        for (var i = 0; i < ingress.Spec.Tls.Count; i++)
        {
            var tls = ingress.Spec.Tls[i];
            // Without a Secret the default certificate is what is asked for.
            if (tls.SecretName.Length == 0) continue;
            var hosts = (tls.Hosts.Count > 0 ? tls.Hosts : ingress.Spec.Rules.Select(x => x.Host)).Where(x => x.Length > 0).Select(x => x.ToLowerInvariant()).Distinct().ToList();
            if (hosts.Count == 0)
            {
                problems.Add($"spec.tls[{i}].hosts is empty and no rule names a host: the default certificate is served");
                continue;
            }
            var secret = $"spec.tls[{i}].secretName: Secret {ingress.Namespace}/{tls.SecretName}";
            var (certificate, problem) = read(tls.SecretName);
            if (certificate is null)
            {
                problems.Add($"{secret} {problem}: the default certificate is served for {string.Join(", ", hosts)}");
                continue;
            }
            if (certificate.Leaf.NotAfter.ToUniversalTime() < now.UtcDateTime) problems.Add($"{secret} holds a certificate that has expired: it is served nevertheless");
            foreach (var host in hosts)
            {
                if (!Covers(certificate.Leaf, host)) problems.Add($"{secret} holds a certificate that does not name {host}: it is served nevertheless");
                usable.Add(new(host, certificate, ingress.Metadata.CreationTimestamp ?? DateTimeOffset.MaxValue, ingress.Uid, i));
            }
        }
        return new(usable.ToImmutable(), problems.ToImmutable());
    }

    private static bool Covers(X509Certificate2 certificate, string host)
    {
        // Any name that a wildcard host stands for tells as much as all of them.
        var name = host.StartsWith("*.", StringComparison.Ordinal) ? "any" + host[1..] : host;
        return Uri.CheckHostName(name) == UriHostNameType.Dns && certificate.MatchesHostname(name);
    }
}
