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

    /// <summary>TTLs and the other times of both zones, in seconds.</summary>
    public ZoneTimes Times { get; init; } = new();

    /// <summary>Withdraw what is not ready. False: every running task is published, as Mesos-DNS does.</summary>
    public bool HealthAware { get; init; } = true;

    /// <summary>Weight of SRV records. Not 0: haproxy takes that for "down".</summary>
    public ushort SrvWeight { get; init; } = 1;

    /// <summary>Threads that receive and answer UDP queries on <see cref="Listen"/>.</summary>
    public int UdpThreads { get; init; } = 2;
}
