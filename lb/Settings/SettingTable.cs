using System.Collections.Immutable;
using Declarative.Api.Kinds;

namespace Declarative.Lb.Settings;

/// <summary>Where a setting can stand.</summary>
[Flags]
public enum SettingScope
{
    Service = 1,
    Ingress = 2,
    Both = Service | Ingress,
}

/// <summary>One annotation.</summary>
/// <param name="Name">After <see cref="SettingTable.Prefix"/>.</param>
/// <param name="Form">What a value looks like, for messages and the guide.</param>
/// <param name="Guards">Keeps somebody out: where it cannot be read nobody is let in.</param>
/// <param name="Apply">Takes the value into the draft; false where it has another form.</param>
internal sealed record Setting(string Name, SettingScope Scope, string Form, Func<SettingsDraft, string, bool> Apply, bool Guards = false);

/// <summary>What has been read so far.</summary>
internal sealed class SettingsDraft(string ns)
{
    /// <summary>What the Service's own fields ask for: <c>sessionAffinity: ClientIP</c> is balancing by the client's address.</summary>
    public static SettingsDraft Of(Service service)
    {
        var draft = new SettingsDraft(service.Namespace);
        if (service.Spec.KeepsClients) draft.Backend = draft.Backend with { Balance = Balance.Source };
        return draft;
    }

    public string Namespace { get; } = ns;
    public BackendSettings Backend { get; set; } = BackendSettings.Default;
    public EdgeSettings Edge { get; set; } = EdgeSettings.Nothing;
}

/// <summary>Every annotation that the balancer reads; docs/guide/load-balancer.md lists the same ones, and a test compares the two.</summary>
internal static class SettingTable
{
    public const string Prefix = "declarative.mesos/lb-";

    private static readonly TimeSpan TimeMax = TimeSpan.FromDays(24);

    public static ImmutableArray<Setting> All { get; } =
    [
        // How an endpoint is chosen.
        new("balance", SettingScope.Service, "round-robin, least-requests, power-of-two, random or source", static (x, value) =>
        {
            Balance? balance = value switch
            {
                "round-robin" => Balance.RoundRobin, "least-requests" => Balance.LeastRequests, "power-of-two" => Balance.PowerOfTwo,
                "random" => Balance.Random, "source" => Balance.Source, _ => null,
            };
            if (balance is { } known) x.Backend = x.Backend with { Balance = known };
            return balance is not null;
        }),
        new("sticky-cookie", SettingScope.Service, "the name of a cookie", static (x, value) => SettingForms.IsToken(value) && Set(() => x.Backend = x.Backend with { Cookie = value })),
        new("weights", SettingScope.Service, "NAME=WEIGHT, separated by commas; NAME is a pod, an address or address:port, WEIGHT 0–256", static (x, value) =>
            SettingForms.Weights(value) is { } weights && Set(() => x.Backend = x.Backend with { Weights = weights })),
        new("slow-start", SettingScope.Service, "a time as 30s", static (x, value) => Time(value) is { } time && Set(() => x.Backend = x.Backend with { SlowStart = time })),
        new("endpoint-requests-max", SettingScope.Service, "a number of 1–1000000", static (x, value) => SettingForms.Number(value, 1, 1_000_000) is { } n && Set(() => x.Backend = x.Backend with { InFlightMax = n })),

        // How long, how often.
        new("timeout-connect", SettingScope.Service, "a time as 3s", static (x, value) => Time(value) is { } time && Set(() => x.Backend = x.Backend with { ConnectTimeout = time })),
        new("timeout-header", SettingScope.Service, "a time as 30s", static (x, value) => Time(value) is { } time && Set(() => x.Backend = x.Backend with { HeaderTimeout = time })),
        new("timeout-idle", SettingScope.Service, "a time as 5m", static (x, value) => Time(value) is { } time && Set(() => x.Backend = x.Backend with { IdleTimeout = time })),
        new("timeout-tunnel", SettingScope.Service, "a time as 8h", static (x, value) => Time(value) is { } time && Set(() => x.Backend = x.Backend with { TunnelTimeout = time })),
        new("retries", SettingScope.Service, "a number of 0–5", static (x, value) => SettingForms.Number(value, 0, Limits.RetriesMax) is { } n && Set(() => x.Backend = x.Backend with { Retries = n })),
        new("retry-budget", SettingScope.Service, "a percentage as 20%", static (x, value) => SettingForms.Percent(value) is { } p && Set(() => x.Backend = x.Backend with { RetryPercent = (int)p })),

        // Endpoints that do not work.
        new("outlier-failures", SettingScope.Service, "a number of 1–1000", static (x, value) =>
            SettingForms.Number(value, 1, 1000) is { } n && Set(() => x.Backend = x.Backend with { Outlier = (x.Backend.Outlier ?? OutlierSettings.Default) with { Failures = n } })),
        new("outlier-ejection", SettingScope.Service, "a time as 30s", static (x, value) =>
            Time(value) is { } time && Set(() => x.Backend = x.Backend with { Outlier = (x.Backend.Outlier ?? OutlierSettings.Default) with { Ejection = time } })),
        new("outlier-percent-max", SettingScope.Service, "a percentage as 50%", static (x, value) =>
            SettingForms.Percent(value) is { } p && Set(() => x.Backend = x.Backend with { Outlier = (x.Backend.Outlier ?? OutlierSettings.Default) with { PercentMax = (int)p } })),
        new("health-check", SettingScope.Service, "tcp, or a path as /healthz", static (x, value) =>
            (value == "tcp" || SettingForms.IsPath(value)) && Health(x, y => y with { Path = value == "tcp" ? "" : value })),
        new("health-port", SettingScope.Service, "a port of 1–65535", static (x, value) => SettingForms.Number(value, 1, 65535) is { } n && Health(x, y => y with { Port = n })),
        new("health-interval", SettingScope.Service, "a time as 5s", static (x, value) => Time(value) is { } time && Health(x, y => y with { Interval = time })),
        new("health-timeout", SettingScope.Service, "a time as 2s", static (x, value) => Time(value) is { } time && Health(x, y => y with { Timeout = time })),
        new("health-fall", SettingScope.Service, "a number of 1–100", static (x, value) => SettingForms.Number(value, 1, 100) is { } n && Health(x, y => y with { Fall = n })),
        new("health-rise", SettingScope.Service, "a number of 1–100", static (x, value) => SettingForms.Number(value, 1, 100) is { } n && Health(x, y => y with { Rise = n })),

        // What the endpoint is told of the client.
        new("forwarded", SettingScope.Service, "x-forwarded, forwarded, both or none", static (x, value) =>
        {
            ForwardedHeaders? headers = value switch
            {
                "x-forwarded" => ForwardedHeaders.XForwarded, "forwarded" => ForwardedHeaders.Forwarded, "both" => ForwardedHeaders.XForwarded | ForwardedHeaders.Forwarded,
                "none" => ForwardedHeaders.None, _ => null,
            };
            if (headers is { } known) x.Backend = x.Backend with { Forwarded = known };
            return headers is not null;
        }),

        new("send-proxy", SettingScope.Service, "v1 or v2", static (x, value) => value is "v1" or "v2" && Set(() => x.Backend = x.Backend with { SendProxy = value == "v1" ? 1 : 2 })),

        // Who may come, and how often.
        new("allow", SettingScope.Both, "networks as 10.0.0.0/8, separated by commas", static (x, value) => SettingForms.Networks(value) is { } networks && Set(() => x.Edge = x.Edge with { Allow = networks }), Guards: true),
        new("rate-limit", SettingScope.Both, "a rate as 100/s or 600/m, with a burst as 100/s burst 200", static (x, value) => SettingForms.Rate(value) is { } rate && Set(() => x.Edge = x.Edge with { Rate = rate }), Guards: true),
        new("auth-secret", SettingScope.Both, "names of Secrets of type kubernetes.io/basic-auth in the same namespace, separated by commas", static (x, value) =>
            SettingForms.Secrets(x.Namespace, value) is { } secrets && Set(() => x.Edge = x.Edge with { AuthSecrets = secrets }), Guards: true),
        new("auth-realm", SettingScope.Both, "a text without quotes", static (x, value) => SettingForms.IsText(value) && !value.Contains('"') && Set(() => x.Edge = x.Edge with { AuthRealm = value })),
        new("request-bytes-max", SettingScope.Both, "a quantity as 10Mi", static (x, value) => SettingForms.Bytes(value) is { } bytes && Set(() => x.Edge = x.Edge with { BodyBytesMax = bytes }), Guards: true),

        // TLS.
        new("tls-passthrough", SettingScope.Ingress, "true or false", static (x, value) => value is "true" or "false" && Set(() => x.Edge = x.Edge with { TlsPassthrough = value == "true" })),
        new("tls-min", SettingScope.Ingress, "1.2 or 1.3", static (x, value) => value is "1.2" or "1.3" && Set(() => x.Edge = x.Edge with { Tls13Only = value == "1.3" }), Guards: true),
        new("tls-client-ca", SettingScope.Ingress, "the name of a Secret of type kubernetes.io/tls with ca.crt in the same namespace", static (x, value) =>
            SettingForms.Secrets(x.Namespace, value) is { Length: 1 } secrets && Set(() => x.Edge = x.Edge with { TlsClientCa = secrets[0] }), Guards: true),
        // Read by Acme.AcmeWishes: of all Ingresses together.
        new("acme", SettingScope.Ingress, "true or false", static (_, value) => value is "true" or "false"),

        // What becomes of the request.
        new("redirect-https", SettingScope.Both, "true or false", static (x, value) =>
            value is "true" or "false" && Set(() => x.Edge = value == "true" ? x.Edge with { Redirect = new(Https: true, "", 308) } : x.Edge)),
        new("redirect", SettingScope.Both, "a URL or path, with {host} and {path}, and 301, 302, 303, 307 or 308 after it", static (x, value) =>
            SettingForms.Redirect(value) is { } redirect && Set(() => x.Edge = x.Edge with { Redirect = redirect })),
        new("hsts", SettingScope.Both, "a time as 182d, with includeSubDomains and preload after it", static (x, value) => SettingForms.Hsts(value) is { } hsts && Set(() => x.Edge = x.Edge with { Hsts = hsts })),
        new("strip-prefix", SettingScope.Both, "a path as /api", static (x, value) => SettingForms.IsPath(value) && Set(() => x.Edge = x.Edge with { StripPrefix = value.TrimEnd('/') })),
        new("add-prefix", SettingScope.Both, "a path as /v2", static (x, value) => SettingForms.IsPath(value) && Set(() => x.Edge = x.Edge with { AddPrefix = value.TrimEnd('/') })),
        new("request-headers", SettingScope.Both, "lines: set NAME VALUE, add NAME VALUE or remove NAME", static (x, value) =>
            SettingForms.Headers(value) is { } rules && Set(() => x.Edge = x.Edge with { RequestHeaders = rules })),
        new("response-headers", SettingScope.Both, "lines: set NAME VALUE, add NAME VALUE or remove NAME", static (x, value) =>
            SettingForms.Headers(value) is { } rules && Set(() => x.Edge = x.Edge with { ResponseHeaders = rules })),
        new("split", SettingScope.Both, "SERVICE=10%, SERVICE=header:NAME:VALUE or SERVICE=cookie:NAME:VALUE, separated by commas, at most 100% together", static (x, value) =>
            SettingForms.Split(x.Namespace, value) is { } split && Set(() => x.Edge = x.Edge with { Split = split })),
    ];

    public static ImmutableDictionary<string, Setting> ByName { get; } = All.ToImmutableDictionary(x => x.Name, StringComparer.Ordinal);

    private static bool Health(SettingsDraft x, Func<HealthSettings, HealthSettings> change) =>
        Set(() => x.Backend = x.Backend with { Health = change(x.Backend.Health ?? HealthSettings.Default) });

    private static TimeSpan? Time(string value) => SettingForms.Time(value) is { } time && time > TimeSpan.Zero && time <= TimeMax ? time : null;

    private static bool Set(Action set)
    {
        set();
        return true;
    }
}
