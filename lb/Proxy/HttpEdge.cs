using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Lb.Proxy.Plain;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Declarative.Lb.Tls;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Socket = System.Net.Sockets.Socket;

namespace Declarative.Lb.Proxy;

/// <summary>The HTTP side: one Kestrel without a host for all listeners, and what it does with a request.</summary>
internal sealed class HttpEdge : IHttpApplication<DefaultHttpContext>, IDisposable
{
    private readonly Handoff _handoff = new();
    private readonly KestrelServer _server;
    private readonly SocketConnectionContextFactory _connections;
    private readonly Forwarder _forwarder;
    private readonly LbRoutes _routes;
    private readonly Func<HttpContext, Task> _admin;
    private readonly ServiceProvider _services;
    private readonly EdgeSteps _edge;
    private readonly int _httpsPort;

    public HttpEdge(LbOptions options, LbRoutes routes, Func<HttpContext, Task> admin, ILoggerFactory loggers)
    {
        (_routes, _admin, _forwarder) = (routes, admin, new(options));
        _edge = new(routes.Credentials);
        _httpsPort = options.HttpsPort == 0 ? 0 : options.HttpsPort + options.PortOffset;
        var kestrel = new KestrelServerOptions { AddServerHeader = false, AllowResponseHeaderCompression = true };
        // Sizes and rates of bodies are the endpoint's matter; the balancer holds none of them.
        kestrel.Limits.MaxRequestBodySize = null;
        kestrel.Limits.MinRequestBodyDataRate = null;
        kestrel.Limits.MinResponseDataRate = null;
        kestrel.Limits.MaxConcurrentConnections = options.ConnectionsMax;
        kestrel.Limits.RequestHeadersTimeout = options.RequestHeadTimeout;
        // A length is digits and nothing else (RFC 9110 section 8.6); by itself the server would read "+5" as 5.
        kestrel.RequestHeaderEncodingSelector = static name => name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase) ? DigitsEncoding.Instance : Encoding.Latin1;
        kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1;
        kestrel.Listen(Handoff.Http1, x => x.Protocols = HttpProtocols.Http1);
        kestrel.Listen(Handoff.Http2, x => x.Protocols = HttpProtocols.Http2);
        _services = ForTls(loggers);
        kestrel.ApplicationServices = _services;
        kestrel.Listen(Handoff.Tls, x =>
        {
            x.Protocols = HttpProtocols.Http1AndHttp2;
            x.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = hello => ValueTask.FromResult(Handshake(hello.ClientHelloInfo.ServerName, hello.Connection.Features.Get<ClientConnection>()!)) });
        });
        _server = new(Options.Create(kestrel), _handoff, loggers);
        _connections = new(new SocketConnectionFactoryOptions(), loggers.CreateLogger("lb.connections"));
    }

    /// <summary>Of names that no Ingress has a certificate for. Set before the first TLS listener is opened.</summary>
    public TlsCertificate? DefaultCertificate { get; set; }

    /// <summary>null = nothing is logged.</summary>
    public AccessLog? Log { get; init; }

    /// <summary>What a certificate authority is answered, by host and path; null = it is not one who asks.</summary>
    public Func<string, string, string?> Challenge { get; init; } = static (_, _) => null;

    public Task Start(CancellationToken stop) => _server.StartAsync(this, stop);

    /// <summary>Lets requests in flight end until the token says that it has been long enough.</summary>
    public Task Stop(CancellationToken atOnce) => _server.StopAsync(atOnce);

    /// <summary>Takes over the socket; what was looked at of it is still in it.</summary>
    /// <param name="address">Of the client, whoever the connection came through.</param>
    public ConnectionContext Take(Socket socket, System.Net.IPAddress address, OpenListener listener, Wire wire)
    {
        var client = new ClientConnection(listener, address, _httpsPort);
        var connection = _connections.Create(socket);
        connection.Features.Set(client);
        if (!_handoff.TryGive(connection, wire)) connection.Abort(new ConnectionAbortedException("the balancer is stopping"));
        return connection;
    }

    /// <summary>Takes over the socket of a connection whose TLS has begun.</summary>
    public ConnectionContext Take(Socket socket, System.Net.IPAddress address, OpenListener listener, TlsHandoff tls)
    {
        var raw = _connections.Create(socket);
        raw.Features.Set(new ClientConnection(listener, address, _httpsPort) { TlsVersion = tls.Session.Version });
        var connection = new TlsConnection(raw, tls);
        if (_handoff.TryGive(connection, Wire.Http1)) return raw;
        connection.Abort(new ConnectionAbortedException("the balancer is stopping"));
        tls.Session.Dispose();
        return raw;
    }

    public DefaultHttpContext CreateContext(IFeatureCollection contextFeatures)
    {
        if (contextFeatures is not IHostContextContainer<DefaultHttpContext> container) return new(contextFeatures);
        if (container.HostContext is { } used)
        {
            used.Initialize(contextFeatures);
            return used;
        }
        return container.HostContext = new(contextFeatures);
    }

    public Task ProcessRequestAsync(DefaultHttpContext context)
    {
        var client = context.Features.Get<ClientConnection>()!;
        return Log is null || client.Listener.Target == ListenerTarget.Admin ? Route(context, client, null) : Logged(context, client, Log);
    }

    private async Task Logged(DefaultHttpContext context, ClientConnection client, AccessLog log)
    {
        var since = AccessLog.Now();
        var note = new AccessNote(context.Request.Path.Value ?? "");
        try
        {
            await Route(context, client, note);
        }
        finally
        {
            log.Request(context, client, note, since);
        }
    }

    private Task Route(HttpContext context, ClientConnection client, AccessNote? note)
    {
        var listener = client.Listener;
        return listener.Target switch
        {
            ListenerTarget.Service when listener.Cluster is { } cluster => Send(context, client, cluster, null, note, byPath: false),
            ListenerTarget.Service => Gone(context),
            ListenerTarget.IngressTls when !context.Request.IsHttps => Plain(context, listener),
            ListenerTarget.Ingress or ListenerTarget.IngressTls => ByHostAndPath(context, client, note),
            _ => _admin(context),
        };
    }

    public void DisposeContext(DefaultHttpContext context, Exception? exception) => context.Uninitialize();

    public void Dispose()
    {
        _server.Dispose();
        _connections.Dispose();
        _forwarder.Dispose();
        _services.Dispose();
    }

    /// <summary>Kestrel's TLS reaches its counters through a container only.</summary>
    private static ServiceProvider ForTls(ILoggerFactory loggers)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore();
        builder.Services.AddSingleton(loggers);
        return builder.Services.BuildServiceProvider();
    }

    private SslServerAuthenticationOptions Handshake(string name, ClientConnection client)
    {
        var options = Plain(name);
        var hosts = _routes.Table.Hosts;
        if (hosts.TlsOf(name, static x => x.Tls13Only) is not null) options.EnabledSslProtocols = SslProtocols.Tls13;
        if (hosts.ClientAuthoritiesOf(name) is { IsEmpty: false } secrets)
        {
            options.ClientCertificateRequired = true;
            options.CertificateRevocationCheckMode = X509RevocationMode.NoCheck;
            options.CertificateChainPolicy = _routes.ClientAuthorities.Policy(secrets[0]);
            // The validation that the policy asks for; without a callback a client that shows no certificate would be let in. Of several authorities each
            // is asked by itself: which paths the certificate opens depends on whose it is.
            options.RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
            {
                if (certificate is null) return false;
                if (secrets.Length > 1) client.TlsClientCas = [.. secrets.Where(x => _routes.ClientAuthorities.Trusts(x, certificate, chain))];
                else if (errors == SslPolicyErrors.None) client.TlsClientCas = secrets;
                return !client.TlsClientCas.IsEmpty;
            };
        }
        return options;
    }

    /// <summary>For a server name, the default one where no Ingress has one.</summary>
    public TlsCertificate CertificateFor(string name) => (_routes.Certificates.Find(name) ?? DefaultCertificate)!;

    private SslServerAuthenticationOptions Plain(string name) => new()
    {
        ServerCertificateContext = CertificateFor(name).Context,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
        ClientCertificateRequired = false,
    };

    private Task ByHostAndPath(HttpContext context, ClientConnection client, AccessNote? note)
    {
        // Before every rule: an Ingress that redirects to https or asks for a password gets its certificate too.
        if (Challenge(context.Request.Host.Host, context.Request.Path.Value ?? "") is { } proof) return Answers.Text(context, 200, proof, "application/octet-stream");
        var table = _routes.Table;
        var rule = table.Hosts.Find(context.Request.Host.Host, context.Request.Path.Value ?? "/");
        if (rule is null) return Answers.Text(context, 404, $"No Ingress has a rule for host \"{context.Request.Host.Host}\" and path \"{context.Request.Path}\".\n");
        if (rule.Edge is { } policy && (policy.TlsClientCa is not null || policy.Tls13Only || policy.TlsPassthrough) && IsMisdirected(context, client, policy))
        {
            return Answers.Text(context, StatusCodes.Status421MisdirectedRequest, $"Host {context.Request.Host.Host} needs a TLS connection of its own to this balancer.\n");
        }
        if (table.Cluster(rule.Service, rule.Port, rule.PortName) is { } cluster) return Send(context, client, cluster, rule.Edge, note, byPath: true);
        if (rule.Edge is { } edge && _edge.IsAnswered(context, edge, client, out var answer)) return answer;
        var port = rule.Port == 0 ? $"\"{rule.PortName}\"" : rule.Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        return Answers.Text(context, 503, $"An Ingress sends this to Service {rule.Service} port {port}, which does not exist.\n");
    }

    /// <param name="edge">Of the Ingress that the request came by; what the Service itself asks for comes after it.</param>
    private Task Send(HttpContext context, ClientConnection client, Cluster cluster, EdgeSettings? edge, AccessNote? note, bool byPath)
    {
        if (edge is null && cluster.Edge is null) return _forwarder.Send(context, client, cluster, note, byPath);
        Cluster? from = null;
        for (var hop = 0; hop <= Limits.SplitHopsMax + 1; hop++)
        {
            if (edge is not null)
            {
                if (_edge.IsAnswered(context, edge, client, out var answer))
                {
                    Interlocked.Increment(ref cluster.Counts.RefusalCount);
                    return answer;
                }
                byPath |= EdgeSteps.Rewrite(context, edge);
                var next = !edge.Divides ? cluster : Splits.Next(context, cluster, edge, _routes.Table, from);
                // Its own settings come once the way leads elsewhere, or after those of the Ingress.
                if (next == cluster && ReferenceEquals(edge, cluster.Edge)) return _forwarder.Send(context, client, cluster, note, byPath);
                if (next != cluster) (from, cluster) = (cluster, next);
            }
            edge = cluster.Edge;
            if (edge is null) return _forwarder.Send(context, client, cluster, note, byPath);
        }
        return Answers.Text(context, StatusCodes.Status508LoopDetected, $"The traffic is split more than {Limits.SplitHopsMax} times; the last Service is {cluster.Service}.\n");
    }

    /// <summary>
    /// The handshake was that of another host, or there was none: with HTTP/2 a client may use a connection for every host that the certificate
    /// names (RFC 9113 section 9.1.1), and the policy of this one was not applied. Nor was one that has come since. Without TLS it is as if
    /// nothing had been shown.
    /// </summary>
    private static bool IsMisdirected(HttpContext context, ClientConnection client, EdgeSettings policy)
    {
        if ((client.TlsVersion ?? context.Features.Get<ITlsHandshakeFeature>()?.Protocol) is not { } version) return policy.Redirect is not { Https: true } && (policy.TlsClientCa is not null || policy.TlsPassthrough);
        if (policy.TlsPassthrough) return true;
        if (policy.TlsClientCa is { } secret && (!client.TlsClientCas.Contains(secret) || context.Connection.ClientCertificate is null)) return true;
        return policy.Tls13Only && version != SslProtocols.Tls13;
    }

    private static Task Plain(HttpContext context, OpenListener listener)
    {
        context.Response.Headers.Connection = "close";
        return Answers.Text(context, 400, $"Port {listener.PortText} speaks TLS: ask for https://{context.Request.Host}{context.Request.Path}\n");
    }

    private static Task Gone(HttpContext context)
    {
        context.Response.Headers.Connection = "close";
        return Answers.Text(context, 503, "The Service of this port has been deleted.\n");
    }
}
