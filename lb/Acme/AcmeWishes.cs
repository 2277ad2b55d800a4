using System.Collections.Immutable;
using Declarative.Api.Kinds;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Declarative.Lb.Tls;

namespace Declarative.Lb.Acme;

/// <summary>A Secret that is to hold an ordered certificate.</summary>
/// <param name="Hosts">Lower case, in ordinal order; of all Ingresses that name the Secret.</param>
/// <param name="About">The oldest of them: events are about it.</param>
/// <param name="Problem">Why nothing can be ordered, "" = it can.</param>
internal sealed record AcmeWish(ServiceKey Secret, ImmutableArray<string> Hosts, Ingress About, string Problem);

/// <summary>Which certificates are asked for, and when each is due. Pure.</summary>
internal static class AcmeWishes
{
    public const string Annotation = SettingTable.Prefix + "acme";

    /// <summary>Of Secrets that the balancer writes; others are never touched.</summary>
    public const string Label = "declarative.mesos/acme";
    public const string OfCertificate = "certificate";

    /// <param name="ingresses">Those that this balancer serves.</param>
    /// <returns>In the order of the Secrets' keys.</returns>
    public static IReadOnlyList<AcmeWish> Of(IEnumerable<Ingress> ingresses)
    {
        var wishes = new SortedDictionary<ServiceKey, AcmeWish>();
        foreach (var ingress in ingresses.Where(x => x.Metadata.Annotations.GetValueOrDefault(Annotation)?.Trim() == "true").OrderBy(x => x.Metadata.CreationTimestamp).ThenBy(x => x.Uid, StringComparer.Ordinal))
        {
            for (var i = 0; i < ingress.Spec.Tls.Count; i++)
            {
                var tls = ingress.Spec.Tls[i];
                if (tls.SecretName.Length == 0) continue;
                var key = new ServiceKey(ingress.Namespace, tls.SecretName);
                var hosts = (tls.Hosts.Count > 0 ? tls.Hosts : ingress.Spec.Rules.Select(x => x.Host)).Where(x => x.Length > 0).Select(x => x.ToLowerInvariant());
                var before = wishes.GetValueOrDefault(key);
                ImmutableArray<string> all = [.. (before?.Hosts ?? []).Concat(hosts).Distinct().Order(StringComparer.Ordinal)];
                wishes[key] = new(key, all, before?.About ?? ingress, Problem(all, $"spec.tls[{i}].hosts"));
            }
        }
        return [.. wishes.Values];
    }

    /// <summary>When the certificate is to be ordered: a third of its life before its end; at once where there is none, or one for other names.</summary>
    /// <param name="secret">null = it does not exist.</param>
    /// <param name="problem">Why it never is, "" = it is.</param>
    public static DateTimeOffset Due(AcmeWish wish, Secret? secret, DateTimeOffset now, out string problem)
    {
        problem = wish.Problem;
        if (problem.Length > 0) return DateTimeOffset.MaxValue;
        if (secret is null) return now;
        if (secret.Type != SecretReader.Type || secret.Metadata.Labels.GetValueOrDefault(Label) != OfCertificate)
        {
            problem = $"Secret {wish.Secret} is there and not labelled {Label}={OfCertificate}: it is left as it is";
            return DateTimeOffset.MaxValue;
        }
        if (SecretReader.Read(secret).Certificate is not { Leaf: var leaf } || wish.Hosts.Any(x => !leaf.MatchesHostname(x))) return now;
        var (from, to) = (new DateTimeOffset(leaf.NotBefore), new DateTimeOffset(leaf.NotAfter));
        return to - (to - from) / 3;
    }

    private static string Problem(ImmutableArray<string> hosts, string field)
    {
        if (hosts.IsEmpty) return $"{field} is empty and no rule names a host: there is nothing to order a certificate for";
        if (hosts.FirstOrDefault(x => x.Contains('*')) is { } wildcard) return $"{field}: \"{wildcard}\", expected a name without a wildcard: HTTP-01 proves single names only (RFC 8555 section 8.3)";
        if (hosts.FirstOrDefault(x => Uri.CheckHostName(x) != UriHostNameType.Dns) is { } other) return $"{field}: \"{other}\", expected a DNS name";
        return hosts.Length > Limits.AcmeNamesMax ? $"{field}: {hosts.Length} names, at most {Limits.AcmeNamesMax} fit into one certificate" : "";
    }
}
