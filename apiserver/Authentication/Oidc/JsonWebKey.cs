using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Authentication.Oidc;

/// <summary>A public key of an issuer (RFC 7517): RSA, or a NIST curve.</summary>
internal sealed class JsonWebKey : IDisposable
{
    private readonly RSA? _rsa;
    private readonly ECDsa? _ec;
    private readonly string _only; // the one algorithm the key is for; "" = any that fits

    private JsonWebKey(string id, string only, RSA? rsa, ECDsa? ec) => (Id, _only, _rsa, _ec) = (id, only, rsa, ec);

    /// <summary>RFC 7518 section 3.1, without the symmetric ones and none.</summary>
    public static IReadOnlyList<string> Algorithms { get; } = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

    /// <summary>"" where the issuer gave none.</summary>
    public string Id { get; }

    /// <summary>null for a key that signs nothing that is understood here, or is malformed.</summary>
    public static JsonWebKey? Read(JsonObject json)
    {
        if (json.Text("use") is not ("" or "sig")) return null;
        try
        {
            return json.Text("kty") switch
            {
                "RSA" => new(json.Text("kid"), json.Text("alg"), RSA.Create(new RSAParameters { Modulus = Bytes(json, "n"), Exponent = Bytes(json, "e") }), null),
                "EC" when Curve(json.Text("crv")) is { } curve => new(json.Text("kid"), json.Text("alg"), null, ECDsa.Create(new ECParameters { Curve = curve, Q = new() { X = Bytes(json, "x"), Y = Bytes(json, "y") } })),
                _ => null,
            };
        }
        catch (Exception malformed) when (malformed is FormatException or CryptographicException)
        {
            return null;
        }
    }

    public bool Verifies(string algorithm, byte[] signed, byte[] signature)
    {
        if (_only.Length > 0 && _only != algorithm) return false;
        var hash = algorithm[2..] switch { "256" => HashAlgorithmName.SHA256, "384" => HashAlgorithmName.SHA384, _ => HashAlgorithmName.SHA512 };
        try
        {
            return algorithm[..2] switch
            {
                "RS" => _rsa is not null && _rsa.VerifyData(signed, signature, hash, RSASignaturePadding.Pkcs1),
                "PS" => _rsa is not null && _rsa.VerifyData(signed, signature, hash, RSASignaturePadding.Pss),
                // Each algorithm has its curve (RFC 7518 section 3.4).
                "ES" => _ec is not null && _ec.KeySize == (algorithm == "ES512" ? 521 : hash == HashAlgorithmName.SHA256 ? 256 : 384) && _ec.VerifyData(signed, signature, hash),
                _ => false,
            };
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    public void Dispose()
    {
        _rsa?.Dispose();
        _ec?.Dispose();
    }

    private static byte[] Bytes(JsonObject json, string name) => Base64Url.DecodeFromChars(json.Text(name));

    private static ECCurve? Curve(string name) => name switch
    {
        "P-256" => ECCurve.NamedCurves.nistP256,
        "P-384" => ECCurve.NamedCurves.nistP384,
        "P-521" => ECCurve.NamedCurves.nistP521,
        _ => null,
    };
}
