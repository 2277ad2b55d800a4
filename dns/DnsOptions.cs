using System.Net;
using Declarative.Dns.Zones;

namespace Declarative.Dns;

/// <summary>What the DNS role can be told.</summary>
public sealed record DnsOptions
{
    /// <summary>Tells the instances of one platform apart: the TrafficReport is called <c>dns-ID</c>. A DNS label.</summary>
    public string Id { get; init; } = "local";

    /// <summary>UDP and TCP; port 0 takes a free one.</summary>
    public IPEndPoint Listen { get; init; } = new(IPAddress.Loopback, 8053);

    /// <summary>Whether DNS is answered; false: the HTTP API alone.</summary>
    public bool AnswersDns { get; init; } = true;

    /// <summary>Where pods look for DNS. It is served where this process may bind it and left out where not; null: not even tried.</summary>
    public IPEndPoint? ClusterListen { get; init; } = new(IPAddress.Parse("127.64.0.10"), 53);

    /// <summary>Mesos-DNS' HTTP API; null: none.</summary>
    public IPEndPoint? Http { get; init; } = new(IPAddress.Loopback, 8123);

    /// <summary>Domain of Mesos tasks.</summary>
    public string MesosDomain { get; init; } = "mesos";

    /// <summary>Domain of Kubernetes services.</summary>
    public string ClusterDomain { get; init; } = "cluster.local";

    /// <summary>Name of our framework: the label below the Mesos domain.</summary>
    public string Framework { get; init; } = "declarative";

    /// <summary>TTLs and the other times of the Mesos domain, in seconds.</summary>
    public ZoneTimes Times { get; init; } = new();

    /// <summary>Those of the cluster domain and of the names of addresses.</summary>
    public ZoneTimes ClusterTimes { get; init; } = new();

    /// <summary>Name of the Mesos domain's server; null: <c>ns1.DOMAIN</c>.</summary>
    public string? SoaServer { get; init; }

    /// <summary>Who answers for the Mesos domain, as a domain name; null: <c>root.ns1.DOMAIN</c>.</summary>
    public string? SoaMailbox { get; init; }

    /// <summary>Labels of at most 24 characters that begin with a letter, as Mesos-DNS' <c>enforceRFC952</c>.</summary>
    public bool Rfc952 { get; init; }

    /// <summary>Where the address of another framework's task is looked for, in this order; not empty.</summary>
    public IReadOnlyList<IpSource> IpSources { get; init; } = [IpSource.Network, IpSource.Mesos, IpSource.Host];

    /// <summary>The Mesos masters; null: only what the API tells is named.</summary>
    public MesosOptions? Mesos { get; init; }

    /// <summary>When what is known of Mesos counts as stale.</summary>
    public TimeSpan StaleAfter { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>What is answered in the Mesos domain from then on.</summary>
    public StalePolicy Stale { get; init; } = StalePolicy.Keep;

    /// <summary>Who is asked for names of other zones; by default nobody, such names are refused.</summary>
    public ForwardOptions Forward { get; init; } = new();

    /// <summary>Networks whose hosts may copy our zones (AXFR, IXFR); by default none.</summary>
    public IReadOnlyList<IPNetwork> TransferTo { get; init; } = [];

    /// <summary>Secondary servers that are told of changes (NOTIFY).</summary>
    public IReadOnlyList<IPEndPoint> Notify { get; init; } = [];

    /// <summary>UDP answers per second and thread to one network without a cookie of ours; 0: no limit.</summary>
    public int RatePerSecond { get; init; }

    /// <summary>Certificate and key (PEM files) of DNS over TLS and HTTPS; null: neither is offered.</summary>
    public TlsOptions? Tls { get; init; }

    /// <summary>Whether the HTTP API lists all tasks.</summary>
    public bool Enumeration { get; init; } = true;

    /// <summary>Mesos-DNS' <c>config.json</c> that these options were read from, for <c>/v1/config</c>.</summary>
    public MesosDnsConfig? Source { get; init; }

    /// <summary>Withdraw what is not ready. False: every running task is published, as Mesos-DNS does.</summary>
    public bool HealthAware { get; init; } = true;

    /// <summary>Weight of SRV records. Not 0: haproxy takes that for "down".</summary>
    public ushort SrvWeight { get; init; } = 1;

    /// <summary>Threads that receive and answer UDP queries on <see cref="Listen"/>.</summary>
    public int UdpThreads { get; init; } = 2;
}

/// <summary>What to do with a zone whose source has been silent for too long.</summary>
public enum StalePolicy
{
    /// <summary>Go on answering what was last known.</summary>
    Keep,
    /// <summary>SERVFAIL, so that clients try another server.</summary>
    ServFail,
}

/// <summary>DNS over TLS (RFC 7858) and over HTTPS (RFC 8484).</summary>
public sealed record TlsOptions
{
    /// <summary>PEM file of the certificate, intermediate ones behind it.</summary>
    public required string CertificateFile { get; init; }

    /// <summary>PEM file of its key.</summary>
    public required string KeyFile { get; init; }

    /// <summary>Where DNS over TLS is answered; null: not.</summary>
    public IPEndPoint? Listen { get; init; } = new(IPAddress.Loopback, 8853);

    /// <summary>Where DNS over HTTPS is answered, at <c>/dns-query</c>; null: not.</summary>
    public IPEndPoint? Https { get; init; } = new(IPAddress.Loopback, 8443);
}
