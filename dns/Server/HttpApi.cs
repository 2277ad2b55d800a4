using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Declarative.Dns.Server;

/// <summary>Serves Mesos-DNS' HTTP API and <c>/metrics</c> with a bare Kestrel: no host, no container, no configuration files.</summary>
internal sealed class HttpApi : IHttpApplication<HttpContext>, IAsyncDisposable
{
    private readonly HttpAnswers _answers;
    private readonly ILogger _logger;
    private readonly KestrelServer _server;

    private HttpApi(IPEndPoint address, HttpAnswers answers, ILogger logger)
    {
        _answers = answers;
        _logger = logger;
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxRequestBodySize = 0;
        options.Listen(address);
        _server = new KestrelServer(Options.Create(options),
            new SocketTransportFactory(Options.Create(new SocketTransportOptions()), NullLoggerFactory.Instance), NullLoggerFactory.Instance);
    }

    /// <summary><c>http://address:port</c>, with the port that was taken.</summary>
    public string Address => _server.Features.Get<IServerAddressesFeature>()!.Addresses.First();

    /// <exception cref="IOException">The address cannot be bound.</exception>
    public static async Task<HttpApi> Start(IPEndPoint address, HttpAnswers answers, ILogger logger)
    {
        var api = new HttpApi(address, answers, logger);
        try
        {
            await api._server.StartAsync(api, CancellationToken.None);
            return api;
        }
        catch
        {
            api._server.Dispose();
            throw;
        }
    }

    public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    public void DisposeContext(HttpContext context, Exception? exception)
    {
        // Nothing of it outlives the request.
    }

    public async Task ProcessRequestAsync(HttpContext context)
    {
        try
        {
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

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _server.StopAsync(soon.Token);
        _server.Dispose();
    }
}
