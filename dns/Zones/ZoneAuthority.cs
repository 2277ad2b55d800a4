using System.Net;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>What a zone says of itself.</summary>
internal sealed record ZoneAuthority(DnsName Apex, ZoneTimes Times)
{
    /// <summary>Name of its server.</summary>
    public DnsName Server { get; init; } = DnsName.Parse("ns1." + Apex);

    /// <summary>Who answers for it, as a domain name.</summary>
    public DnsName Mailbox { get; init; } = DnsName.Parse("root.ns1." + Apex);

    /// <summary>Others have names in it too: what is not found here is not said to be missing.</summary>
    public bool IsShared { get; init; }

    /// <summary>All zones that are served: the Mesos domain, the cluster domain and, for the names of addresses, the two reverse ones.</summary>
    public static IReadOnlyList<ZoneAuthority> All(ZoneNames names, DnsName? mesosServer = null, DnsName? mesosMailbox = null)
    {
        var mesos = new ZoneAuthority(names.Mesos, names.Times);
        return
        [
            mesos with { Server = mesosServer ?? mesos.Server, Mailbox = mesosMailbox ?? mesos.Mailbox },
            new(names.Cluster, names.ClusterTimes),
            Reverse("in-addr.arpa"),
            Reverse("ip6.arpa"),
        ];

        ZoneAuthority Reverse(string apex) =>
            new(DnsName.Parse(apex), names.ClusterTimes) { Server = DnsName.Parse("ns1." + names.Cluster), Mailbox = DnsName.Parse("root.ns1." + names.Cluster), IsShared = true };
    }
}

/// <summary>How far a zone's contents may be relied on.</summary>
internal enum ZoneTrust
{
    /// <summary>Complete and fresh.</summary>
    Full,
    /// <summary>A source has not been read yet: what is there is right, but what is not there may exist.</summary>
    Incomplete,
    /// <summary>Too old to be answered.</summary>
    Expired,
}

/// <summary>Names of addresses (RFC 1035, 3.5; RFC 3596, 2.5).</summary>
internal static class ReverseName
{
    public static string Of(IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        return bytes.Length == 4
            ? $"{bytes[3]}.{bytes[2]}.{bytes[1]}.{bytes[0]}.in-addr.arpa"
            : string.Join('.', bytes.Reverse().Select(b => $"{b & 15:x}.{b >> 4:x}")) + ".ip6.arpa";
    }
}
