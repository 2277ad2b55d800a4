using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Scheduler.Http;

/// <summary>
/// How a master lets us in: TLS with a CA and a client certificate, HTTP basic authentication or an account of DC/OS. All of it may be
/// left out.
/// </summary>
public sealed record MasterAccess
{
    /// <summary>The name to authenticate as; "" = without authentication.</summary>
    public string Principal { get; init; } = "";

    /// <summary>Never shown.</summary>
    internal string Secret { get; init; } = "";

    /// <summary>The account to log in with, in the place of <see cref="Principal"/>; null: none.</summary>
    public ServiceAccount? Account { get; init; }

    /// <summary>PEM: the authorities that may have signed the masters' certificates; null: those of the system.</summary>
    public string? CaFile { get; init; }

    /// <summary>PEM: the client's certificate, with or without its key; null: none.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM: the key, where it is not in <see cref="CertificateFile"/>.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Masters that are found without a scheme are spoken to by https.</summary>
    public bool IsHttps => CaFile is not null || CertificateFile is not null;

    /// <summary>
    /// With the secret of a file: the secret alone, or a credential as Mesos' <c>--credential</c> takes it, JSON
    /// <c>{"principal": …, "secret": …}</c> or <c>PRINCIPAL SECRET</c> on one line.
    /// </summary>
    /// <param name="principal">"" = the file names it.</param>
    /// <exception cref="FormatException">There is no secret, no principal, or another one than was given.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public MasterAccess WithSecretOf(string file, string principal = "")
    {
        var text = File.ReadAllText(file);
        var (named, secret) = CredentialText.IsJson(text) ? OfJson(text, file) : OfWords(CredentialText.Words(text), file);
        if (named.Length == 0 && principal.Length == 0) throw new FormatException($"{file}: names no principal, and none is given");
        if (named.Length > 0 && principal.Length > 0 && named != principal) throw new FormatException($"{file}: is of principal {named}, but {principal} is given");
        return this with { Principal = named.Length > 0 ? named : principal, Secret = secret };
    }

    /// <summary>With a principal and its secret.</summary>
    public MasterAccess WithSecret(string principal, string secret) => this with { Principal = principal, Secret = secret };

    /// <summary>Follows no redirect by itself; authenticates each request.</summary>
    /// <param name="connections">To one master at once.</param>
    /// <exception cref="IOException">A certificate file cannot be read.</exception>
    public HttpMessageHandler Handler(int connections)
    {
        var sockets = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.GZip,
            UseProxy = false,
            UseCookies = false,
            MaxConnectionsPerServer = connections,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            SslOptions = Ssl(),
        };
        return Account is { } account ? account.Handler(sockets) : Principal.Length > 0 ? new Authenticated(Principal, Secret, sockets) : sockets;
    }

    /// <summary>The header that authenticates each request, with its line end; "" = none, or the account's token.</summary>
    internal string AuthorizationLine => Account is null && Principal.Length > 0 ? $"Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Principal}:{Secret}"))}\r\n" : "";

    /// <summary>A connection of one's own to a master.</summary>
    /// <exception cref="IOException">There is none, or a certificate does not do.</exception>
    internal async Task<Stream> Connect(Uri master, CancellationToken stop)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(master.Host, master.Port, stop);
            var stream = new NetworkStream(socket, ownsSocket: true);
            if (master.Scheme != "https") return stream;
            var tls = new SslStream(stream);
            var options = Ssl();
            options.TargetHost = master.Host;
            await tls.AuthenticateAsClientAsync(options, stop);
            return tls;
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (e is SocketException or AuthenticationException) throw new IOException(e.Message, e);
            throw;
        }
    }

    private SslClientAuthenticationOptions Ssl()
    {
        var options = new SslClientAuthenticationOptions();
        try
        {
            if (CertificateFile is { } certificate) options.ClientCertificates = [X509Certificate2.CreateFromPemFile(certificate, KeyFile)];
            if (CaFile is { } authorities)
            {
                var chain = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
                chain.CustomTrustStore.ImportFromPemFile(authorities);
                options.CertificateChainPolicy = chain;
            }
        }
        catch (CryptographicException wrong)
        {
            throw new IOException($"a certificate for the Mesos masters ({CertificateFile ?? CaFile}) cannot be read: {wrong.Message}", wrong);
        }
        return options;
    }

    private static (string Principal, string Secret) OfJson(string text, string file)
    {
        using var document = CredentialText.Json(text, file);
        return CredentialText.Of(document.RootElement, file);
    }

    private static (string Principal, string Secret) OfWords(string[] words, string file) => words switch
    {
        [var secret] => ("", secret),
        [var principal, var secret] => (principal, secret),
        [] => throw new FormatException($"{file}: holds no secret"),
        _ => throw new FormatException($"{file}: expected a secret alone or PRINCIPAL SECRET, found {words.Length} words"),
    };

    /// <summary>Without the secret.</summary>
    public override string ToString() => $"principal {Account?.Uid ?? (Principal.Length > 0 ? Principal : "none")}, CA {CaFile ?? "of the system"}, certificate {CertificateFile ?? "none"}";

    private sealed class Authenticated(string principal, string secret, HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        private readonly AuthenticationHeaderValue _header = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{principal}:{secret}")));

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Headers.Authorization = _header;
            return base.SendAsync(request, cancellationToken);
        }
    }
}
