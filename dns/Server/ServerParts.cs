using System.Net;
using System.Security.Cryptography;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Server;

/// <summary>What all loops and connections of one server share.</summary>
internal sealed class ServerParts(DnsOptions options, TimeProvider time)
{
    /// <summary>Null: names of other zones are refused.</summary>
    public Forwarder? Forwarder { get; } = options.Forward.Any ? new Forwarder(options.Forward, time) : null;

    public CookieJar Cookies { get; } = new(RandomNumberGenerator.GetBytes(16), time.GetUtcNow().ToUnixTimeSeconds());

    public IReadOnlyList<IPNetwork> TransferTo => options.TransferTo;

    /// <summary>A loop's own measure of what it sends to whom; null: no limit.</summary>
    public ResponseRate? NewRate() => options.RatePerSecond > 0 ? new ResponseRate(options.RatePerSecond, DnsLimits.RateSlots) : null;

    public bool MayTransfer(IPAddress client)
    {
        var plain = client.IsIPv4MappedToIPv6 ? client.MapToIPv4() : client;
        return TransferTo.Any(n => n.Contains(plain));
    }
}
