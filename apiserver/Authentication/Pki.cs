using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Declarative.Api;

namespace Declarative.ApiServer.Authentication;

/// <summary>
/// The credentials of one platform in one folder: <c>ca.crt|key</c>, <c>apiserver.crt|key</c>, <c>ROLE.crt|key</c> per
/// <see cref="Identity"/>, <c>sa.key</c> and <c>tokens.csv</c> (Kubernetes' token file: <c>token,user,uid,"group,group"</c>). Made at the first start,
/// kept across restarts, leaves renewed before they end.
/// </summary>
public sealed class Pki : IDisposable
{
    private const int TokenBytes = 32;
    private readonly CertificateAuthority _authority;
    private readonly Dictionary<string, X509Certificate2> _clients;
    private readonly IReadOnlyList<StaticToken> _tokens;

    private Pki(string directory, CertificateAuthority authority, X509Certificate2 serving, Dictionary<string, X509Certificate2> clients, IReadOnlyList<StaticToken> tokens, Jwt accountKeys)
    {
        AccountKeys = accountKeys;
        Directory = directory;
        _authority = authority;
        Serving = serving;
        _clients = clients;
        _tokens = tokens;
    }

    public string Directory { get; }

    /// <summary>PEM.</summary>
    public string CaCertificate => _authority.Certificate.ExportCertificatePem();
    internal CertificateAuthority Authority => _authority;
    internal X509Certificate2 Serving { get; }
    internal IReadOnlyList<StaticToken> Tokens => _tokens;

    /// <summary>Signs and verifies ServiceAccount tokens: <c>sa.key</c>, where older keys may stand behind the one that signs.</summary>
    internal Jwt AccountKeys { get; }

    /// <summary>PEM.</summary>
    public string ClientCertificate(Identity identity) => _clients[identity.Role].ExportCertificatePem();

    /// <summary>PEM, PKCS#8. A secret.</summary>
    public string ClientKey(Identity identity) => KeyPem(_clients[identity.Role]);

    /// <summary>A secret.</summary>
    public string Token(Identity identity) => _tokens.First(x => x.User.Name == identity.User.Name).Text;

    /// <param name="names">DNS names of the serving certificate beside localhost and the names of the Service default/kubernetes.</param>
    /// <param name="addresses">Addresses of the serving certificate beside 127.0.0.1 and ::1.</param>
    public static Pki Open(string directory, TimeProvider time, IReadOnlyList<string> names, IReadOnlyList<IPAddress> addresses)
    {
        PrivateFile.MakeDirectory(directory);
        var authority = Load(directory, "ca") is { } kept ? new CertificateAuthority(kept, time) : Keep(directory, "ca", CertificateAuthority.Make(time));

        string[] allNames = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", .. names];
        IPAddress[] allAddresses = [.. new[] { IPAddress.Loopback, IPAddress.IPv6Loopback }.Concat(addresses).Distinct()];
        var serving = Load(directory, "apiserver");
        if (serving is null || !authority.IsFresh(serving) || !Covers(serving, allNames, allAddresses))
        {
            serving = Keep(directory, "apiserver", authority.SignServer(allNames, allAddresses));
        }

        var clients = new Dictionary<string, X509Certificate2>();
        foreach (var identity in Identity.All)
        {
            var client = Load(directory, identity.Role);
            if (client is null || !authority.IsFresh(client)) client = Keep(directory, identity.Role, authority.SignClient(identity.User));
            clients.Add(identity.Role, client);
        }
        return new(directory, authority, serving, clients, OpenTokens(Path.Combine(directory, "tokens.csv")), OpenAccountKeys(Path.Combine(directory, "sa.key")));
    }

    private static Jwt OpenAccountKeys(string path)
    {
        if (!File.Exists(path))
        {
            using var made = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            PrivateFile.Write(path, made.ExportPkcs8PrivateKeyPem() + "\n");
        }
        return Jwt.Read(path, File.ReadAllText(path));
    }

    private static IReadOnlyList<StaticToken> OpenTokens(string path)
    {
        var tokens = File.Exists(path) ? StaticToken.Read(path, File.ReadAllText(path)) : [];
        var missing = Identity.All.Where(identity => tokens.All(x => x.User.Name != identity.User.Name)).ToList();
        if (missing.Count == 0) return tokens;
        tokens = [.. tokens, .. missing.Select(x => new StaticToken(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(TokenBytes)), x.User))];
        PrivateFile.Write(path, StaticToken.Write(tokens));
        return tokens;
    }

    private static bool Covers(X509Certificate2 certificate, string[] names, IPAddress[] addresses)
    {
        var alternatives = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        return alternatives is not null
            && !names.Except(alternatives.EnumerateDnsNames()).Any()
            && !addresses.Except(alternatives.EnumerateIPAddresses()).Any();
    }

    private static X509Certificate2? Load(string directory, string stem)
    {
        var (certificate, key) = (Path.Combine(directory, stem + ".crt"), Path.Combine(directory, stem + ".key"));
        if (!File.Exists(certificate) || !File.Exists(key)) return null;
        try
        {
            return X509Certificate2.CreateFromPemFile(certificate, key);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException($"{certificate} and {key} are no certificate with its key ({e.Message.TrimEnd('.')}); restore both from a backup, or remove both: {(stem == "ca"
                ? "a new authority is made then, and copies of the kubeconfig elsewhere end to work"
                : "they are made anew")}", e);
        }
    }

    private static CertificateAuthority Keep(string directory, string stem, CertificateAuthority authority)
    {
        Keep(directory, stem, authority.Certificate);
        return authority;
    }

    // The key first: a crash in between leaves no certificate without its key.
    private static X509Certificate2 Keep(string directory, string stem, X509Certificate2 certificate)
    {
        File.Delete(Path.Combine(directory, stem + ".crt"));
        PrivateFile.Write(Path.Combine(directory, stem + ".key"), KeyPem(certificate));
        PrivateFile.Write(Path.Combine(directory, stem + ".crt"), certificate.ExportCertificatePem() + "\n");
        return certificate;
    }

    private static string KeyPem(X509Certificate2 certificate)
    {
        using var key = certificate.GetECDsaPrivateKey() ?? throw new CryptographicException($"{certificate.Subject} has no ECDSA key");
        return key.ExportPkcs8PrivateKeyPem() + "\n";
    }

    public void Dispose()
    {
        _authority.Dispose();
        Serving.Dispose();
        AccountKeys.Dispose();
        foreach (var client in _clients.Values) client.Dispose();
    }
}
