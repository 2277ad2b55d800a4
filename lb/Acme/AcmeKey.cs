using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Declarative.Api.Wire;

namespace Declarative.Lb.Acme;

/// <summary>The key of an account, and what is signed with it: ES256 (RFC 7518 section 3.4) over flattened JSON (RFC 7515 section 7.2.2).</summary>
internal sealed class AcmeKey : IDisposable
{
    private readonly ECDsa _key;

    private AcmeKey(ECDsa key)
    {
        _key = key;
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        // Members in this order and without spaces: RFC 7638 section 3 hashes exactly these bytes.
        Jwk = $$"""{"crv":"P-256","kty":"EC","x":"{{Base64Url.EncodeToString(point.X)}}","y":"{{Base64Url.EncodeToString(point.Y)}}"}""";
        Thumbprint = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(Jwk)));
    }

    public static AcmeKey Create() => new(ECDsa.Create(ECCurve.NamedCurves.nistP256));

    /// <exception cref="CryptographicException">No private key on P-256 in PEM.</exception>
    public static AcmeKey FromPem(string pem)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            if (key.KeySize != 256) throw new CryptographicException($"a key of {key.KeySize} bits, expected P-256");
            return new(key);
        }
        catch (ArgumentException e)
        {
            key.Dispose();
            throw new CryptographicException("no private key in PEM", e);
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    /// <summary>The public key, RFC 7517.</summary>
    public string Jwk { get; }

    /// <summary>RFC 7638, in base64url.</summary>
    public string Thumbprint { get; }

    public string ToPem() => _key.ExportPkcs8PrivateKeyPem();

    /// <summary>A request's body, RFC 8555 section 6.2.</summary>
    /// <param name="account">The account's URL; "" = it has none yet, and the key itself is sent.</param>
    /// <param name="payload">JSON; "" = POST-as-GET.</param>
    public byte[] Sign(Uri url, string nonce, string account, string payload)
    {
        var signer = account.Length == 0 ? $"\"jwk\":{Jwk}" : $"\"kid\":{Quoted(account)}";
        return Encoding.ASCII.GetBytes(Jws.Flattened(
            $$"""{"alg":"ES256","nonce":{{Quoted(nonce)}},"url":{{Quoted(url.AbsoluteUri)}},{{signer}}}""", Encoding.UTF8.GetBytes(payload),
            x => _key.SignData(x, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)));
    }

    /// <summary>That whoever has this key is the customer whom the authority knows by another one (RFC 8555 section 7.3.4); JSON.</summary>
    /// <param name="url">Of newAccount, where it is sent.</param>
    public string Bind(Uri url, AcmeBinding binding) => Jws.Flattened(
        $$"""{"alg":"HS256","kid":{{Quoted(binding.KeyId)}},"url":{{Quoted(url.AbsoluteUri)}}}""", Encoding.ASCII.GetBytes(Jwk), x => HMACSHA256.HashData(binding.Key, x));

    public void Dispose() => _key.Dispose();

    public static string Quoted(string text) => $"\"{System.Text.Json.JsonEncodedText.Encode(text)}\"";
}
