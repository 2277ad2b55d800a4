using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api.Wire;

namespace Declarative.ApiServer.Authentication;

/// <summary>JSON Web Tokens in compact form (RFC 7515 section 3.1), signed with ES256 (RFC 7518 section 3.4) by one key.</summary>
internal sealed class Jwt : IDisposable
{
    private const string Algorithm = "ES256";
    private const int TokenCharsMax = 16 * 1024;
    private readonly ECDsa _key;
    private readonly string _header;

    /// <summary>As it stands in each token.</summary>
    private readonly string _encodedHeader;

    public Jwt(ECDsa key)
    {
        _key = key;
        KeyId = Base64Url.EncodeToString(SHA256.HashData(key.ExportSubjectPublicKeyInfo()));
        _header = $$"""{"alg":"{{Algorithm}}","kid":"{{KeyId}}"}""";
        _encodedHeader = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(_header));
    }

    public string KeyId { get; }

    /// <summary>The public key for others who verify (RFC 7517).</summary>
    public JsonObject PublicKey()
    {
        var point = _key.ExportParameters(includePrivateParameters: false).Q;
        return new()
        {
            ["use"] = "sig",
            ["kty"] = "EC",
            ["kid"] = KeyId,
            ["crv"] = "P-256",
            ["alg"] = Algorithm,
            ["x"] = Base64Url.EncodeToString(point.X),
            ["y"] = Base64Url.EncodeToString(point.Y),
        };
    }

    /// <summary>A secret.</summary>
    public string Sign(JsonObject claims) => Jws.Compact(_header, Encoding.UTF8.GetBytes(claims.ToJsonString()), x => _key.SignData(x, HashAlgorithmName.SHA256));

    /// <summary>The claims of a token that this key has signed; null for any other text. Times and audiences are the caller's to check.</summary>
    public JsonObject? Verify(string token)
    {
        if (token.Length > TokenCharsMax) return null;
        var parts = token.Split('.');
        if (parts.Length != 3 || parts[0] != _encodedHeader) return null;
        try
        {
            if (!_key.VerifyData(Encoding.ASCII.GetBytes(parts[0] + "." + parts[1]), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256)) return null;
            return JsonNode.Parse(Base64Url.DecodeFromChars(parts[1])) as JsonObject;
        }
        catch (Exception malformed) when (malformed is FormatException or JsonException or CryptographicException)
        {
            return null;
        }
    }

    public void Dispose() => _key.Dispose();
}
