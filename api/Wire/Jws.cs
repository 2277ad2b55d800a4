using System.Buffers.Text;
using System.Text;

namespace Declarative.Api.Wire;

/// <summary>JSON Web Signatures (RFC 7515): what is signed, and the two forms that the result is written in.</summary>
public static class Jws
{
    /// <summary>Compact (section 7.1): header "." payload "." signature, each in base64url.</summary>
    /// <param name="header">JSON.</param>
    /// <param name="sign">From the signing input (section 5.1, ASCII) to the signature in the form of the header's <c>alg</c> (RFC 7518 section 3).</param>
    public static string Compact(string header, ReadOnlySpan<byte> payload, Func<byte[], byte[]> sign)
    {
        var signed = $"{Encode(header)}.{Base64Url.EncodeToString(payload)}";
        return $"{signed}.{Signature(signed, sign)}";
    }

    /// <summary>Flattened JSON (section 7.2.2), with everything of the header protected.</summary>
    /// <param name="header">JSON.</param>
    /// <param name="sign">As in <see cref="Compact"/>.</param>
    public static string Flattened(string header, ReadOnlySpan<byte> payload, Func<byte[], byte[]> sign)
    {
        var (head, body) = (Encode(header), Base64Url.EncodeToString(payload));
        return $$"""{"protected":"{{head}}","payload":"{{body}}","signature":"{{Signature($"{head}.{body}", sign)}}"}""";
    }

    private static string Encode(string header) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header));

    private static string Signature(string signed, Func<byte[], byte[]> sign) => Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(signed)));
}
