using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Declarative.Client.Http;

/// <summary>The HTTPS connection that a kubeconfig describes: HTTP/2 where the server speaks it, only the named authorities, certificate or token.</summary>
internal sealed class Connection : IDisposable
{
    private static readonly UriCreationOptions AsItIs = new() { DangerousDisablePathAndQueryCanonicalization = true };

    private readonly List<X509Certificate2> _authorities = [];
    private readonly X509Certificate2? _certificate;
    private readonly HttpMessageInvoker _invoker;
    private readonly string _server;
    private readonly Version _version;
    private readonly KeyValuePair<string, string>[] _headers;

    public Connection(Kubeconfig config, string userAgent)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            EnableMultipleHttp2Connections = true, // every watch is a stream of its own for as long as it lasts
            KeepAlivePingDelay = TimeSpan.FromSeconds(15),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            ActivityHeadersPropagator = null, // nothing here traces: no request is wrapped for it
            ConnectTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
        };
        var ssl = handler.SslOptions;
        ssl.EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
        if (config.TlsServerName.Length > 0) ssl.TargetHost = config.TlsServerName;
        if (config.ClientCertificatePem.Length > 0)
        {
            _certificate = X509Certificate2.CreateFromPem(config.ClientCertificatePem, config.ClientKeyPem);
            ssl.ClientCertificates = [_certificate];
            ssl.LocalCertificateSelectionCallback = (_, _, _, _, _) => _certificate;
        }
        if (config.SkipVerify) ssl.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        else if (config.AuthorityPem.Length > 0)
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPem(config.AuthorityPem);
            _authorities.AddRange(authorities);
            ssl.RemoteCertificateValidationCallback = (_, certificate, _, errors) => IsFromAuthorities(certificate, errors);
        }
        _server = config.Server.GetLeftPart(UriPartial.Authority);
        _version = config.Server.Scheme == "https" ? HttpVersion.Version20 : HttpVersion.Version11;
        _headers = [new("User-Agent", userAgent), new("Authorization", config.Token.Length > 0 ? $"Bearer {config.Token}" : "")];
        _invoker = new(handler, disposeHandler: true);
    }

    /// <summary>A request with the headers that all have. No time out: watches last, and other requests have a deadline of their own.</summary>
    /// <param name="url">Below the server; escaped already, and sent as it is.</param>
    /// <param name="accept">Media types.</param>
    public HttpRequestMessage Request(HttpMethod method, RequestUrl url, string accept)
    {
        var request = new HttpRequestMessage(method, new Uri(string.Concat(_server, url.ToString()), AsItIs)) { Version = _version, VersionPolicy = HttpVersionPolicy.RequestVersionOrLower };
        request.Headers.TryAddWithoutValidation("Accept", accept);
        foreach (var (name, value) in _headers)
        {
            if (value.Length > 0) request.Headers.TryAddWithoutValidation(name, value);
        }
        return request;
    }

    /// <summary>Answers when the head of the response is there.</summary>
    public Task<HttpResponseMessage> Send(HttpRequestMessage request, CancellationToken stop) => _invoker.SendAsync(request, stop);

    /// <summary>The chain is built from the named authorities alone; a wrong host name is an error as ever.</summary>
    private bool IsFromAuthorities(X509Certificate? certificate, SslPolicyErrors errors)
    {
        if (certificate is null || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None) return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        foreach (var authority in _authorities) chain.ChainPolicy.CustomTrustStore.Add(authority);
        using var shown = new X509Certificate2(certificate);
        return chain.Build(shown);
    }

    public void Dispose()
    {
        _invoker.Dispose();
        _certificate?.Dispose();
        foreach (var authority in _authorities) authority.Dispose();
    }
}
