using System.Collections.Immutable;
using System.Net;
using Declarative.Lb.Marathon;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Settings;

/// <summary>
/// What is done with a request before an endpoint is chosen; of a Service's port or of an Ingress. Immutable but for the state of the rate
/// limit. null everywhere stands for "nothing", so that a port without such settings pays nothing.
/// </summary>
public sealed record EdgeSettings
{
    public static EdgeSettings Nothing { get; } = new();

    /// <summary>Why nobody is let in: a setting that guards the port could not be read. "" = open.</summary>
    public string Closed { get; init; } = "";

    /// <summary>Clients of these networks alone; empty = all.</summary>
    public ImmutableArray<IPNetwork> Allow { get; init; } = [];

    /// <summary>Requests and connections per client address.</summary>
    public RateLimit? Rate { get; init; }

    /// <summary>Secrets of type kubernetes.io/basic-auth, each with one user; empty = no authentication.</summary>
    public ImmutableArray<ServiceKey> AuthSecrets { get; init; } = [];

    /// <summary>The one user of a label of marathon-lb; null = none.</summary>
    public LabelUser? AuthUser { get; init; }

    public string AuthRealm { get; init; } = "restricted";

    /// <summary>TLS is passed through to the Service of the Ingress' rule for the server name.</summary>
    public bool TlsPassthrough { get; init; }

    public bool Tls13Only { get; init; }

    /// <summary>Clients need a certificate that an authority in this Secret has issued; null = none.</summary>
    public ServiceKey? TlsClientCa { get; init; }

    /// <summary>null = no limit.</summary>
    public long? BodyBytesMax { get; init; }

    public Redirect? Redirect { get; init; }

    /// <summary>Value of Strict-Transport-Security on answers over TLS, "" = none.</summary>
    public string Hsts { get; init; } = "";

    /// <summary>Without a slash at its end; "" = none.</summary>
    public string StripPrefix { get; init; } = "";

    public string AddPrefix { get; init; } = "";

    /// <summary>Put before the path of Location where it is not there yet; "" = nothing but <see cref="StripPrefix"/>.</summary>
    public string LocationPrefix { get; init; } = "";

    /// <summary>Where <c>/</c> leads, by 301; "" = nowhere else.</summary>
    public string RootRedirect { get; init; } = "";

    /// <summary>The blue/green deployment that the Service is a colour of.</summary>
    public ServiceKey? Group { get; init; }

    internal bool Divides => !Split.IsEmpty || Group is not null;

    public ImmutableArray<HeaderRule> RequestHeaders { get; init; } = [];

    public ImmutableArray<HeaderRule> ResponseHeaders { get; init; } = [];

    public ImmutableArray<SplitRule> Split { get; init; } = [];

    /// <summary>The state of a limit outlives a change of other settings.</summary>
    internal EdgeSettings Continue(EdgeSettings? before) =>
        Rate is not null && before?.Rate is { } old && old.PerSecond.Equals(Rate.PerSecond) && old.Burst == Rate.Burst ? this with { Rate = old } : this;
}

/// <param name="Https">Only requests that came without TLS, to the same address with https.</param>
/// <param name="To">A URL; <c>{host}</c> and <c>{path}</c> (with the query) stand for those of the request.</param>
public sealed record Redirect(bool Https, string To, int Status);

public enum HeaderAction
{
    Set,
    Add,
    Remove,
}

public sealed record HeaderRule(HeaderAction Action, string Name, string Value);

/// <summary>One way out of a split: a share of the requests, or those with a header or cookie of this value.</summary>
/// <param name="Header">"" = not by header.</param>
/// <param name="Cookie">"" = not by cookie.</param>
/// <param name="Value">"" = any.</param>
public sealed record SplitRule(ServiceKey Service, double Percent, string Header, string Cookie, string Value);
