using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>Where etcd is and who asks.</summary>
public sealed record EtcdOptions(IReadOnlyList<Uri> Endpoints)
{
    /// <summary>The authorities that etcd's certificate is held against, PEM; "" = those of the machine.</summary>
    public string CaFile { get; init; } = "";

    /// <summary>The client certificate, PEM, and those that lead to its authority; "" = none.</summary>
    public string CertificateFile { get; init; } = "";

    /// <summary>Its key, PEM.</summary>
    public string KeyFile { get; init; } = "";

    /// <summary>A file with one line <c>name:password</c>; "" = etcd asks for none.</summary>
    public string UserFile { get; init; } = "";

    /// <summary>Every key of this journal begins with it.</summary>
    public string Prefix { get; init; } = "/declarative";

    /// <summary>etcd's own history is dropped when it is so old (kube-apiserver: 5 min).</summary>
    public TimeSpan KeptFor { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Or when so many revisions came after it.</summary>
    public long RevisionsKeptMax { get; init; } = 100_000;

    /// <summary>How often that is looked at.</summary>
    public TimeSpan CompactEvery { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Reads <c>https://host:port,…</c>. Throws <see cref="FormatException"/> that names the entry.</summary>
    public static IReadOnlyList<Uri> ParseEndpoints(string text)
    {
        var endpoints = new List<Uri>();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!Uri.TryCreate(part, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.PathAndQuery != "/")
                throw new FormatException($"{part}: expected https://HOST:PORT or http://HOST:PORT");
            endpoints.Add(uri);
        }
        return endpoints.Count > 0 ? endpoints : throw new FormatException("expected at least one https://HOST:PORT");
    }

    internal (string Name, string Password)? ReadUser()
    {
        if (UserFile.Length == 0) return null;
        var line = ReadText(UserFile).TrimEnd('\r', '\n');
        var colon = line.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 ? (line[..colon], line[(colon + 1)..]) : throw new JournalException($"{UserFile}: expected one line name:password");
    }

    internal X509Certificate2Collection? ReadAuthorities()
    {
        if (CaFile.Length == 0) return null;
        var authorities = new X509Certificate2Collection();
        authorities.ImportFromPem(ReadText(CaFile));
        return authorities.Count > 0 ? authorities : throw new JournalException($"{CaFile}: has no certificate in PEM form");
    }

    // With what comes after it in the file: an etcd that trusts a root alone needs the whole chain.
    internal SslStreamCertificateContext? ReadCertificate()
    {
        if (CertificateFile.Length == 0) return null;
        try
        {
            var text = ReadText(CertificateFile);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPem(text);
            return SslStreamCertificateContext.Create(X509Certificate2.CreateFromPem(text, ReadText(KeyFile)), chain, offline: true);
        }
        catch (System.Security.Cryptography.CryptographicException e)
        {
            throw new JournalException($"{CertificateFile}, {KeyFile}: no certificate with its key in PEM form: {e.Message}", e);
        }
    }

    private static string ReadText(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new JournalException($"{file}: {e.Message}", e);
        }
    }
}
