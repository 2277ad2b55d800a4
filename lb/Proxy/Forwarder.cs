using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
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
    private readonly LbOptions _options;
    private readonly HttpMessageInvoker _client;
    private readonly ForwarderRequestConfig _http1;
    private readonly ForwarderRequestConfig _http2;

    /// <summary>By the bits of <see cref="TransformerFor"/>.</summary>
    private readonly ForwardTransformer[] _transformers;

    // Of Services with times of their own.
    private readonly ConcurrentDictionary<TimeSpan, HttpMessageInvoker> _clients = new();
    private readonly ConcurrentDictionary<TimeSpan, ForwarderRequestConfig> _configs = new();

    public Forwarder(LbOptions options)
    {
        // YARP's forwarder is reached through a container only; nothing else comes out of this one. Its log line per failed request is
        // replaced by the cluster's counts.
        var services = new ServiceCollection();
        services.AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance);
        services.AddSingleton(typeof(ILogger<>), typeof(NullLogger<>));
        services.AddHttpForwarder();
        _options = options;
        _yarp = services.BuildServiceProvider();
        _forwarder = _yarp.GetRequiredService<IHttpForwarder>();
        _client = NewClient(options.ConnectTimeout);
        _http1 = new() { ActivityTimeout = options.ActivityTimeout, Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact, AllowResponseBuffering = false };
        _http2 = _http1 with { Version = HttpVersion.Version20 };
        _transformers = [.. Enumerable.Range(0, 16).Select(x => new ForwardTransformer(rawTarget: (x & 1) == 0, (ForwardedHeaders)(x >> 1 & 3), timed: (x & 8) != 0))];
    }

    /// <param name="note">For the log; null = there is none.</param>
    /// <param name="byPath">The path decided the route, or has been rewritten.</param>
    public async Task Send(HttpContext context, ClientConnection client, Cluster cluster, AccessNote? note, bool byPath)
    {
        Interlocked.Increment(ref cluster.Counts.RequestCount);
        await Send(context, client, cluster, cluster.Settings, note, byPath);
        cluster.Counts.Answered(context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted ? 0 : context.Response.StatusCode);
    }

    private async Task Send(HttpContext context, ClientConnection client, Cluster cluster, BackendSettings settings, AccessNote? note, bool byPath)
    {
        if (note is not null) note.Cluster = cluster;
        var hash = settings.Balance == Balance.Source ? Mixing.Hash(client.Client) : 0;
        var destination = settings.Cookie.Length > 0 ? Sticky(context, cluster, settings, hash) : cluster.Pick(but: null, hash);
        if (destination is null)
        {
            await NoEndpoint(context, cluster);
            return;
        }
        for (var attempt = 0; ; attempt++)
        {
            if (note is not null) (note.Destination, note.Attempts) = (destination, attempt + 1);
            var error = await SendOnce(context, cluster, destination, settings, byPath);
            if (settings.Outlier is not null && !IsClients(error, context)) cluster.Outcome(destination, error != ForwarderError.None || context.Response.StatusCode is 502 or 503 or 504);
            if (error == ForwarderError.None) return;
            if (attempt >= settings.Retries || !IsSafeToRepeat(context, error) || cluster.Pick(but: destination, hash) is not { } other) break;
            if (!cluster.Retries.TryTake(cluster, cluster.Now()))
            {
                other.Release();
                break;
            }
            Interlocked.Increment(ref cluster.Counts.RetryCount);
            context.Features.Set<IForwarderErrorFeature>(null);
            context.Response.Clear();
            if (settings.Cookie.Length > 0) Stick(context, settings, other);
            destination = other;
        }
        if (context.RequestAborted.IsCancellationRequested) return;
        if (context.Features.Get<IForwarderErrorFeature>()?.Exception is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }
            && !context.Response.HasStarted && context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize is { } max)
        {
            Interlocked.Increment(ref cluster.Counts.RefusalCount);
            await EdgeSteps.TooLarge(context, max);
            return;
        }
        Interlocked.Increment(ref cluster.Counts.FailureCount);
        await Failed(context, cluster, destination, settings);
    }

    public void Dispose()
    {
        _client.Dispose();
        foreach (var client in _clients.Values) client.Dispose();
        _yarp.Dispose();
    }

    private async Task<ForwarderError> SendOnce(HttpContext context, Cluster cluster, Destination destination, BackendSettings settings, bool byPath)
    {
        HeadTimer? timer = null;
        try
        {
            var http2 = cluster.Mode == PortMode.H2c || IsGrpc(context.Request);
            var config = http2 ? _http2 : _http1;
            var client = _client;
            if (settings.IdleTimeout is { } idle && idle != _options.ActivityTimeout)
            {
                config = _configs.GetOrAdd(http2 ? -idle : idle, static (key, like) => like with { ActivityTimeout = key.Duration() }, config);
            }
            if (settings.ConnectTimeout is { } connect && connect != _options.ConnectTimeout) client = _clients.GetOrAdd(connect, static key => NewClient(key));
            if (settings.HeaderTimeout is null && settings.TunnelTimeout is null)
            {
                return await _forwarder.SendAsync(context, destination.Prefix, client, config, TransformerFor(byPath, settings.Forwarded, timed: false));
            }
            timer = new(settings, context.RequestAborted);
            context.Features.Set(timer);
            return await _forwarder.SendAsync(context, destination.Prefix, client, config, TransformerFor(byPath, settings.Forwarded, timed: true), timer.Token);
        }
        finally
        {
            timer?.Dispose();
            destination.Release();
        }
    }

    private ForwardTransformer TransformerFor(bool byPath, ForwardedHeaders forwarded, bool timed) => _transformers[(byPath ? 1 : 0) | (int)forwarded << 1 | (timed ? 8 : 0)];

    private static HttpMessageInvoker NewClient(TimeSpan connectTimeout) => new(
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
                var endpoint = EndpointName.EndPoint(context.DnsEndPoint.Host, context.DnsEndPoint.Port);
                return new System.Net.Sockets.NetworkStream(await TcpTunnel.Connect(endpoint, connectTimeout, stop), ownsSocket: true);
            },
        });

    private static Destination? Sticky(HttpContext context, Cluster cluster, BackendSettings settings, ulong client)
    {
        if (context.Request.Cookies.TryGetValue(settings.Cookie, out var id) && cluster.PickById(id) is { } known) return known;
        var destination = cluster.Pick(but: null, client);
        if (destination is not null) Stick(context, settings, destination);
        return destination;
    }

    private static void Stick(HttpContext context, BackendSettings settings, Destination destination) =>
        context.Response.OnStarting(static state =>
        {
            var (context, name, id) = ((HttpContext, string, string))state;
            // The last endpoint that was asked is told of last, and callbacks run in the reverse order.
            var key = typeof(Destination);
            if (context.Items.TryAdd(key, id)) context.Response.Cookies.Append(name, id, new() { Path = "/", HttpOnly = true, Secure = context.Request.IsHttps, SameSite = SameSiteMode.Lax });
            return Task.CompletedTask;
        }, (context, settings.Cookie, destination.Id));

    /// <summary>The client has left, or sent what cannot be passed on: no word about the endpoint.</summary>
    private static bool IsClients(ForwarderError error, HttpContext context) =>
        context.RequestAborted.IsCancellationRequested
        || error is ForwarderError.RequestBodyClient or ForwarderError.ResponseBodyClient or ForwarderError.UpgradeRequestClient or ForwarderError.UpgradeResponseClient
            or ForwarderError.RequestBodyCanceled or ForwarderError.ResponseBodyCanceled;

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

    private static Task Failed(HttpContext context, Cluster cluster, Destination destination, BackendSettings settings)
    {
        if (context.Response.HasStarted)
        {
            // The client must not take what it has for the whole.
            context.Abort();
            return Task.CompletedTask;
        }
        if (settings.HeaderTimeout is { } limit && context.Features.Get<HeadTimer>() is { IsLate: true })
        {
            return Answers.Text(context, StatusCodes.Status504GatewayTimeout, $"Endpoint {destination} of Service {cluster.Service} port {cluster.Number} did not begin to answer within {limit.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s.\n");
        }
        var why = context.Features.Get<IForwarderErrorFeature>()?.Exception?.GetBaseException().Message;
        var status = context.Response.StatusCode is >= 400 and < 600 and var given ? given : 502;
        return Answers.Text(context, status, $"Endpoint {destination} of Service {cluster.Service} port {cluster.Number} did not answer: {why}\n");
    }
}
