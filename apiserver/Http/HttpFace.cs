using System.Globalization;
using System.Net;
using Declarative.Api;
using Declarative.ApiServer.Admission;
using Declarative.ApiServer.Authentication;
using Declarative.ApiServer.Authentication.Oidc;
using Declarative.ApiServer.Authorization;
using Declarative.ApiServer.Http.Audit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
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

    /// <summary>A list of metrics.k8s.io for who asks in this process (<see cref="ApiServerOptions.Usage"/>).</summary>
    public Task<StoredList> Usage(ListRequest request, CancellationToken stop) => _dispatch.Usage(request, stop);

    /// <summary>Listens, then writes <c>DIR/kubeconfig</c> and <c>DIR/pki/ROLE.kubeconfig</c>.</summary>
    /// <param name="api">The API in this process, bound to a user: <c>ApiServer.As</c>.</param>
    /// <param name="authorizer">The same that <paramref name="api"/> asks; here for what is no object: paths, reviews, logs.</param>
    /// <param name="ground">Made of the same options; null = it is made now.</param>
    /// <exception cref="AuditPolicyException">The audit policy can not be used; the message names file and field.</exception>
    /// <exception cref="IOException">The address is taken or not of this machine; the message names it.</exception>
    public static async Task<HttpFace> Start(Func<User, IApi> api, Authorizer authorizer, HttpOptions options, TimeProvider time, CancellationToken stop, HttpGround? ground = null)
    {
        ground ??= HttpGround.Make(options, time);
        var (pki, app) = (ground.Pki, ground.App);
        var closing = new CancellationTokenSource();
        var agents = new HttpMessageInvoker(new SocketsHttpHandler { ConnectTimeout = AgentConnectTimeout, UseProxy = false });
        var accounts = new ServiceAccountTokens(pki.AccountKeys, options.AccountIssuer, api(User.ApiServer), time, Guid.NewGuid);
        IReadOnlyList<StaticToken> more = options.TokenFile.Length == 0 ? [] : StaticToken.Read(options.TokenFile, await File.ReadAllTextAsync(options.TokenFile, stop));
        var log = options.Log.CreateLogger("apiserver.http");
        var oidc = options.Oidc is { } issuer ? new OidcTokens(issuer, time, reason => Log.NoIssuerKeys(log, reason)) : null;
        var audit = options.Audit is { } wanted ? new AuditLog(wanted, await PolicyOf(wanted, stop), options.Log.CreateLogger("apiserver.audit")) : null;
        var dispatch = new Dispatch(api, authorizer, new Authenticator(pki, accounts, more, oidc), accounts, agents, audit, options, time, closing.Token);
        ground.Dispatch = dispatch;
        try
        {
            await app.StartAsync(stop);
        }
        catch
        {
            await ground.Discard();
            dispatch.Dispose();
            if (audit is not null) await audit.DisposeAsync();
            agents.Dispose();
            oidc?.Dispose();
            closing.Dispose();
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
}
