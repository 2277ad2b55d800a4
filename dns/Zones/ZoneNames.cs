using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>The names and numbers that zones are built with.</summary>
internal sealed record ZoneNames(DnsName Mesos, DnsName Cluster, string Framework, ZoneTimes Times, bool HealthAware, ushort SrvWeight)
{
    /// <summary>Version of the Kubernetes DNS specification that the cluster zone follows.</summary>
    public const string SpecificationVersion = "1.1.0";

    public static ZoneNames Default { get; } =
        new(DnsName.Parse("mesos"), DnsName.Parse("cluster.local"), "declarative", new ZoneTimes(), HealthAware: true, SrvWeight: 1);
}
