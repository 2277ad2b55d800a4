using System.Collections.Immutable;
using System.Globalization;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Marathon;

/// <summary>What marathon-lb's labels of one port of a Service ask for, beside what became of them in the settings.</summary>
/// <param name="Rules">Hosts and paths, as of an Ingress.</param>
/// <param name="Mode">null = the Service says it.</param>
/// <param name="Port">Where the port is listened on in place of its own number, 0 = there.</param>
internal sealed record MarathonPort(ImmutableArray<HostRule> Rules, PortMode? Mode, int Port)
{
    public static MarathonPort None { get; } = new([], null, 0);

    /// <summary>Where it is listened on as a load balancer's; "" = the balancer's own address.</summary>
    public string Address { get; init; } = "";

    /// <summary>The port of the Service whose number at the same endpoint is asked for its health; null = none but the port itself.</summary>
    public ServicePort? Checked { get; init; }
}

/// <summary>
/// marathon-lb's labels (its README and Longhelp.md) on a Service: as labels, or as annotations of the same names where a value has
/// characters that labels must not have; annotations go before labels. <c>{n}</c> is the index of the Service's port. Pure.
/// </summary>
internal static class MarathonLabels
{
    private const string Prefix = "HAPROXY_";
    private const string StickyCookie = "mesosphere_server_id";
    private const string Hsts = "max-age=15768000";

    /// <summary>Read of one port; what stands in annotations of our own goes before.</summary>
    private static readonly string[] Known =
    [
        "GROUP", "ENABLED", "VHOST", "PATH", "HTTP_BACKEND_PROXYPASS_PATH", "HTTP_BACKEND_REVPROXY_PATH", "HTTP_BACKEND_REDIR", "STICKY", "REDIRECT_TO_HTTPS", "USE_HSTS", "PORT", "MODE", "BALANCE",
        "BACKEND_WEIGHT", "BACKEND_NETWORK_ALLOWED_ACL", "AUTH", "BIND_ADDR", "BACKEND_HEALTHCHECK_PORT_INDEX",
    ];

    private static readonly string[] KnownOfApp =
    [
        "GROUP", "DEPLOYMENT_GROUP", "DEPLOYMENT_ALT_PORT", "DEPLOYMENT_COLOUR", "DEPLOYMENT_STARTED_AT", "DEPLOYMENT_TARGET_INSTANCES", "DEPLOYMENT_NEW_INSTANCES",
    ];

    /// <summary>Labels that mean something here only in another way, and which.</summary>
    private static readonly Dictionary<string, string> Elsewhere = new(StringComparer.Ordinal)
    {
        ["SSL_CERT"] = "name the certificate's Secret in spec.tls of an Ingress",
        ["BIND_OPTIONS"] = "there is no configuration of HAProxy here",
    };

    public static bool Has(Service service) =>
        service.Metadata.Labels.Keys.Any(static x => x.StartsWith(Prefix, StringComparison.Ordinal)) || service.Metadata.Annotations.Keys.Any(static x => x.StartsWith(Prefix, StringComparison.Ordinal));

    /// <param name="problems">Is told of labels that cannot be read or have no meaning here.</param>
    public static MarathonPort Read(Service service, int index, SettingsDraft draft, LbOptions options, ImmutableArray<string>.Builder problems)
    {
        if (!Has(service)) return MarathonPort.None;
        if (index == 0) CheckNames(service, problems);
        var n = index.ToString(CultureInfo.InvariantCulture);
        if (Get(service, n + "_ENABLED") is { } enabled && !IsTrue(enabled)) return MarathonPort.None;
        if (options.Groups.Count > 0)
        {
            var groups = (Get(service, n + "_GROUP") ?? Get(service, "GROUP") ?? "").Split(',', StringSplitOptions.TrimEntries);
            if (!options.Groups.Contains("*") && !groups.Any(options.Groups.Contains)) return MarathonPort.None;
        }
        Backend(service, n, draft, problems);
        Edge(service, n, draft, problems);
        var hosts = Get(service, n + "_VHOST")?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];
        PortMode? mode = Get(service, n + "_MODE") switch { "http" => PortMode.Http, "tcp" => PortMode.Tcp, _ => null };
        if (hosts.Length > 0 && mode is null && PortModes.Of(service.Spec.Ports[index]) is not PortMode.H2c) mode = PortMode.Http;
        if (Get(service, n + "_MODE") is { } word && mode is null) Bad(service, n + "_MODE", "http or tcp", problems);
        var port = 0;
        if (Get(service, n + "_PORT") is { } number)
        {
            if (SettingForms.Number(number, 1, 65535) is { } given) port = given;
            else Bad(service, n + "_PORT", "a port of 1–65535", problems);
        }
        return new(Rules(service, index, n, hosts, problems), mode, port) { Address = Address(service, n, draft, options, problems), Checked = Checked(service, n, draft, problems) };
    }

    /// <summary>The name of the backend of a Service's port, as marathon-lb makes it of an app's id and port.</summary>
    public static string BackendName(ServiceKey service, int port) => string.Create(CultureInfo.InvariantCulture, $"{(service.Namespace == "default" ? "" : service.Namespace + "_")}{service.Name}_{port}");

    /// <summary>The app's id that stands for a Service: <c>/web</c>, or <c>/shop/web</c> in namespace shop.</summary>
    public static string AppId(ServiceKey service) => service.Namespace == "default" ? "/" + service.Name : $"/{service.Namespace}/{service.Name}";

    /// <summary>The blue/green group of a Service; null = none.</summary>
    public static DeploymentMember? Member(Service service, ImmutableArray<string>.Builder problems)
    {
        if (Get(service, "DEPLOYMENT_GROUP") is not { Length: > 0 } group) return null;
        var started = DateTimeOffset.MinValue;
        if (Get(service, "DEPLOYMENT_STARTED_AT") is { } at
            && !DateTimeOffset.TryParse(at, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out started)) Bad(service, "DEPLOYMENT_STARTED_AT", "a time as 2026-01-31T12:00:00Z", problems);
        return new(
            new(service.Namespace, group), new(service.Namespace, service.Name), Get(service, "DEPLOYMENT_COLOUR") ?? "", started == DateTimeOffset.MinValue ? service.Metadata.CreationTimestamp ?? started : started,
            Count("DEPLOYMENT_TARGET_INSTANCES") ?? 0, Count("DEPLOYMENT_NEW_INSTANCES"));

        int? Count(string label)
        {
            if (Get(service, label) is not { } text) return null;
            if (SettingForms.Number(text, 0, 1_000_000) is { } count) return count;
            Bad(service, label, "a number", problems);
            return null;
        }
    }

    private static void Backend(Service service, string n, SettingsDraft draft, ImmutableArray<string>.Builder problems)
    {
        if (Get(service, n + "_BALANCE") is { } balance)
        {
            Balance? known = balance switch
            {
                "roundrobin" or "static-rr" => Balance.RoundRobin, "leastconn" => Balance.LeastRequests, "source" => Balance.Source,
                "random" => Balance.Random, "random(2)" => Balance.PowerOfTwo, _ => null,
            };
            if (known is { } one) draft.Backend = draft.Backend with { Balance = one };
            else Bad(service, n + "_BALANCE", "roundrobin, static-rr, leastconn, source, random or random(2)", problems);
        }
        if (IsTrue(Get(service, n + "_STICKY"))) draft.Backend = draft.Backend with { Cookie = StickyCookie };
    }

    private static void Edge(Service service, string n, SettingsDraft draft, ImmutableArray<string>.Builder problems)
    {
        if (Get(service, n + "_BACKEND_NETWORK_ALLOWED_ACL") is { } networks)
        {
            if (SettingForms.Networks(networks) is { } allow) draft.Edge = draft.Edge with { Allow = allow };
            else Close(service, n + "_BACKEND_NETWORK_ALLOWED_ACL", "networks as 10.0.0.0/8, separated by spaces", draft, problems);
        }
        if (Get(service, n + "_AUTH") is { } auth)
        {
            if (LabelUser.Read(auth) is { } user) draft.Edge = draft.Edge with { AuthUser = user, AuthRealm = user.Realm };
            else Close(service, n + "_AUTH", "REALM:USER:PASSWORD, the password as crypt(3) makes it with $5$ or $6$", draft, problems, secret: true);
        }
        if (IsTrue(Get(service, n + "_USE_HSTS"))) draft.Edge = draft.Edge with { Hsts = Hsts };
        if (Path(service, n + "_HTTP_BACKEND_PROXYPASS_PATH", problems) is { } strip) draft.Edge = draft.Edge with { StripPrefix = strip };
        if (Path(service, n + "_HTTP_BACKEND_REVPROXY_PATH", problems) is { } place) draft.Edge = draft.Edge with { LocationPrefix = place };
        if (Get(service, n + "_HTTP_BACKEND_REDIR") is { } root)
        {
            if (SettingForms.IsPath(root)) draft.Edge = draft.Edge with { RootRedirect = root };
            else Bad(service, n + "_HTTP_BACKEND_REDIR", "a path as /app", problems);
        }
    }

    private static string Address(Service service, string n, SettingsDraft draft, LbOptions options, ImmutableArray<string>.Builder problems)
    {
        if (Get(service, n + "_BIND_ADDR") is not { } text || text == "*") return "";
        // Cluster IPs are given to Services: who takes one takes that Service's clients.
        if (SettingForms.Address(text) is { } address && !options.ClusterIps.Contains(address)) return address.ToString();
        Close(service, n + "_BIND_ADDR", $"an address of this machine outside of {options.ClusterIps}, or *", draft, problems);
        return "";
    }

    private static ServicePort? Checked(Service service, string n, SettingsDraft draft, ImmutableArray<string>.Builder problems)
    {
        const string label = "_BACKEND_HEALTHCHECK_PORT_INDEX";
        if (Get(service, n + label) is not { } text) return null;
        if (SettingForms.Number(text, 0, service.Spec.Ports.Count - 1) is not { } index)
        {
            Bad(service, n + label, $"the index of a port of the Service, 0–{service.Spec.Ports.Count - 1}", problems);
            return null;
        }
        draft.Backend = draft.Backend with { Health = draft.Backend.Health ?? HealthSettings.Default };
        return service.Spec.Ports[index];
    }

    private static ImmutableArray<HostRule> Rules(Service service, int index, string n, string[] hosts, ImmutableArray<string>.Builder problems)
    {
        if (hosts.Length == 0) return [];
        var words = (Get(service, n + "_PATH") ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var ignoreCase = words is ["-i", ..];
        if (ignoreCase) words = words[1..];
        if (words.Any(static x => !SettingForms.IsPath(x)))
        {
            Bad(service, n + "_PATH", "paths as /a /b, with -i before them for either case", problems);
            return [];
        }
        var weight = 0;
        if (Get(service, n + "_BACKEND_WEIGHT") is { } text)
        {
            if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)) weight = number;
            else Bad(service, n + "_BACKEND_WEIGHT", "a whole number", problems);
        }
        var edge = IsTrue(Get(service, n + "_REDIRECT_TO_HTTPS")) ? EdgeSettings.Nothing with { Redirect = new(Https: true, "", 301) } : null;
        var rules = ImmutableArray.CreateBuilder<HostRule>();
        foreach (var host in hosts)
        {
            if (Uri.CheckHostName(host.StartsWith("*.", StringComparison.Ordinal) ? "any" + host[1..] : host) == UriHostNameType.Unknown)
            {
                problems.Add($"{Prefix}{n}_VHOST: \"{host}\", expected a host name");
                continue;
            }
            foreach (var path in words.Length == 0 ? [""] : words)
            {
                rules.Add(new(
                    host.ToLowerInvariant(), path, Exact: false, new(service.Namespace, service.Name), service.Spec.Ports[index].Name, service.Spec.Ports[index].Port,
                    service.Metadata.CreationTimestamp ?? DateTimeOffset.MaxValue, service.Uid)
                {
                    Edge = edge, IsText = true, IgnoreCase = ignoreCase, Weight = weight,
                });
            }
        }
        return rules.ToImmutable();
    }

    private static string? Path(Service service, string label, ImmutableArray<string>.Builder problems)
    {
        if (Get(service, label) is not { } path) return null;
        if (SettingForms.IsPath(path)) return path.TrimEnd('/');
        Bad(service, label, "a path as /app", problems);
        return null;
    }

    private static void CheckNames(Service service, ImmutableArray<string>.Builder problems)
    {
        foreach (var full in service.Metadata.Labels.Keys.Concat(service.Metadata.Annotations.Keys).Where(static x => x.StartsWith(Prefix, StringComparison.Ordinal)).Distinct().Order(StringComparer.Ordinal))
        {
            var name = full[Prefix.Length..];
            var dash = name.IndexOf('_', StringComparison.Ordinal);
            var isOfPort = dash > 0 && name.AsSpan(0, dash).IndexOfAnyExceptInRange('0', '9') < 0;
            if (!isOfPort)
            {
                if (!KnownOfApp.Contains(name)) Unknown(full, name, KnownOfApp);
                continue;
            }
            var rest = name[(dash + 1)..];
            if (SettingForms.Number(name[..dash], 0, service.Spec.Ports.Count - 1) is null) problems.Add($"{full}: the Service has {service.Spec.Ports.Count} ports, the first is 0");
            else if (!Known.Contains(rest)) Unknown(full, rest, Known);
        }

        void Unknown(string full, string name, string[] known)
        {
            if (Elsewhere.TryGetValue(name, out var hint)) problems.Add($"{full} does nothing here: {hint}");
            else if (Names.Nearest(name, known) is { } near) problems.Add($"{full}: no such label, the nearest is {full[..^name.Length]}{near}");
            else problems.Add($"{full} does nothing here: there is no configuration of HAProxy to put it into; headers, timeouts and checks are annotations {SettingTable.Prefix}…");
        }
    }

    private static string? Get(Service service, string label) =>
        service.Metadata.Annotations.TryGetValue(Prefix + label, out var value) || service.Metadata.Labels.TryGetValue(Prefix + label, out value) ? value.Trim() : null;

    private static bool IsTrue(string? text) => text is not null && text.ToLowerInvariant() is "true" or "t" or "yes" or "y" or "1";

    private static void Bad(Service service, string label, string expected, ImmutableArray<string>.Builder problems) => problems.Add($"{Prefix}{label}: \"{Get(service, label)}\", expected {expected}");

    private static void Close(Service service, string label, string expected, SettingsDraft draft, ImmutableArray<string>.Builder problems, bool secret = false)
    {
        problems.Add($"{Prefix}{label}: {(secret ? "cannot be read" : $"\"{Get(service, label)}\"")}, expected {expected}: nobody is let in");
        draft.Edge = draft.Edge with { Closed = $"label {Prefix}{label} cannot be read" };
    }
}

/// <summary>A Service as one colour of a blue/green deployment.</summary>
/// <param name="Target">Instances that the whole group shall have; 0 = those that are ready.</param>
/// <param name="New">Instances that the new colour gets traffic for, null = all (marathon-lb's hybrid deployment).</param>
internal sealed record DeploymentMember(ServiceKey Group, ServiceKey Service, string Colour, DateTimeOffset Started, int Target, int? New) : IComparable<DeploymentMember>
{
    /// <summary>Old before new.</summary>
    public int CompareTo(DeploymentMember? other) =>
        other is null ? 1 : Started.CompareTo(other.Started) is var age and not 0 ? age : Service.CompareTo(other.Service);

    /// <summary>
    /// Of two colours the share of the new one: for each ready instance of the new colour one of the old is passed over, and together they are
    /// no fewer than <paramref name="target"/> as long as there are so many.
    /// </summary>
    public static double ShareOfNew(int oldReady, int newReady, int target, int? newMax)
    {
        newReady = Math.Min(newReady, newMax ?? int.MaxValue);
        if (newReady == 0) return 0;
        var old = Math.Clamp((target == 0 ? oldReady : target) - newReady, 0, oldReady);
        return (double)newReady / (newReady + old);
    }
}
