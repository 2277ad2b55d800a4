using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Tls;

/// <summary>The authorities that client certificates are checked against: <c>ca.crt</c> of Secrets of type kubernetes.io/tls. One writer, any number of readers.</summary>
internal sealed class ClientAuthorities
{
    private const string Field = "ca.crt";

    private ImmutableDictionary<ServiceKey, X509Certificate2Collection> _authorities = ImmutableDictionary<ServiceKey, X509Certificate2Collection>.Empty;

    /// <param name="secret">null = gone.</param>
    public void Apply(ServiceKey key, Secret? secret)
    {
        var found = new X509Certificate2Collection();
        try
        {
            if (secret is not null && secret.Data.TryGetValue(Field, out var pem)) found.ImportFromPem(Encoding.UTF8.GetString(pem));
        }
        catch (CryptographicException)
        {
            found.Clear(); // as if there were none: nobody is let in by it
        }
        Volatile.Write(ref _authorities, found.Count == 0 ? _authorities.Remove(key) : _authorities.SetItem(key, found));
    }

    /// <summary>Trusts the authorities of this Secret alone; nobody where it does not exist or has none.</summary>
    public X509ChainPolicy Policy(ServiceKey secret)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        if (Volatile.Read(ref _authorities).TryGetValue(secret, out var authorities)) policy.CustomTrustStore.AddRange(authorities);
        policy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        return policy;
    }

    /// <param name="shown">With what the client has shown besides: certificates between its own and the authority's.</param>
    public bool Trusts(ServiceKey secret, X509Certificate certificate, X509Chain? shown)
    {
        using var chain = new X509Chain { ChainPolicy = Policy(secret) };
        if (shown is not null) chain.ChainPolicy.ExtraStore.AddRange(shown.ChainPolicy.ExtraStore);
        using var own = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        return chain.Build(own);
    }

    /// <summary>id-kp-clientAuth, RFC 5280 section 4.2.1.12.</summary>
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";
}
