using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using Declarative.Api;
using Declarative.ApiServer.Admission;
using Declarative.ApiServer.Authentication;
using Declarative.ApiServer.Authentication.Oidc;
using Declarative.ApiServer.Authorization;
using Declarative.ApiServer.Http.Audit;
using Declarative.ApiServer.Http.Transport;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Http;

/// <summary>The API server over HTTPS (HTTP/1.1 and HTTP/2, TLS 1.2 and newer), with its credentials and kubeconfigs.</summary>
public sealed class HttpFace : IAsyncDisposable
{
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AgentConnectTimeout = TimeSpan.FromSeconds(5);
    private readonly WebApplication _app;
    private readonly CancellationTokenSource _closing;
    private readonly HttpMessageInvoker _agents;
    private readonly Dispatch _dispatch;
    private readonly AuditLog? _audit;
    private readonly TimeProvider _time;
    private OidcTokens? _oidc;
    private Task _contents = Task.CompletedTask;
    private bool _disposed;

    private HttpFace(WebApplication app, CancellationTokenSource closing, HttpMessageInvoker agents, Dispatch dispatch, AuditLog? audit, Pki pki, TimeProvider time, HttpOptions options)
    {
        _app = app;
        _closing = closing;
        _agents = agents;
        _dispatch = dispatch;
        _audit = audit;
        _time = time;
        Pki = pki;
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        Port = int.Parse(address.AsSpan(address.LastIndexOf(':') + 1).TrimEnd('/'), CultureInfo.InvariantCulture);
        var host = options.Address.Equals(IPAddress.Any) ? "127.0.0.1" : options.Address.Equals(IPAddress.IPv6Any) ? "[::1]"
            : options.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{options.Address}]" : options.Address.ToString();
        Url = $"https://{host}:{Port}";
    }

    public int Port { get; }

    /// <summary>For example <c>https://127.0.0.1:6443</c>.</summary>
    public string Url { get; }
    public Pki Pki { get; }

    /// <summary>The administrator's kubeconfig: <c>DIR/kubeconfig</c>.</summary>
    public string KubeconfigPath => Path.Combine(Path.GetDirectoryName(Pki.Directory)!, "kubeconfig");

    /// <summary>Listens, then writes <c>DIR/kubeconfig</c> and <c>DIR/pki/ROLE.kubeconfig</c>.</summary>
    /// <param name="api">The API in this process, bound to a user: <c>ApiServer.As</c>.</param>
    /// <param name="authorizer">The same that <paramref name="api"/> asks; here for what is no object: paths, reviews, logs.</param>
    /// <exception cref="AuditPolicyException">The audit policy can not be used; the message names file and field.</exception>
    /// <exception cref="IOException">The address is taken or not of this machine; the message names it.</exception>
    public static async Task<HttpFace> Start(Func<User, IApi> api, Authorizer authorizer, HttpOptions options, TimeProvider time, CancellationToken stop)
    {
        Directory.CreateDirectory(options.Directory);
        var pki = Pki.Open(Path.GetFullPath(Path.Combine(options.Directory, "pki")), time, options.Names, [options.Address, .. options.ServiceAddresses]);
        var closing = new CancellationTokenSource();
        var agents = new HttpMessageInvoker(new SocketsHttpHandler { ConnectTimeout = AgentConnectTimeout, UseProxy = false });
        var accounts = new ServiceAccountTokens(pki.AccountKeys, options.AccountIssuer, api(User.ApiServer), time);
        IReadOnlyList<StaticToken> more = options.TokenFile.Length == 0 ? [] : StaticToken.Read(options.TokenFile, await File.ReadAllTextAsync(options.TokenFile, stop));
        var log = options.Log.CreateLogger("apiserver.http");
        var oidc = options.Oidc is { } issuer ? new OidcTokens(issuer, time, reason => Log.NoIssuerKeys(log, reason)) : null;
        var audit = options.Audit is { } wanted ? new AuditLog(wanted, await PolicyOf(wanted, stop), options.Log.CreateLogger("apiserver.audit")) : null;
        var dispatch = new Dispatch(api, authorizer, new Authenticator(pki, accounts, more, oidc), accounts, agents, audit, options, time, closing.Token);
        var app = Build(pki, options, dispatch);
        try
        {
            await app.StartAsync(stop);
        }
        catch
        {
            await app.DisposeAsync();
            dispatch.Dispose();
            if (audit is not null) await audit.DisposeAsync();
            agents.Dispose();
            oidc?.Dispose();
            closing.Dispose();
            pki.Dispose();
            throw;
        }
        var face = new HttpFace(app, closing, agents, dispatch, audit, pki, time, options) { _oidc = oidc };
        foreach (var identity in Identity.All)
        {
            var path = identity.Role == "admin" ? face.KubeconfigPath : Path.Combine(pki.Directory, identity.Role + ".kubeconfig");
            Kubeconfig.Write(path, face.Url, pki, identity);
        }
        if (!options.ServesTasks) return face;
        await KubernetesService.Publish(api(User.ApiServer), options.ServiceAddresses.Count > 0 ? options.ServiceAddresses[0] : null, new(Reachable(options.Address), face.Port), stop);
        face._contents = Completion.OfAll(
            new NamespaceContents(api(User.ApiServer), pki.CaCertificate, time).Run(closing.Token),
            new TokenSecrets(api(User.ApiServer), accounts.Issue, pki.CaCertificate, time).Run(closing.Token));
        return face;
    }

    private static async Task<AuditPolicy> PolicyOf(AuditOptions options, CancellationToken stop) =>
        options.PolicyFile.Length == 0 ? AuditPolicy.Default : AuditPolicy.Parse(options.PolicyFile, await File.ReadAllTextAsync(options.PolicyFile, stop));

    private static IPAddress Reachable(IPAddress address) =>
        address.Equals(IPAddress.Any) ? IPAddress.Loopback : address.Equals(IPAddress.IPv6Any) ? IPAddress.IPv6Loopback : address;

    private static WebApplication Build(Pki pki, HttpOptions options, Dispatch dispatch)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        // Signals are the executable's matter, not this server's.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddSingleton(options.Log);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopWithin);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        if (Epoll.IsSupported)
        {
            builder.Services.AddSingleton<IConnectionListenerFactory, LoopTransport>();
        }
        else
        {
            builder.WebHost.UseSockets(static sockets =>
            {
                // What comes is decrypted, read and answered where it was received, and what goes is sent where it was written: nothing here blocks.
                sockets.UnsafePreferInlineScheduling = true;
                sockets.WaitForDataBeforeAllocatingBuffer = false;
            });
        }
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.AllowSynchronousIO = false;
            kestrel.ResponseHeaderEncodingSelector = _ => System.Text.Encoding.UTF8;
            kestrel.Limits.MaxRequestBodySize = Limits.RequestBodyBytesDrained;
            kestrel.Limits.MaxRequestHeadersTotalSize = Limits.RequestHeadBytesMax;
            kestrel.Limits.MaxRequestLineSize = Limits.RequestHeadBytesMax;
            kestrel.Limits.Http2.MaxStreamsPerConnection = Limits.StreamsPerConnectionMax;
            kestrel.Limits.Http2.MaxRequestHeaderFieldSize = Limits.RequestHeadBytesMax;
            kestrel.Limits.Http2.InitialConnectionWindowSize = 1024 * 1024;
            kestrel.Limits.Http2.InitialStreamWindowSize = 512 * 1024;
            kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(30));
            kestrel.Listen(options.Address, options.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                listen.UseHttps(new HttpsConnectionAdapterOptions
                {
                    ServerCertificate = pki.Serving,
                    ServerCertificateChain = [pki.Authority.Certificate],
                    SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                    ClientCertificateMode = ClientCertificateMode.AllowCertificate,
                    // Any certificate may be shown; whether it is somebody is decided once per connection, and answered with 401.
                    ClientCertificateValidation = (_, _, _) => true,
                });
                listen.Use(next => connection => dispatch.Meet(connection, next));
            });
        });
        var app = builder.Build();
        app.Run(dispatch.Handle);
        return app;
    }

    /// <summary>Ends watches and log streams, then waits for the other requests, 5 s at most.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed) return;
        _disposed = true;
        _closing.Cancel();
        await _contents;
        using var limit = new CancellationTokenSource(StopWithin, _time);
        await _app.StopAsync(limit.Token);
        await _app.DisposeAsync();
        _dispatch.Dispose();
        if (_audit is not null) await _audit.DisposeAsync();
        _agents.Dispose();
        _oidc?.Dispose();
        _closing.Dispose();
        Pki.Dispose();
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
