using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Api.Kinds;

namespace Declarative.Lb.Tls;

/// <summary>Secret of type kubernetes.io/tls → certificate (Kubernetes doc "Secrets", TLS Secrets: PEM in tls.crt and tls.key).</summary>
internal static class SecretReader
{
    public const string Type = "kubernetes.io/tls";
    private const string CertificateField = "tls.crt";
    private const string KeyField = "tls.key";

    /// <summary>OpenSSL refuses a shorter one at its default security level, which would fail each handshake instead of this reading.</summary>
    private const int RsaBitsMin = 2048;

    public static TlsReading Read(Secret secret)
    {
        try
        {
            return TryRead(secret);
        }
        catch (Exception e) // the bulkhead of one Secret: its bytes are anybody's, and no message of a parser may carry parts of a key
        {
            return Bad($"could not be read ({e.GetType().Name})");
        }
    }

    private static TlsReading TryRead(Secret secret)
    {
        if (Field(secret, CertificateField) is not { } certificates) return Bad($"has no data.{CertificateField}");
        if (Field(secret, KeyField) is not { } key) return Bad($"has no data.{KeyField}");
        var chain = new X509Certificate2Collection();
        try
        {
            chain.ImportFromPem(certificates);
        }
        catch (CryptographicException)
        {
            chain.Clear();
        }
        if (chain.Count == 0) return Bad($"data.{CertificateField} is no certificate in PEM");
        if (WhyUnusable(chain[0]) is { } why) return Bad(why);
        X509Certificate2 leaf;
        try
        {
            leaf = X509Certificate2.CreateFromPem(certificates, key);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return Bad($"data.{KeyField} is no unencrypted private key in PEM that belongs to the first certificate of data.{CertificateField}");
        }
        chain[0].Dispose();
        chain.RemoveAt(0);
        return new(new(leaf, chain), "");
    }

    private static string? WhyUnusable(X509Certificate2 leaf)
    {
        using var rsa = leaf.GetRSAPublicKey();
        if (rsa is not null) return rsa.KeySize >= RsaBitsMin ? null : $"data.{CertificateField} has an RSA key of {rsa.KeySize} bits, at least {RsaBitsMin} are needed";
        using var ecdsa = leaf.GetECDsaPublicKey();
        return ecdsa is not null ? null : $"data.{CertificateField} has a key that is neither RSA nor ECDSA";
    }

    private static string? Field(Secret secret, string name) =>
        secret.Data.TryGetValue(name, out var bytes) && bytes is { Length: > 0 } ? Encoding.UTF8.GetString(bytes) : null;

    private static TlsReading Bad(string problem) => new(null, problem);
}
