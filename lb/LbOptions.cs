using System.Net;
using System.Security.Cryptography.X509Certificates;

namespace Declarative.Lb;

/// <summary>Settings of one balancer. Ports are given without the offset; 0 = do not listen there.</summary>
public sealed record LbOptions
{
    /// <summary>Tells the instances apart: its TrafficReport is <c>lb-ID</c>. A DNS label.</summary>
    public string Id { get; init; } = "local";

    /// <summary>Where Services of type LoadBalancer, node ports, Ingress and the admin endpoints listen.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>Added to every port but node ports and those of cluster IPs.</summary>
    public int PortOffset { get; init; }

    /// <summary>Ingress, HTTP/1.1 and h2c.</summary>
    public int HttpPort { get; init; } = 9080;

    /// <summary>Ingress for clients that expect h2c on a port of its own.</summary>
    public int H2cPort { get; init; } = 9081;

    /// <summary>Ingress over TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2 by ALPN.</summary>
    public int HttpsPort { get; init; } = 9443;

    /// <summary><c>/metrics</c>, <c>/readyz</c>, <c>/haproxy?stats</c>, <c>/_haproxy_…</c>.</summary>
    public int AdminPort { get; init; } = 9090;

    /// <summary>marathon-lb's <c>--group</c>: of Services with labels <c>HAPROXY_…</c> only those of these groups, <c>*</c> = every one; empty = no label of a group is needed.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>Where one JSON line per request and connection is written: a file, or <c>-</c> for standard output; "" = nowhere.</summary>
    public string AccessLog { get; init; } = "";

    /// <summary>Above it lines are left out and counted.</summary>
    public int AccessLogLinesPerSecond { get; init; } = 1000;

    /// <summary>Proxies before the balancer: every connection from these networks begins with a header of the PROXY protocol, version 1 or 2.</summary>
    public IReadOnlyList<IPNetwork> ProxyProtocolFrom { get; init; } = [];

    /// <summary>That header, and the first message of a TLS client whose server name decides, must have come within this time.</summary>
    public TimeSpan ProxyProtocolTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The head of a request must be whole within this time (marathon-lb: 15 s).</summary>
    public TimeSpan RequestHeadTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>HTTP connections at once, and as many that are not HTTP; more are closed (marathon-lb: 50,000).</summary>
    public int ConnectionsMax { get; init; } = 50_000;

    /// <summary>Cluster IPs inside this network are listened on; others belong to somebody else.</summary>
    public IPNetwork ClusterIps { get; init; } = IPNetwork.Parse("127.64.0.0/12");

    /// <summary>Ports of <see cref="Address"/> that other parts of the platform use (offset included), with the name of the part.</summary>
    public IReadOnlyDictionary<int, string> PlatformPorts { get; init; } = new Dictionary<int, string>();

    /// <summary>Where certificates are ordered (RFC 8555 section 7.1.1): a URL of https; "" = nowhere. To set it is to agree to the authority's terms.</summary>
    public string AcmeDirectory { get; init; } = "";

    /// <summary>Mail address that the authority may write to; "" = none.</summary>
    public string AcmeContact { get; init; } = "";

    /// <summary>Of authorities that want to know whose the account is; null = none.</summary>
    public AcmeBinding? AcmeBinding { get; init; }

    /// <summary>The authorities that the directory's own certificate is checked against; empty = the system's.</summary>
    public X509Certificate2Collection AcmeRoots { get; init; } = [];

    /// <summary>TCP connect to an endpoint (marathon-lb: 3 s).</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Without a byte in either direction for this long a request or a tunnel is ended (marathon-lb's tunnel timeout: 1 h).</summary>
    public TimeSpan ActivityTimeout { get; init; } = TimeSpan.FromHours(1);

    /// <summary>A client that has ended its side of a plain HTTP connection in the middle of an answer gets the rest of it while no longer pause is in it (HAProxy: <c>timeout client-fin</c>).</summary>
    public TimeSpan ClientEndTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After the last answer of a plain HTTP connection, what the client goes on sending is read and thrown away for this long (nginx' lingering_time: 30 s).</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// On a port whose protocol is not declared the client has this long to show that it speaks HTTP before an endpoint is asked: in some
    /// protocols the server speaks first.
    /// </summary>
    public TimeSpan SniffTimeout { get; init; } = TimeSpan.FromMilliseconds(200);
}

/// <summary>A customer's account at a certificate authority, outside of ACME (RFC 8555 section 7.3.4).</summary>
/// <param name="KeyId">As the authority has given it.</param>
/// <param name="Key">For HMAC with SHA-256. A secret.</param>
public sealed record AcmeBinding(string KeyId, byte[] Key)
{
    public override string ToString() => KeyId;
}
