using System.Buffers.Text;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Declarative.Dns.Server;

/// <summary>Serves Mesos-DNS' HTTP API, <c>/v1/watch</c>, <c>/metrics</c> and, with a certificate, DNS over HTTPS with a bare Kestrel: no host, no container, no configuration files.</summary>
internal sealed class HttpApi : IHttpApplication<HttpContext>, IAsyncDisposable
{
    private const string QueryPath = "/dns-query";
    private readonly HttpAnswers _answers;
    private readonly HttpQueries? _queries;
    private readonly ChangeStream _changes;
    private readonly ILogger _logger;
    private readonly KestrelServer _server;
    private readonly ServiceProvider? _services;

    private HttpApi(IPEndPoint address, X509Certificate2? certificate, HttpAnswers answers, HttpQueries? queries, DnsZones zones, ILogger logger)
    {
        (_answers, _queries, _logger) = (answers, queries, logger);
        _changes = new ChangeStream(zones);
        var options = new KestrelServerOptions { AddServerHeader = false };
        if (certificate is not null)
            options.ApplicationServices = _services = ForTls();
        options.Limits.MaxRequestBodySize = queries is null ? 0 : DnsLimits.QueryBytesMax;
        options.Listen(address, listen =>
        {
            if (certificate is not null)
                listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(Authentication(certificate)) });
        });
        _server = new KestrelServer(Options.Create(options),
            new SocketTransportFactory(Options.Create(new SocketTransportOptions()), NullLoggerFactory.Instance), NullLoggerFactory.Instance);
    }

    /// <summary><c>http://address:port</c>, with the port that was taken.</summary>
    public string Address => _server.Features.Get<IServerAddressesFeature>()!.Addresses.First();

    /// <exception cref="IOException">The address cannot be bound.</exception>
    /// <param name="address">Where to listen.</param>
    /// <param name="certificate">Null: plain HTTP.</param>
    /// <param name="answers">Mesos-DNS' API.</param>
    /// <param name="queries">Null: no DNS over HTTP.</param>
    /// <param name="zones">For the stream of changes.</param>
    /// <param name="logger">Where to.</param>
    public static async Task<HttpApi> Start(
        IPEndPoint address, X509Certificate2? certificate, HttpAnswers answers, HttpQueries? queries, DnsZones zones, ILogger logger)
    {
        var api = new HttpApi(address, certificate, answers, queries, zones, logger);
        try
        {
            await api._server.StartAsync(api, CancellationToken.None);
            return api;
        }
        catch
        {
            api._server.Dispose();
            api._services?.Dispose();
            throw;
        }
    }

    /// <summary>What Kestrel looks for where it speaks TLS.</summary>
    private static ServiceProvider ForTls()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore();
        return builder.Services.AddLogging().BuildServiceProvider();
    }

    private static SslServerAuthenticationOptions Authentication(X509Certificate2 certificate) => new()
    {
        ServerCertificate = certificate,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
    };

    public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    public void DisposeContext(HttpContext context, Exception? exception)
    {
        // Nothing of it outlives the request.
    }

    public async Task ProcessRequestAsync(HttpContext context)
    {
        try
        {
            if (_queries is not null && context.Request.Path == QueryPath)
            {
                await Query(context, _queries);
                return;
            }
            if (context.Request.Path == "/v1/watch" && context.Request.Method == "GET")
            {
                await _changes.Serve(context);
                return;
            }
            var (status, type, body) = context.Request.Method is "GET" or "HEAD"
                ? _answers.Of(context.Request.Path.Value ?? "/")
                : (StatusCodes.Status405MethodNotAllowed, "text/plain", "only GET\n"u8.ToArray());
            context.Response.StatusCode = status;
            context.Response.ContentType = type;
            context.Response.ContentLength = body.Length;
            if (context.Request.Method != "HEAD")
                await context.Response.Body.WriteAsync(body, context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            return; // the client is gone
        }
        catch (Exception e)
        {
            Log.RequestFailed(_logger, context.Request.Path.Value ?? "", e);
            context.Response.StatusCode = StatusCodes.Status500InternalServerError;
        }
    }

    /// <summary>RFC 8484, 4.1: the message is the body of a POST or, in base64url, the parameter <c>dns</c> of a GET.</summary>
    private static async Task Query(HttpContext context, HttpQueries queries)
    {
        var (request, response) = (context.Request, context.Response);
        byte[] packet;
        if (request.Method == "POST")
        {
            if (request.ContentType != HttpQueries.MediaType)
            {
                response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
                return;
            }
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body, context.RequestAborted);
            packet = body.ToArray();
        }
        else if (request.Method == "GET" && Base64Url.IsValid(request.Query["dns"].ToString()))
        {
            packet = Base64Url.DecodeFromChars(request.Query["dns"].ToString());
        }
        else
        {
            response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }
        if (packet.Length > DnsLimits.QueryBytesMax
            || await queries.Answer(packet, (context.Connection.RemoteIpAddress ?? IPAddress.None).GetAddressBytes(), context.RequestAborted) is not var (answer, seconds))
        {
            response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }
        response.ContentType = HttpQueries.MediaType;
        response.ContentLength = answer.Length;
        response.Headers.CacheControl = $"max-age={seconds}";
        await response.Body.WriteAsync(answer, context.RequestAborted);
    }

    public async ValueTask DisposeAsync()
    {
        await _changes.Stop();
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _server.StopAsync(soon.Token);
        _server.Dispose();
        _services?.Dispose();
    }
}
