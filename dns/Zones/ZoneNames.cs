using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>The names and numbers that zones are built with.</summary>
internal sealed record ZoneNames(DnsName Mesos, DnsName Cluster, string Framework, ZoneTimes Times, bool HealthAware, ushort SrvWeight)
{
    /// <summary>Version of the Kubernetes DNS specification that the cluster zone follows.</summary>
    public const string SpecificationVersion = "1.1.0";

    public static ZoneNames Default { get; } =
        new(DnsName.Parse("mesos"), DnsName.Parse("cluster.local"), "declarative", new ZoneTimes(), HealthAware: true, SrvWeight: 1);

    /// <summary>Times of the cluster zone and of the reverse zones.</summary>
    public ZoneTimes ClusterTimes { get; init; } = new();

    /// <summary>Labels as RFC 952 has them: 24 characters, a letter first.</summary>
    public bool Rfc952 { get; init; }

    /// <summary>Where a task's address is looked for, in this order.</summary>
    public IReadOnlyList<IpSource> IpSources { get; init; } = [IpSource.Network, IpSource.Mesos, IpSource.Host];

    /// <summary>A task's name as one label.</summary>
    public string Label(string name, int lengthMax = NameWire.LabelMax) =>
        Rfc952 ? MesosLabel.Rfc952(name, lengthMax) : MesosLabel.Rfc1123(name, lengthMax);
}

/// <summary>Where Mesos tells a task's address.</summary>
public enum IpSource
{
    /// <summary>The container's network information.</summary>
    Network,
    /// <summary>A label that Mesos' containerizer set.</summary>
    Mesos,
    /// <summary>A label that the Docker containerizer set.</summary>
    Docker,
    /// <summary>The agent.</summary>
    Host,
}
