using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Declarative.Lb.Tls;

/// <summary>
/// A certificate with its private key and the certificates between it and its root, ready for handshakes. Made once per Secret, so that TLS
/// sessions can be resumed. Never disposed: a handshake that has begun may still use it after the Secret has changed.
/// </summary>
/// <param name="leaf">Has its private key.</param>
/// <param name="chain">In any order, without <paramref name="leaf"/>.</param>
internal sealed class TlsCertificate(X509Certificate2 leaf, X509Certificate2Collection chain)
{
    public X509Certificate2 Leaf { get; } = leaf;

    // Offline: a certificate must not make the balancer ask the network for issuers or OCSP answers.
    public SslStreamCertificateContext Context { get; } = SslStreamCertificateContext.Create(leaf, chain, offline: true);

    public override string ToString() => $"certificate {Leaf.Subject}";
}

/// <summary>What a Secret yields.</summary>
/// <param name="Problem">Why there is no certificate, "" where there is one. Says nothing of what a key contains.</param>
internal sealed record TlsReading(TlsCertificate? Certificate, string Problem);
