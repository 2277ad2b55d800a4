using System.Net;
using System.Net.Http.Headers;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Declarative.Lb.Proxy;

/// <summary>What changes between the client's request and the one to the endpoint, and back: forwarded headers, and answers that must not be held back.</summary>
/// <param name="rawTarget">
/// Send the request target as the client wrote it. Not where a path decides the route: there the endpoint must see the path that was looked at.
/// </param>
/// <param name="forwarded">The headers that tell who asked.</param>
/// <param name="timed">The request has a <see cref="HeadTimer"/>.</param>
internal sealed class ForwardTransformer(bool rawTarget, ForwardedHeaders forwarded, bool timed) : HttpTransformer
{
    private const string ForwardedFor = "X-Forwarded-For";
    private static readonly UriCreationOptions AsIs = new() { DangerousDisablePathAndQueryCanonicalization = true };

    public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        var request = httpContext.Request;
        var client = httpContext.Features.Get<ClientConnection>()!;
        var headers = proxyRequest.Headers;
        if (forwarded.HasFlag(ForwardedHeaders.Forwarded)) Forwarded(httpContext, headers, client);
        if (forwarded.HasFlag(ForwardedHeaders.XForwarded)) XForwarded(request, headers, client);
        if (rawTarget && httpContext.Features.Get<IHttpRequestFeature>()?.RawTarget is ['/', ..] target)
        {
            proxyRequest.RequestUri = new Uri(destinationPrefix + target, AsIs);
        }
        // HTTP/1.0 knows no host: the endpoint's own, and not the name that its connections are kept by.
        if (headers.Host is not { Length: > 0 }) headers.Host = EndpointOf(new Uri(destinationPrefix)).ToString();
    }

    private static IPEndPoint EndpointOf(Uri destination) => EndpointName.EndPoint(destination.Host, destination.Port);

    private static void XForwarded(HttpRequest request, HttpRequestHeaders headers, ClientConnection client)
    {
        if (request.Headers.TryGetValue(ForwardedFor, out var before))
        {
            headers.Remove(ForwardedFor);
            headers.TryAddWithoutValidation(ForwardedFor, $"{before}, {client.ClientAddress}");
        }
        else headers.TryAddWithoutValidation(ForwardedFor, client.ClientAddress);
        Set("X-Forwarded-Proto", request.Scheme);
        Set("X-Forwarded-Port", client.Listener.PortText);
        if (request.Host.HasValue) Set("X-Forwarded-Host", request.Host.Value);

        void Set(string name, string value)
        {
            if (request.Headers.ContainsKey(name)) headers.Remove(name);
            headers.TryAddWithoutValidation(name, value);
        }
    }

    /// <summary>RFC 7239 section 4; an IPv6 address stands in brackets and quotes (section 6).</summary>
    private static void Forwarded(HttpContext context, HttpRequestHeaders headers, ClientConnection client)
    {
        var request = context.Request;
        var node = client.Client.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"\"[{client.ClientAddress}]\"" : client.ClientAddress;
        var host = request.Host.HasValue && !request.Host.Value.Contains('"') ? $";host=\"{request.Host.Value}\"" : "";
        var own = $"for={node};proto={request.Scheme}{host}";
        if (request.Headers.TryGetValue("Forwarded", out var before)) headers.Remove("Forwarded");
        headers.TryAddWithoutValidation("Forwarded", before.Count > 0 ? $"{before}, {own}" : own);
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (timed && proxyResponse is not null) httpContext.Features.Get<HeadTimer>()!.HeadArrived(proxyResponse.StatusCode == HttpStatusCode.SwitchingProtocols);
        var copyBody = await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
        // Kestrel keeps the head of an answer until its first byte of body: a watch or a stream of events would seem to hang until its first event.
        if (copyBody && proxyResponse is not null && IsStream(httpContext, proxyResponse)) await httpContext.Response.Body.FlushAsync(cancellationToken);
        return copyBody;
    }

    private static bool IsStream(HttpContext context, HttpResponseMessage answer) =>
        answer.StatusCode is >= HttpStatusCode.OK and not (HttpStatusCode.NoContent or HttpStatusCode.ResetContent or HttpStatusCode.NotModified)
        && answer.Content.Headers.ContentLength is null
        && !HttpMethods.IsHead(context.Request.Method)
        && context.Features.Get<IHttpExtendedConnectFeature>() is not { IsExtendedConnect: true };
}
