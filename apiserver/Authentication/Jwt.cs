using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api.Wire;

namespace Declarative.ApiServer.Authentication;

/// <summary>
/// JSON Web Tokens in compact form (RFC 7515 section 3.1), signed with ES256 (RFC 7518 section 3.4): by the first of the keys, and verified by each of
/// them, so that tokens outlive the change of the key that signs.
/// </summary>
internal sealed class Jwt : IDisposable
{
    private const string Algorithm = "ES256";
    private const int CurveBits = 256;
    private const int TokenCharsMax = 16 * 1024;
    private readonly List<Key> _keys;

    private Jwt(List<Key> keys) => _keys = keys;

    /// <param name="file">Named in errors.</param>
    /// <param name="pem">Keys of curve P-256: a private one that signs, then others, private or public, whose tokens are still taken.</param>
    /// <exception cref="InvalidDataException">No such keys; the message says what was expected.</exception>
    public static Jwt Read(string file, string pem)
    {
        var keys = new List<Key>();
        try
        {
            for (var rest = pem.AsSpan(); PemEncoding.TryFind(rest, out var found); rest = rest[found.Location.End..])
            {
                // An openssl of the command line writes the curve in front of the key.
                if (rest[found.Label] is "EC PARAMETERS") continue;
                var key = ECDsa.Create();
                keys.Add(new(key, IsPrivate: rest[found.Label].EndsWith("PRIVATE KEY", StringComparison.Ordinal)));
                key.ImportFromPem(rest[found.Location]);
                if (key.KeySize != CurveBits) throw new CryptographicException($"key {keys.Count} is of {key.KeySize} bits");
                // Other curves have as many bits.
                if (key.ExportParameters(includePrivateParameters: false).Curve.Oid?.Value != ECCurve.NamedCurves.nistP256.Oid.Value) throw new CryptographicException($"key {keys.Count} is of another curve");
            }
            if (keys.Count == 0 || !keys[0].IsPrivate) throw new CryptographicException(keys.Count == 0 ? "there is no key" : "the first key is public");
            return new(keys);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            foreach (var key in keys) key.Dispose();
            throw new InvalidDataException($"{file}: {e.Message.TrimEnd('.')}: expected PEM with a private key of curve P-256 that signs, then those, private or public, whose tokens are still taken", e);
        }
    }

    /// <summary>The public keys for others who verify (RFC 7517).</summary>
    public IEnumerable<JsonObject> PublicKeys() => _keys.Select(x => x.Public());

    /// <summary>A secret.</summary>
    public string Sign(JsonObject claims) => Jws.Compact(_keys[0].Header, Encoding.UTF8.GetBytes(claims.ToJsonString()), x => _keys[0].Pair.SignData(x, HashAlgorithmName.SHA256));

    /// <summary>The claims of a token that one of these keys has signed; null for any other text. Times and audiences are the caller's to check.</summary>
    public JsonObject? Verify(string token)
    {
        if (token.Length > TokenCharsMax) return null;
        var parts = token.Split('.');
        if (parts.Length != 3 || _keys.Find(x => x.EncodedHeader == parts[0]) is not { } key) return null;
        try
        {
            if (!key.Pair.VerifyData(Encoding.ASCII.GetBytes(parts[0] + "." + parts[1]), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256)) return null;
            return JsonNode.Parse(Base64Url.DecodeFromChars(parts[1])) as JsonObject;
        }
        catch (Exception malformed) when (malformed is FormatException or JsonException or CryptographicException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        foreach (var key in _keys) key.Dispose();
    }

    private sealed record Key(ECDsa Pair, bool IsPrivate) : IDisposable
    {
        private string Id => field ??= Base64Url.EncodeToString(SHA256.HashData(Pair.ExportSubjectPublicKeyInfo()));

        public string Header => field ??= $$"""{"alg":"{{Algorithm}}","kid":"{{Id}}"}""";

        /// <summary>As it stands in each token.</summary>
        public string EncodedHeader => field ??= Base64Url.EncodeToString(Encoding.UTF8.GetBytes(Header));

        public JsonObject Public()
        {
            var point = Pair.ExportParameters(includePrivateParameters: false).Q;
            return new()
            {
                ["use"] = "sig",
                ["kty"] = "EC",
                ["kid"] = Id,
                ["crv"] = "P-256",
                ["alg"] = Algorithm,
                ["x"] = Base64Url.EncodeToString(point.X),
                ["y"] = Base64Url.EncodeToString(point.Y),
            };
        }

        public void Dispose() => Pair.Dispose();
    }
}
