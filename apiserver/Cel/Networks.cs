using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Declarative.ApiServer.Cel;

/// <summary>Addresses and blocks as Kubernetes' CEL library takes them: no leading zeros, no zone, no IPv4 inside IPv6.</summary>
internal static class Networks
{
    public static bool TryParseAddress(string text, out IPAddress address)
    {
        address = IPAddress.None;
        if (text.Length > 45 || text.Contains('%', StringComparison.Ordinal) || !IPAddress.TryParse(text, out var parsed)) return false;
        if (parsed.AddressFamily == AddressFamily.InterNetwork)
        {
            // "1.2" and "010.0.0.1" are addresses to some readers and not to others.
            if (text.Split('.') is not { Length: 4 } parts || parts.Any(x => x.Length == 0 || (x.Length > 1 && x[0] == '0') || !x.All(char.IsAsciiDigit))) return false;
        }
        else if (parsed.IsIPv4MappedToIPv6 || text.Contains('[', StringComparison.Ordinal))
        {
            return false;
        }
        address = parsed;
        return true;
    }

    public static bool TryParseCidr(string text, out Cidr cidr)
    {
        cidr = default!;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || !TryParseAddress(text[..slash], out var address)) return false;
        var length = text[(slash + 1)..];
        if (length.Length is 0 or > 3 || (length.Length > 1 && length[0] == '0') || !int.TryParse(length, NumberStyles.None, CultureInfo.InvariantCulture, out var prefix)) return false;
        if (prefix > (address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128)) return false;
        cidr = new(address, prefix);
        return true;
    }
}

/// <summary>An address with the length of its network's prefix in bits.</summary>
internal sealed record Cidr(IPAddress Address, int Prefix)
{
    public bool Contains(IPAddress other) => other.AddressFamily == Address.AddressFamily && Mask(other, Prefix).AsSpan().SequenceEqual(Mask(Address, Prefix));

    public bool Contains(Cidr other) => other.Prefix >= Prefix && Contains(other.Address);

    public Cidr Masked() => new(new IPAddress(Mask(Address, Prefix)), Prefix);

    public override string ToString() => $"{Address}/{Prefix}";

    private static byte[] Mask(IPAddress address, int prefix)
    {
        var bytes = address.GetAddressBytes();
        for (var i = 0; i < bytes.Length; i++)
        {
            var bits = Math.Clamp(prefix - i * 8, 0, 8);
            bytes[i] &= (byte)(0xff << (8 - bits));
        }
        return bytes;
    }
}
