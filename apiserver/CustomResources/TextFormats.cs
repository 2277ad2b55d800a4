using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.CustomResources;

/// <summary>The formats that a schema can ask of a string. A format that is not known here is not checked, as in Kubernetes.</summary>
internal static class TextFormats
{
    public static bool Fits(string format, string text) => format switch
    {
        "date-time" or "datetime" => text.Contains('T', StringComparison.OrdinalIgnoreCase) && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "date" => DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "duration" => Cel.Durations.TryParse(text, out _),
        "byte" => System.Buffers.Text.Base64.IsValid(text),
        "ipv4" => IPAddress.TryParse(text, out var v4) && v4.AddressFamily == AddressFamily.InterNetwork && text.Count(x => x == '.') == 3,
        "ipv6" => IPAddress.TryParse(text, out var v6) && v6.AddressFamily == AddressFamily.InterNetworkV6,
        "cidr" => Cel.Networks.TryParseCidr(text, out _),
        "uuid" or "uuid3" or "uuid4" or "uuid5" => Guid.TryParseExact(text, "D", out _),
        "mac" => text.Length == 17 && text.Split(':', '-') is { Length: 6 } parts && parts.All(x => x.Length == 2 && x.All(char.IsAsciiHexDigit)),
        "hostname" => Names.SubdomainError(text.ToLowerInvariant()) is null,
        "email" => text.IndexOf('@', StringComparison.Ordinal) is > 0 and var at && at < text.Length - 1 && !text.Contains(' ', StringComparison.Ordinal),
        "uri" => Uri.TryCreate(text, UriKind.Absolute, out _),
        _ => true,
    };
}
