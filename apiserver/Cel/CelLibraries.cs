using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Numerics;
using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>Kubernetes' libraries for quantities, addresses, networks and URLs (doc "Common Expression Language in Kubernetes").</summary>
internal static class CelLibraries
{
    private static readonly string[] Binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

    public static IEnumerable<CelOverload> All() => [.. Quantities(), .. Addresses(), .. Urls()];

    public static bool TryQuantity(string text, out CelQuantity quantity)
    {
        quantity = new(0);
        var end = 0;
        while (end < text.Length && (char.IsAsciiDigit(text[end]) || text[end] is '.' or '+' or '-')) end++;
        var (digits, suffix) = (text[..end], text[end..]);
        if (digits.Length > 40 || !BigDecimal(digits, out var nano)) return false;
        var scale = suffix switch
        {
            "" => 0, "n" => -9, "u" => -6, "m" => -3, "k" => 3, "M" => 6, "G" => 9, "T" => 12, "P" => 15, "E" => 18,
            ['e' or 'E', ..] when int.TryParse(suffix.AsSpan(1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var power) && Math.Abs(power) <= 30 => power,
            _ => Array.IndexOf(Binary, suffix) is >= 0 and var binary ? 1000 + binary : -1000,
        };
        if (scale == -1000) return false;
        if (scale >= 1000) nano *= BigInteger.Pow(1024, scale - 999);
        else if (scale >= 0) nano *= BigInteger.Pow(10, scale);
        else nano /= BigInteger.Pow(10, -scale);
        quantity = new(nano);
        return true;
    }

    private static IEnumerable<CelOverload> Quantities()
    {
        var q = CelType.Quantity;
        yield return Of("quantity", [CelType.String], q, (a, _) => TryQuantity((string)a[0]!, out var x) ? x : throw new CelException($"\"{a[0]}\" is no quantity such as 100m, 1.5 or 64Mi"));
        yield return Of("isQuantity", [CelType.String], CelType.Bool, (a, _) => TryQuantity((string)a[0]!, out var x));
        yield return Member("sign", [q], CelType.Int, (a, _) => (long)Nano(a[0]).Sign);
        yield return Member("isInteger", [q], CelType.Bool, (a, _) => Nano(a[0]) % CelQuantity.Unit == 0 && BigInteger.Abs(Nano(a[0]) / CelQuantity.Unit) <= long.MaxValue);
        yield return Member("asInteger", [q], CelType.Int, (a, _) => Nano(a[0]) % CelQuantity.Unit == 0 && BigInteger.Abs(Nano(a[0]) / CelQuantity.Unit) <= long.MaxValue ? (long)(Nano(a[0]) / CelQuantity.Unit) : throw new CelException("the quantity is no integer of 64 bits"));
        yield return Member("asApproximateFloat", [q], CelType.Double, (a, _) => (double)Nano(a[0]) / 1e9);
        yield return Member("isGreaterThan", [q, q], CelType.Bool, (a, _) => Nano(a[0]) > Nano(a[1]));
        yield return Member("isLessThan", [q, q], CelType.Bool, (a, _) => Nano(a[0]) < Nano(a[1]));
        yield return Member("compareTo", [q, q], CelType.Int, (a, _) => (long)Math.Sign(Nano(a[0]).CompareTo(Nano(a[1]))));
        foreach (var (name, sign) in new[] { ("add", 1), ("sub", -1) })
        {
            yield return Member(name, [q, q], q, (a, m) => Bounded(Nano(a[0]) + sign * Nano(a[1]), m));
            yield return Member(name, [q, CelType.Int], q, (a, m) => Bounded(Nano(a[0]) + sign * new BigInteger((long)a[1]!) * CelQuantity.Unit, m));
        }
    }

    private static IEnumerable<CelOverload> Addresses()
    {
        var (ip, cidr, text) = (CelType.Address, CelType.Cidr, CelType.String);
        yield return Of("isIP", [text], CelType.Bool, (a, _) => Networks.TryParseAddress((string)a[0]!, out var x));
        yield return Of("ip", [text], ip, (a, _) => Address(a[0]));
        yield return Of("ip.isCanonical", [text], CelType.Bool, (a, _) => Address(a[0]).ToString() == (string)a[0]!);
        yield return Member("family", [ip], CelType.Int, (a, _) => ((IPAddress)a[0]!).AddressFamily == AddressFamily.InterNetwork ? 4L : 6L);
        yield return Member("isUnspecified", [ip], CelType.Bool, (a, _) => a[0]!.Equals(IPAddress.Any) || a[0]!.Equals(IPAddress.IPv6Any));
        yield return Member("isLoopback", [ip], CelType.Bool, (a, _) => IPAddress.IsLoopback((IPAddress)a[0]!));
        yield return Member("isLinkLocalMulticast", [ip], CelType.Bool, (a, _) => In(a[0], "224.0.0.0/24") || In(a[0], "ff02::/16"));
        yield return Member("isLinkLocalUnicast", [ip], CelType.Bool, (a, _) => In(a[0], "169.254.0.0/16") || In(a[0], "fe80::/10"));
        yield return Member("isGlobalUnicast", [ip], CelType.Bool, (a, _) => !(a[0]!.Equals(IPAddress.Any) || a[0]!.Equals(IPAddress.IPv6Any) || a[0]!.Equals(IPAddress.Broadcast) || IPAddress.IsLoopback((IPAddress)a[0]!)
            || In(a[0], "224.0.0.0/4") || In(a[0], "ff00::/8") || In(a[0], "169.254.0.0/16") || In(a[0], "fe80::/10")));
        yield return Of("isCIDR", [text], CelType.Bool, (a, _) => Networks.TryParseCidr((string)a[0]!, out var x));
        yield return Of("cidr", [text], cidr, (a, _) => Network(a[0]));
        yield return Member("containsIP", [cidr, ip], CelType.Bool, (a, _) => ((Cidr)a[0]!).Contains((IPAddress)a[1]!));
        yield return Member("containsIP", [cidr, text], CelType.Bool, (a, _) => ((Cidr)a[0]!).Contains(Address(a[1])));
        yield return Member("containsCIDR", [cidr, cidr], CelType.Bool, (a, _) => ((Cidr)a[0]!).Contains((Cidr)a[1]!));
        yield return Member("containsCIDR", [cidr, text], CelType.Bool, (a, _) => ((Cidr)a[0]!).Contains(Network(a[1])));
        yield return Member("ip", [cidr], ip, (a, _) => ((Cidr)a[0]!).Address);
        yield return Member("masked", [cidr], cidr, (a, _) => ((Cidr)a[0]!).Masked());
        yield return Member("prefixLength", [cidr], CelType.Int, (a, _) => (long)((Cidr)a[0]!).Prefix);
    }

    private static IEnumerable<CelOverload> Urls()
    {
        var url = CelType.Url;
        yield return Of("url", [CelType.String], url, (a, _) => TryUrl((string)a[0]!, out var x) ? x : throw new CelException($"\"{a[0]}\" is no absolute URL or path"));
        yield return Of("isURL", [CelType.String], CelType.Bool, (a, _) => TryUrl((string)a[0]!, out var x));
        yield return Member("getScheme", [url], CelType.String, (a, _) => Url(a[0]).IsAbsoluteUri ? Url(a[0]).Scheme : "");
        yield return Member("getHost", [url], CelType.String, (a, _) => Url(a[0]).IsAbsoluteUri ? Url(a[0]).Authority[(Url(a[0]).Authority.LastIndexOf('@') + 1)..] : "");
        yield return Member("getHostname", [url], CelType.String, (a, _) => Url(a[0]).IsAbsoluteUri ? Url(a[0]).Host.Trim('[', ']') : "");
        yield return Member("getPort", [url], CelType.String, (a, _) => Url(a[0]).IsAbsoluteUri && Url(a[0]).OriginalString.Contains($":{Url(a[0]).Port}", StringComparison.Ordinal) ? Url(a[0]).Port.ToString(CultureInfo.InvariantCulture) : "");
        yield return Member("getEscapedPath", [url], CelType.String, (a, _) => Url(a[0]).IsAbsoluteUri ? Url(a[0]).AbsolutePath : Url(a[0]).OriginalString.Split('?')[0]);
    }

    private static BigInteger Nano(object? quantity) => ((CelQuantity)quantity!).Nano;

    private static CelQuantity Bounded(BigInteger nano, CelMeter meter)
    {
        meter.Make(nano.GetByteCount());
        return new(nano);
    }

    private static bool BigDecimal(string text, out BigInteger nano)
    {
        nano = 0;
        var sign = text is ['-', ..] ? -1 : 1;
        if (text is ['-' or '+', ..]) text = text[1..];
        var parts = text.Split('.');
        if (parts.Length > 2 || string.Concat(parts) is not { Length: > 0 } all || !all.All(char.IsAsciiDigit)) return false;
        var fraction = parts.Length == 2 ? parts[1] : "";
        nano = sign * BigInteger.Parse(parts[0] + fraction, CultureInfo.InvariantCulture) * CelQuantity.Unit / BigInteger.Pow(10, fraction.Length);
        return true;
    }

    private static bool In(object? address, string block) => Networks.TryParseCidr(block, out var cidr) && cidr.Contains((IPAddress)address!);

    private static IPAddress Address(object? text) => Networks.TryParseAddress((string)text!, out var address) ? address : throw new CelException($"\"{text}\" is no IP address");

    private static Cidr Network(object? text) => Networks.TryParseCidr((string)text!, out var cidr) ? cidr : throw new CelException($"\"{text}\" is no network such as 10.0.0.0/8");

    private static Uri Url(object? value) => (Uri)value!;

    private static bool TryUrl(string text, out Uri url)
    {
        url = null!;
        if (text.StartsWith('/')) return Uri.TryCreate(text, UriKind.Relative, out url!);
        return text.Contains("://", StringComparison.Ordinal) && Uri.TryCreate(text, UriKind.Absolute, out url!);
    }
}
