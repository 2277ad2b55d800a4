using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Declarative.Api;

namespace Declarative.ApiServer.Authentication;

/// <summary>The generated CA of one platform: signs the serving certificate and the client certificates (ECDSA P-256).</summary>
internal sealed class CertificateAuthority(X509Certificate2 certificate, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan CaLifetime = TimeSpan.FromDays(3650);
    private static readonly TimeSpan LeafLifetime = TimeSpan.FromDays(365);

    /// <summary>Leaves are made anew when less than this is left.</summary>
    private static readonly TimeSpan RenewBefore = TimeSpan.FromDays(30);
    private static readonly Oid ServerUse = new("1.3.6.1.5.5.7.3.1");
    private static readonly Oid ClientUse = new("1.3.6.1.5.5.7.3.2");

    public X509Certificate2 Certificate => certificate;

    public static CertificateAuthority Make(TimeProvider time)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var name = new X500DistinguishedNameBuilder();
        name.AddCommonName("declarative-ca");
        var request = new CertificateRequest(name.Build(), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign | X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        var now = time.GetUtcNow();
        return new(request.CreateSelfSigned(now.AddHours(-1), now + CaLifetime), time);
    }

    /// <summary>True while a certificate is from this authority and not about to end.</summary>
    public bool IsFresh(X509Certificate2 leaf) =>
        leaf.IssuerName.RawData.AsSpan().SequenceEqual(certificate.SubjectName.RawData)
        && time.GetUtcNow() + RenewBefore < new DateTimeOffset(leaf.NotAfter)
        && Verifies(leaf, use: null);

    /// <summary>True where the chain of a client's certificate ends at this authority and it is made for clients.</summary>
    public bool VerifiesClient(X509Certificate2 leaf) => Verifies(leaf, ClientUse);

    public X509Certificate2 SignServer(IReadOnlyList<string> names, IReadOnlyList<IPAddress> addresses)
    {
        var subject = new X500DistinguishedNameBuilder();
        subject.AddCommonName("declarative-apiserver");
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names) alternatives.AddDnsName(name);
        foreach (var address in addresses) alternatives.AddIpAddress(address);
        return Sign(subject.Build(), ServerUse, alternatives.Build());
    }

    /// <summary>CN = the user's name, one O per group but <c>system:authenticated</c>, which every request gets anyway.</summary>
    public X509Certificate2 SignClient(User user)
    {
        var subject = new X500DistinguishedNameBuilder();
        foreach (var group in user.Groups)
        {
            if (group != User.Authenticated) subject.AddOrganizationName(group);
        }
        subject.AddCommonName(user.Name);
        return Sign(subject.Build(), ClientUse, alternatives: null);
    }

    private X509Certificate2 Sign(X500DistinguishedName subject, Oid use, X509Extension? alternatives)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([use], critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(certificate, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        if (alternatives is not null) request.CertificateExtensions.Add(alternatives);
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] &= 0x7f; // RFC 5280, 4.1.2.2: positive
        var now = time.GetUtcNow();
        using var signed = request.Create(certificate, now.AddHours(-1), now + LeafLifetime, serial);
        return signed.CopyWithPrivateKey(key);
    }

    private bool Verifies(X509Certificate2 leaf, Oid? use)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(certificate);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTimeIgnored = false;
        chain.ChainPolicy.VerificationTime = time.GetUtcNow().UtcDateTime;
        if (use is not null) chain.ChainPolicy.ApplicationPolicy.Add(use);
        return chain.Build(leaf);
    }

    public void Dispose() => certificate.Dispose();
}
