using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// The tokens by which executors that frameworks bring show who they are: a JSON Web Token (HS256) that claims framework, executor and
/// container, as Mesos' default secret generator makes them. It holds as long as the key.
/// </summary>
/// <remarks>Source: Mesos' document "Authentication", "Executor"; RFC 7515, RFC 7519.</remarks>
internal static class ExecutorTokens
{
    private static readonly string Header = Base64Url.EncodeToString("""{"alg":"HS256","typ":"JWT"}"""u8);

    /// <param name="Framework">Claim <c>fid</c>.</param>
    /// <param name="Executor">Claim <c>eid</c>.</param>
    /// <param name="Container">Claim <c>cid</c>.</param>
    public sealed record Claims(string Framework, string Executor, string Container);

    public static string Make(byte[] key, Claims claims)
    {
        var payload = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, string> { ["fid"] = claims.Framework, ["eid"] = claims.Executor, ["cid"] = claims.Container });
        var signed = $"{Header}.{Base64Url.EncodeToString(payload)}";
        return $"{signed}.{Base64Url.EncodeToString(Signature(key, signed))}";
    }

    /// <summary>What the token claims; null where it was not made with this key, or is none.</summary>
    public static Claims? Read(byte[] key, string token)
    {
        if (token.Length > Limits.ExecutorTokenCharsMax || token.Split('.') is not [var header, var payload, var signature])
            return null;
        try
        {
            if (!CryptographicOperations.FixedTimeEquals(Base64Url.DecodeFromChars(signature), Signature(key, $"{header}.{payload}")))
                return null;
            using var members = JsonDocument.Parse(Base64Url.DecodeFromChars(payload));
            using var algorithm = JsonDocument.Parse(Base64Url.DecodeFromChars(header));
            var claimed = members.RootElement;
            return algorithm.RootElement.GetProperty("alg").GetString() == "HS256"
                ? new(claimed.GetProperty("fid").GetString()!, claimed.GetProperty("eid").GetString()!, claimed.GetProperty("cid").GetString()!)
                : null;
        }
        catch (Exception none) when (none is FormatException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // No token of ours.
            return null;
        }
    }

    private static byte[] Signature(byte[] key, string signed) => HMACSHA256.HashData(key, Encoding.ASCII.GetBytes(signed));
}
