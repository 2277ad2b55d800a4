using System.Net;
using System.Text;
using Declarative.Lb.Routes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Yarp.ReverseProxy.Forwarder;

namespace Declarative.Lb.Proxy;

/// <summary>Sends one HTTP request to an endpoint of a cluster, and once more to another one where that cannot do harm.</summary>
internal sealed class Forwarder : IDisposable
{
    private readonly ServiceProvider _yarp;
    private readonly IHttpForwarder _forwarder;
    private readonly HttpMessageInvoker _client;
    private readonly ForwarderRequestConfig _http1;
    private readonly ForwarderRequestConfig _http2;
    private readonly ForwardTransformer _raw = new(rawTarget: true);
    private readonly ForwardTransformer _normalized = new(rawTarget: false);

    public Forwarder(LbOptions options)
    {
        // YARP's forwarder is reached through a container only; nothing else comes out of this one. Its log line per failed request is
        // replaced by the cluster's counts.
        var services = new ServiceCollection();
        services.AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance);
        services.AddSingleton(typeof(ILogger<>), typeof(NullLogger<>));
        services.AddHttpForwarder();
        _yarp = services.BuildServiceProvider();
        _forwarder = _yarp.GetRequiredService<IHttpForwarder>();
        _client = new(
            new SocketsHttpHandler
            {
                UseProxy = false,
                UseCookies = false,
                AllowAutoRedirect = false,
                AutomaticDecompression = DecompressionMethods.None,
                ActivityHeadersPropagator = null,
                EnableMultipleHttp2Connections = true,
                PooledConnectionIdleTimeout = TimeSpan.FromSeconds(90),
                RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
                ResponseHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
                MaxResponseHeadersLength = 256, // KiB
                ConnectCallback = async (context, stop) =>
                {
                    var endpoint = new IPEndPoint(IPAddress.Parse(context.DnsEndPoint.Host), context.DnsEndPoint.Port);
                    return new System.Net.Sockets.NetworkStream(await TcpTunnel.Connect(endpoint, options.ConnectTimeout, stop), ownsSocket: true);
                },
            });
        _http1 = new() { ActivityTimeout = options.ActivityTimeout, Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact, AllowResponseBuffering = false };
        _http2 = _http1 with { Version = HttpVersion.Version20 };
    }

    /// <param name="byPath">The path decided the route.</param>
    public async Task Send(HttpContext context, Cluster cluster, bool byPath)
    {
        Interlocked.Increment(ref cluster.Counts.RequestCount);
        var destination = cluster.Pick();
        if (destination is null)
        {
            await NoEndpoint(context, cluster);
            return;
        }
        var error = await SendOnce(context, cluster, destination, byPath);
        if (error == ForwarderError.None) return;
        if (IsSafeToRepeat(context, error) && cluster.Pick(but: destination) is { } other)
        {
            Interlocked.Increment(ref cluster.Counts.RetryCount);
            context.Features.Set<IForwarderErrorFeature>(null);
            context.Response.Clear();
            destination = other;
            error = await SendOnce(context, cluster, destination, byPath);
            if (error == ForwarderError.None) return;
        }
        if (context.RequestAborted.IsCancellationRequested) return;
        Interlocked.Increment(ref cluster.Counts.FailureCount);
        await Failed(context, cluster, destination);
    }

    public void Dispose()
    {
        _client.Dispose();
        _yarp.Dispose();
    }

    private async Task<ForwarderError> SendOnce(HttpContext context, Cluster cluster, Destination destination, bool byPath)
    {
        try
        {
            var http2 = cluster.Mode == PortMode.H2c || IsGrpc(context.Request);
            return await _forwarder.SendAsync(context, destination.Prefix, _client, http2 ? _http2 : _http1, byPath ? _normalized : _raw);
        }
        finally
        {
            destination.Release();
        }
    }

    private static bool IsGrpc(HttpRequest request) =>
        HttpProtocol.IsHttp2(request.Protocol) && request.ContentType is { } type && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// Where no connection came about nothing was sent, whatever the method. Where it broke before any byte of an answer, only requests that
    /// may be repeated (RFC 9110 section 9.2.2) and have no body that is used up by now.
    /// </summary>
    private static bool IsSafeToRepeat(HttpContext context, ForwarderError error)
    {
        if (context.Response.HasStarted || context.RequestAborted.IsCancellationRequested || error != ForwarderError.Request) return false;
        if (context.Features.Get<IForwarderErrorFeature>()?.Exception is not HttpRequestException exception) return false;
        if (exception.HttpRequestError == HttpRequestError.ConnectionError && exception.InnerException is System.Net.Sockets.SocketException) return true;
        var method = context.Request.Method;
        var idempotent = HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsPut(method) || HttpMethods.IsDelete(method) || HttpMethods.IsOptions(method) || HttpMethods.IsTrace(method);
        return idempotent && context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true };
    }

    private static Task NoEndpoint(HttpContext context, Cluster cluster)
    {
        Interlocked.Increment(ref cluster.Counts.NoEndpointCount);
        context.Response.Headers.RetryAfter = "1";
        var all = cluster.Destinations;
        return Answers.Text(context, 503, all.Count == 0
            ? $"Service {cluster.Service} has no endpoints on port {cluster.Number}.\n"
            : $"No endpoint of Service {cluster.Service} port {cluster.Number} is ready: {all.Count} known, {all.Count(x => x.IsClosed)} terminating.\n");
    }

    private static Task Failed(HttpContext context, Cluster cluster, Destination destination)
    {
        if (context.Response.HasStarted)
        {
            // The client must not take what it has for the whole.
            context.Abort();
            return Task.CompletedTask;
        }
        var why = context.Features.Get<IForwarderErrorFeature>()?.Exception?.GetBaseException().Message;
        var status = context.Response.StatusCode is >= 400 and < 600 and var given ? given : 502;
        return Answers.Text(context, status, $"Endpoint {destination} of Service {cluster.Service} port {cluster.Number} did not answer: {why}\n");
    }
}
