using System.Collections.Immutable;
using Declarative.Api.Kinds;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>One path of an Ingress. Of equal ones the oldest Ingress wins.</summary>
/// <param name="Host">Lower case, "" = any, <c>*.name</c> = one label before the name.</param>
/// <param name="Path">Without the slash at its end where it is a prefix, so that "" is the prefix of all.</param>
internal sealed record HostRule(string Host, string Path, bool Exact, ServiceKey Service, string PortName, int Port, DateTimeOffset Created, string Uid) : IComparable<HostRule>
{
    /// <summary>Of the Ingress; null = nothing.</summary>
    public EdgeSettings? Edge { get; init; }

    /// <summary>The prefix is one of text and not of path segments, as marathon-lb has it.</summary>
    public bool IsText { get; init; }

    public bool IgnoreCase { get; init; }

    /// <summary>Large before small, before everything else.</summary>
    public int Weight { get; init; }

    public bool Matches(ReadOnlySpan<char> path)
    {
        if (!path.StartsWith(Path, IgnoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal)) return false;
        return path.Length == Path.Length || IsText || (!Exact && path[Path.Length] == '/');
    }

    /// <summary>Long before short, exact before prefix (Kubernetes doc "Ingress": multiple matches), old before young.</summary>
    public int CompareTo(HostRule? other)
    {
        if (other is null) return 1;
        if (Weight != other.Weight) return other.Weight.CompareTo(Weight);
        if (Path.Length != other.Path.Length) return other.Path.Length.CompareTo(Path.Length);
        if (Exact != other.Exact) return Exact ? -1 : 1;
        if (Created.CompareTo(other.Created) is var age and not 0) return age;
        if (string.CompareOrdinal(Uid, other.Uid) is var uid and not 0) return uid;
        return string.CompareOrdinal(Path, other.Path);
    }
}

/// <summary>All Ingress rules by host; immutable, a change costs the hosts of one Ingress.</summary>
internal sealed class HostRules
{
    private const string OfService = "service/";

    private readonly ImmutableSortedDictionary<ServiceKey, ImmutableArray<HostRule>> _ingresses;
    private readonly ImmutableSortedSet<ServiceKey> _passing;

    private HostRules(ImmutableSortedDictionary<ServiceKey, ImmutableArray<HostRule>> ingresses, ImmutableSortedDictionary<string, ImmutableArray<HostRule>> hosts, ImmutableSortedSet<ServiceKey> passing) =>
        (_ingresses, ByHost, _passing) = (ingresses, hosts, passing);

    public static HostRules Empty { get; } = new(
        ImmutableSortedDictionary<ServiceKey, ImmutableArray<HostRule>>.Empty,
        ImmutableSortedDictionary.Create<string, ImmutableArray<HostRule>>(StringComparer.Ordinal), []);

    /// <summary>Some Ingress passes TLS through.</summary>
    public bool HasPassthrough => !_passing.IsEmpty;

    public ImmutableSortedDictionary<string, ImmutableArray<HostRule>> ByHost { get; }

    /// <summary>What the Ingress asks to be done with requests; the same for all its rules.</summary>
    public EdgeSettings? EdgeOf(ServiceKey ingress) => _ingresses.TryGetValue(ingress, out var rules) && rules.Length > 0 ? rules[0].Edge : null;

    public IEnumerable<ServiceKey> Ingresses => _ingresses.Keys.Where(static x => !x.Name.StartsWith(OfService, StringComparison.Ordinal));

    /// <summary>Under which the rules of a Service's own labels stand: no Ingress has such a name.</summary>
    public static ServiceKey KeyOf(ServiceKey service) => new(service.Namespace, OfService + service.Name);

    public bool Has(ServiceKey ingress) => _ingresses.ContainsKey(ingress);

    /// <summary>The rules of one Ingress; its default backend is the shortest prefix of any host.</summary>
    /// <param name="edge">What its annotations ask for.</param>
    public static ImmutableArray<HostRule> Read(Ingress ingress, EdgeSettings? edge = null)
    {
        var rules = ImmutableArray.CreateBuilder<HostRule>();
        foreach (var rule in ingress.Spec.Rules)
        {
            foreach (var path in rule.Http?.Paths ?? []) Add(rule.Host, path.Path, path.PathType == "Exact", path.Backend);
        }
        if (ingress.Spec.DefaultBackend is { } fallback) Add("", "", false, fallback);
        return rules.ToImmutable();

        void Add(string host, string path, bool exact, IngressBackend backend)
        {
            if (backend.Service is not { } service) return;
            rules.Add(new(
                host.ToLowerInvariant(), exact ? path : path.TrimEnd('/'), exact, new(ingress.Namespace, service.Name), service.Port.Name, service.Port.Number,
                ingress.Metadata.CreationTimestamp ?? DateTimeOffset.MaxValue, ingress.Uid) { Edge = edge });
        }
    }

    /// <param name="rules">Empty = the Ingress is gone.</param>
    public HostRules With(ServiceKey ingress, ImmutableArray<HostRule> rules)
    {
        var hosts = ByHost.ToBuilder();
        foreach (var rule in _ingresses.GetValueOrDefault(ingress, []))
        {
            var left = hosts[rule.Host].Remove(rule);
            if (left.IsEmpty) hosts.Remove(rule.Host);
            else hosts[rule.Host] = left;
        }
        foreach (var rule in rules)
        {
            var present = hosts.GetValueOrDefault(rule.Host, []);
            var at = present.BinarySearch(rule);
            hosts[rule.Host] = present.Insert(at < 0 ? ~at : at, rule);
        }
        return new(rules.IsEmpty ? _ingresses.Remove(ingress) : _ingresses.SetItem(ingress, rules), hosts.ToImmutable(),
            rules.Any(static x => x.Edge is { TlsPassthrough: true }) ? _passing.Add(ingress) : _passing.Remove(ingress));
    }

    /// <summary>The rule for a request: the most telling host that has a matching path (exact, then wildcard, then any).</summary>
    /// <param name="host">In any case, without a port.</param>
    public HostRule? Find(string host, ReadOnlySpan<char> path)
    {
        host = host.ToLowerInvariant();
        if (host.Length > 0 && Match(host, path) is { } exact) return exact;
        var dot = host.IndexOf('.', StringComparison.Ordinal);
        if (dot > 0 && Match("*" + host[dot..], path) is { } wildcard) return wildcard;
        return Match("", path);
    }

    /// <summary>
    /// What a handshake goes by, before any path is known: of the most telling host the rule for <c>/</c> where it has the setting, else the
    /// first rule that has it. A host that has a rule for <c>/</c> is passed through by that rule alone: no other one takes it all.
    /// </summary>
    /// <param name="host">In any case, "" = the client named none.</param>
    /// <param name="has">The setting of TLS that is asked for.</param>
    public HostRule? TlsOf(string host, Func<EdgeSettings, bool> has)
    {
        host = host.ToLowerInvariant();
        var dot = host.IndexOf('.', StringComparison.Ordinal);
        foreach (var name in (string[])[host, dot > 0 ? "*" + host[dot..] : "", ""])
        {
            if (!ByHost.TryGetValue(name, out var rules)) continue;
            var root = Match(name, "/");
            if (root?.Edge is { } edge && has(edge)) return root;
            if (rules.FirstOrDefault(x => x.Edge is { } other && has(other) && (root is null || !other.TlsPassthrough)) is { } first) return first;
            if (root is not null) return null;
        }
        return null;
    }

    /// <summary>The authorities that rules of the host want clients' certificates of: a handshake knows no path, so each of them is as good there.</summary>
    public ImmutableArray<ServiceKey> ClientAuthoritiesOf(string host) =>
        TlsOf(host, static x => x.TlsClientCa is not null) is { } first ? [.. ByHost[first.Host].Select(static x => x.Edge?.TlsClientCa).OfType<ServiceKey>().Distinct()] : [];

    private HostRule? Match(string host, ReadOnlySpan<char> path)
    {
        if (!ByHost.TryGetValue(host, out var rules)) return null;
        foreach (var rule in rules)
        {
            if (rule.Matches(path)) return rule;
        }
        return null;
    }
}
