using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Declarative.Tests.Lb;

/// <summary>A private root with one intermediate that signs server certificates: a client that trusts the root alone needs the whole chain.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly X509Certificate2 _intermediate;
    private readonly DateTimeOffset _now;

    /// <param name="now">The certificates are valid around this time.</param>
    public TestAuthority(DateTimeOffset? now = null)
    {
        _now = now ?? DateTimeOffset.UtcNow;
        Root = Sign("root", null, authority: true).Certificate;
        _intermediate = Sign("intermediate", Root, authority: true).Certificate;
    }

    public X509Certificate2 Root { get; }

    /// <summary>A certificate with the intermediate after it, and its key, both in PEM.</summary>
    public (string Certificates, string Key) Issue(string name, bool rsa = false)
    {
        var (certificate, key) = Sign(name, _intermediate, authority: false, rsa);
        using (certificate)
        using (key)
        {
            var pem = rsa ? ((RSA)key).ExportRSAPrivateKeyPem() : ((ECDsa)key).ExportECPrivateKeyPem();
            return (certificate.ExportCertificatePem() + "\n" + _intermediate.ExportCertificatePem() + "\n", pem);
        }
    }

    /// <summary>A Secret of type kubernetes.io/tls.</summary>
    public static string Secret(string name, string certificates, string key) => $$"""
        {"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/tls","metadata":{"name":"{{name}}","namespace":"default"},
         "data":{"tls.crt":"{{Base64(certificates)}}","tls.key":"{{Base64(key)}}"} }
        """;

    public static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    public void Dispose()
    {
        Root.Dispose();
        _intermediate.Dispose();
    }

    private (X509Certificate2 Certificate, AsymmetricAlgorithm Key) Sign(string name, X509Certificate2? issuer, bool authority, bool rsa = false)
    {
        AsymmetricAlgorithm key = rsa ? RSA.Create(2048) : ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = rsa
            ? new CertificateRequest("CN=" + name.Replace("*", "any", StringComparison.Ordinal), (RSA)key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new CertificateRequest("CN=" + name.Replace("*", "any", StringComparison.Ordinal), (ECDsa)key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(authority, false, 0, true));
        if (!authority)
        {
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(name);
            request.CertificateExtensions.Add(names.Build());
        }
        if (issuer is null) return (request.CreateSelfSigned(_now.AddDays(-1), _now.AddDays(30)), key);
        using var signer = issuer.GetECDsaPrivateKey()!;
        var signed = request.Create(issuer.SubjectName, X509SignatureGenerator.CreateForECDsa(signer), _now.AddHours(-1), _now.AddDays(9), RandomNumberGenerator.GetBytes(12));
        return (authority ? signed.CopyWithPrivateKey((ECDsa)key) : signed, key);
    }
}
