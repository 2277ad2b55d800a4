using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Declarative.Api;
using Declarative.ApiServer;
using Declarative.ApiServer.Authentication;
using Declarative.ApiServer.Authorization;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Storage;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>An API server behind HTTPS on a free port, with its credentials in a folder of its own.</summary>
public sealed class RunningFace : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly InProcessApi _api;
    private readonly Task _authorizing;

    private RunningFace(InProcessApi api, Authorizer authorizer, HttpFace face, string directory)
    {
        _api = api;
        Face = face;
        Authorizer = authorizer;
        Directory = directory;
        _authorizing = authorizer.Run(api.Server.As(User.ApiServer), TimeProvider.System, _stop.Token);
    }

    public HttpFace Face { get; }
    public Authorizer Authorizer { get; }
    public string Directory { get; }
    public IApi Admin => _api.Admin;

    /// <summary>The newest durable one.</summary>
    public long Revision => _api.Server.Revision;

    public IApi Api(User user) => _api.Server.As(user);

    public static async Task<RunningFace> Start(Func<HttpOptions, HttpOptions>? change = null, IJournal? journal = null)
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("declarative-http-").FullName;
        var authorizer = new Authorizer();
        InProcessApi? api = null;
        api = await InProcessApi.Start(journal, new() { Hook = WebhookCaller.Over(user => api!.Server.As(user), TimeProvider.System), Authorize = authorizer.Check, CheckGrant = authorizer.CheckGrant, Allows = authorizer.Allows, BootstrapObjects = BootstrapPolicy.Objects });
        var options = new HttpOptions { Directory = directory, Port = 0, Kinds = api.Server.Kinds, History = api.Server.History, Connect = api.Server.Connect, Backup = (to, stop) => api.Server.Backup(to, "test", stop) };
        var face = await HttpFace.Start(api.Server.As, authorizer, change?.Invoke(options) ?? options, TimeProvider.System, CancellationToken.None);
        return new(api, authorizer, face, directory);
    }

    /// <summary>A client that trusts this server's CA alone; by client certificate, by token, or as nobody.</summary>
    public HttpClient Client(string role = "admin", bool byToken = false, Version? version = null)
    {
        var ssl = new SslClientAuthenticationOptions
        {
            RemoteCertificateValidationCallback = (_, certificate, chain, _) => Trusts((X509Certificate2)certificate!, chain!),
        };
        var identity = Identity.All.FirstOrDefault(x => x.Role == role);
        if (identity is not null && !byToken)
        {
            ssl.ClientCertificates = [X509Certificate2.CreateFromPem(Face.Pki.ClientCertificate(identity), Face.Pki.ClientKey(identity))];
        }
        var client = new HttpClient(new SocketsHttpHandler { SslOptions = ssl, PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
        {
            BaseAddress = new Uri(Face.Url),
            DefaultRequestVersion = version ?? HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (identity is not null && byToken) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Face.Pki.Token(identity));
        return client;
    }

    private bool Trusts(X509Certificate2 served, X509Chain chain)
    {
        using var ca = X509Certificate2.CreateFromPem(Face.Pki.CaCertificate);
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(ca);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(served) && served.MatchesHostname("127.0.0.1");
    }

    public async ValueTask DisposeAsync()
    {
        await Face.DisposeAsync();
        await _stop.CancelAsync();
        await _authorizing;
        await _api.DisposeAsync();
        _stop.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}

internal static class HttpTestExtensions
{
    public static HttpContent Body(this string json, string type = "application/json")
    {
        var content = new StringContent(json, Encoding.UTF8);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        return content;
    }

    /// <summary>The answer's body; fails unless the code is the expected one.</summary>
    public static async Task<JsonElement> Json(this Task<HttpResponseMessage> sent, int code = 200)
    {
        using var answer = await sent;
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True((int)answer.StatusCode == code, $"expected {code}, got {(int)answer.StatusCode}: {text}");
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    public static string Text(this JsonElement element, params string[] path)
    {
        foreach (var name in path) element = element.GetProperty(name);
        return element.ValueKind == JsonValueKind.String ? element.GetString()! : element.ToString();
    }
}
