using System.Net;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Declarative.ApiServer.Streams;

/// <summary><c>proxy</c> of pods, services and nodes: the request goes on as it is, less who sent it; the answer comes back as it comes.</summary>
internal sealed class HttpProxy : IDisposable
{
    // RFC 9110, 7.6.1: they are about one connection. And what tells who asks is for this server alone.
    private static readonly HashSet<string> NotForwarded = new(StringComparer.OrdinalIgnoreCase)
    {
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "Host", "Authorization", "Impersonate-User", "Impersonate-Group", "Impersonate-Uid",
    };

    private readonly HttpMessageInvoker _http;
    private readonly TimeProvider _time;

    public HttpProxy(TimeProvider time)
    {
        _time = time;
        _http = new(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
            UseProxy = false,
            ActivityHeadersPropagator = null,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            // As in Kubernetes: what listens behind https here has a certificate of its own making.
            SslOptions = new() { RemoteCertificateValidationCallback = (_, _, _, _) => true },
        });
    }

    /// <param name="api">The server's own: who may proxy needs no right to read endpoints.</param>
    public async Task Answer(Exchange exchange, IApi api, CancellationToken closing)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(exchange.Aborted, closing);
        var target = await ProxyTarget.Find(exchange, api, _time, stop.Token);
        using var request = Request(exchange, target);
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, stop.Token);
        }
        catch (HttpRequestException failed)
        {
            throw Status.Unavailable($"error trying to reach {exchange.Path.Kind.Plural} \"{exchange.Path.Name}\" at {target}: {failed.Message}");
        }
        using (response)
        {
            await Answer(exchange, response, stop.Token);
        }
    }

    public void Dispose() => _http.Dispose();

    private static HttpRequestMessage Request(Exchange exchange, Uri target)
    {
        var from = exchange.Context.Request;
        var request = new HttpRequestMessage(new(from.Method), new Uri(target, PathAndQuery(exchange))) { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        if (exchange.Context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true } && !IsUpgrade(exchange)) request.Content = new StreamContent(from.Body);
        foreach (var (name, values) in from.Headers)
        {
            if (NotForwarded.Contains(name) || name.StartsWith("Impersonate-Extra-", StringComparison.OrdinalIgnoreCase) || name.StartsWith(':')) continue;
            if (!request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values)) request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        }
        request.Headers.TryAddWithoutValidation("X-Forwarded-Host", from.Host.Value);
        request.Headers.TryAddWithoutValidation("X-Forwarded-Proto", from.Scheme);
        request.Headers.TryAddWithoutValidation("X-Forwarded-Uri", from.Path.Value);
        if (!IsUpgrade(exchange)) return request;
        request.Headers.TryAddWithoutValidation("Connection", "Upgrade");
        request.Headers.TryAddWithoutValidation("Upgrade", from.Headers.Upgrade.ToString());
        return request;
    }

    private static async Task Answer(Exchange exchange, HttpResponseMessage from, CancellationToken stop)
    {
        var to = exchange.Response;
        to.StatusCode = (int)from.StatusCode;
        foreach (var (name, values) in from.Headers.NonValidated.Concat(from.Content.Headers.NonValidated))
        {
            if (!NotForwarded.Contains(name)) to.Headers.Append(name, values.ToArray());
        }
        await using var body = await from.Content.ReadAsStreamAsync(stop);
        if (from.StatusCode == HttpStatusCode.SwitchingProtocols)
        {
            to.Headers.Connection = "Upgrade";
            to.Headers.Upgrade = from.Headers.Upgrade.ToString();
            await using var client = await Upgrade.Begin(exchange);
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
            await Task.WhenAny(client.CopyToAsync(body, ended.Token), Copy(body, client, ended.Token));
            await ended.CancelAsync();
            return;
        }
        exchange.AllowSlowReader();
        await to.StartAsync(stop);
        await Copy(body, to.Body, stop);
    }

    /// <summary>Every piece goes on at once: an event stream is no file.</summary>
    private static async Task Copy(Stream from, Stream to, CancellationToken stop)
    {
        var buffer = new byte[16 * 1024];
        while (await from.ReadAsync(buffer, stop) is > 0 and var read)
        {
            await to.WriteAsync(buffer.AsMemory(0, read), stop);
            await to.FlushAsync(stop);
        }
    }

    private static bool IsUpgrade(Exchange exchange) => exchange.Context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true };

    /// <summary>What stands behind <c>/proxy</c> in the URL as it was sent, its last slash and its query too.</summary>
    private static string PathAndQuery(Exchange exchange)
    {
        var target = exchange.Context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        // /api/v1/namespaces/NS/pods/NAME/proxy or /api/v1/nodes/NAME/proxy
        var slashes = exchange.Path.Namespace is null ? 5 : 7;
        var end = 0;
        for (var seen = 0; end < target.Length && target[end] != '?'; end++)
        {
            if (target[end] == '/' && ++seen > slashes) break;
        }
        var rest = target[end..];
        return rest.StartsWith('/') ? rest : "/" + rest;
    }
}
