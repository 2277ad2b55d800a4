using System.Net;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Forms of texts that are no names: paths, addresses, networks. Each returns null or what is wrong (Kubernetes: util/validation, validateLocalDescendingPath).</summary>
internal static class Forms
{
    public static string? RelativePathError(string path) => path.StartsWith('/') ? "must be a relative path" : BackstepError(path);

    public static string? BackstepError(string path) => path.Split('/').Contains("..") ? "must not contain '..'" : null;

    public static string? AddressError(string text) =>
        IsAddress(text) ? null : "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

    public static string? NetworkError(string text) =>
        text.Contains('/', StringComparison.Ordinal) && IsAddress(text[..text.IndexOf('/', StringComparison.Ordinal)]) && IPNetworkOf(text) is not null
            ? null : "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

    /// <summary>Four decimal numbers, or an IPv6 address; .NET alone would take "1" and "0x7f.1" as well.</summary>
    public static bool IsAddress(string text) =>
        IPAddress.TryParse(text, out _) && !text.Contains('%', StringComparison.Ordinal)
        && (text.Contains(':', StringComparison.Ordinal) || (text.Split('.') is { Length: 4 } parts && parts.All(x => x.Length is > 0 and <= 3 && x.All(char.IsAsciiDigit) && (x.Length == 1 || x[0] != '0'))));

    /// <summary>The network, its host bits cleared; null where the text is none.</summary>
    public static IPNetwork? IPNetworkOf(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || !IPAddress.TryParse(text[..slash], out var address) || !int.TryParse(text.AsSpan(slash + 1), System.Globalization.NumberStyles.None, null, out var bits)) return null;
        var bytes = address.GetAddressBytes();
        if (bits > bytes.Length * 8) return null;
        for (var i = bits; i < bytes.Length * 8; i++) bytes[i / 8] &= (byte)~(0x80 >> (i % 8));
        return new(new IPAddress(bytes), bits);
    }
}
