using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Declarative.Lb.Tls;

namespace Declarative.Lb.Proxy;

/// <summary>The certificate for names that no Ingress has one for: no client trusts it, but each is answered and learns why.</summary>
internal static class DefaultCertificate
{
    private const string Name = "declarative-lb";

    /// <summary>id-kp-serverAuth, RFC 5280 section 4.2.1.12.</summary>
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    public static TlsCertificate Create(DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + Name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(Name);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerAuthentication)], critical: false));
        return new(request.CreateSelfSigned(now, now.AddYears(1)), []);
    }
}
