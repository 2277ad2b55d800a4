using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Declarative.Lb.Proxy;

/// <summary>What is done with a request before an endpoint is chosen, as <see cref="EdgeSettings"/> say.</summary>
internal sealed class EdgeSteps(Credentials credentials)
{
    private const string Basic = "Basic";

    /// <param name="answer">The balancer's own one, already on its way.</param>
    /// <returns>False = go on.</returns>
    public bool IsAnswered(HttpContext context, EdgeSettings edge, ClientConnection client, [NotNullWhen(true)] out Task? answer)
    {
        answer = null;
        if (edge.Closed.Length > 0) answer = Answers.Text(context, StatusCodes.Status503ServiceUnavailable, $"Nobody is let in: {edge.Closed}.\n");
        else if (!MayCome(edge, client.Client)) answer = Answers.Text(context, StatusCodes.Status403Forbidden, $"{client.ClientAddress} is not among the clients that are allowed here.\n");
        if (answer is not null) return true;
        if (edge.Hsts.Length > 0 || !edge.ResponseHeaders.IsEmpty || edge.StripPrefix.Length > 0 || edge.AddPrefix.Length > 0 || edge.LocationPrefix.Length > 0)
        {
            context.Response.OnStarting(static state => Answering(((HttpContext, EdgeSettings))state), (context, edge));
        }
        if (edge.Redirect is { } redirect && (!redirect.Https || !context.Request.IsHttps)) answer = Redirected(context, redirect, client);
        else if (edge.RootRedirect.Length > 0 && context.Request.Path == "/") answer = Moved(context, edge.RootRedirect + context.Request.QueryString.ToUriComponent());
        else if (edge.Rate is { } rate && !rate.TryTake(client.Client, Now()))
        {
            context.Response.Headers.RetryAfter = "1";
            answer = Answers.Text(context, StatusCodes.Status429TooManyRequests, $"{client.ClientAddress} asks more often than is allowed here.\n");
        }
        else if ((!edge.AuthSecrets.IsEmpty || edge.AuthUser is not null) && !IsKnown(context, edge)) answer = Unauthenticated(context, edge);
        else if (edge.BodyBytesMax is { } max)
        {
            if (context.Request.ContentLength > max) answer = TooLarge(context, max);
            else if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit) limit.MaxRequestBodySize = Math.Min(max, limit.MaxRequestBodySize ?? long.MaxValue);
        }
        if (answer is not null) return true;
        foreach (var rule in edge.RequestHeaders) Apply(rule, context.Request.Headers);
        return false;
    }

    /// <summary>The path as the endpoint shall see it.</summary>
    /// <returns>True where it has changed.</returns>
    public static bool Rewrite(HttpContext context, EdgeSettings edge)
    {
        if (edge.StripPrefix.Length == 0 && edge.AddPrefix.Length == 0) return false;
        var path = context.Request.Path;
        if (edge.StripPrefix.Length > 0)
        {
            if (!path.StartsWithSegments(edge.StripPrefix, StringComparison.Ordinal, out var rest)) return false;
            path = rest.HasValue || edge.AddPrefix.Length > 0 ? rest : "/";
            context.Request.Headers["X-Forwarded-Prefix"] = edge.StripPrefix;
        }
        context.Request.Path = edge.AddPrefix + path.Value;
        return true;
    }

    public static bool MayCome(EdgeSettings edge, IPAddress client)
    {
        if (edge.Allow.IsEmpty) return true;
        foreach (var network in edge.Allow)
        {
            if (network.Contains(client)) return true;
        }
        return false;
    }

    public static long Now() => System.Diagnostics.Stopwatch.GetElapsedTime(0).Ticks;

    public static Task TooLarge(HttpContext context, long max) =>
        Answers.Text(context, StatusCodes.Status413PayloadTooLarge, string.Create(CultureInfo.InvariantCulture, $"The request is larger than the {max} bytes that are allowed here.\n"));

    private bool IsKnown(HttpContext context, EdgeSettings edge) =>
        Credentials.Read(context.Request.Headers.Authorization) is { } given && ((edge.AuthUser?.Is(given) ?? false) || credentials.IsKnown(given, edge.AuthSecrets));

    private Task Unauthenticated(HttpContext context, EdgeSettings edge)
    {
        if (edge.AuthUser is null && !edge.AuthSecrets.Any(credentials.Has))
        {
            return Answers.Text(context, StatusCodes.Status503ServiceUnavailable, $"Nobody is let in: Secret {edge.AuthSecrets[0]} of type {Credentials.Type} does not exist or has no username and password.\n");
        }
        context.Response.Headers.WWWAuthenticate = $"{Basic} realm=\"{edge.AuthRealm}\", charset=\"UTF-8\"";
        return Answers.Text(context, StatusCodes.Status401Unauthorized, "User and password are needed here.\n");
    }

    private static Task Moved(HttpContext context, string to)
    {
        context.Response.Headers.Location = to;
        return Answers.Text(context, StatusCodes.Status301MovedPermanently, "");
    }

    private static Task Redirected(HttpContext context, Redirect redirect, ClientConnection client)
    {
        var request = context.Request;
        var target = request.PathBase + request.Path + request.QueryString.ToUriComponent();
        context.Response.Headers.Location = redirect.Https ? $"https://{HttpsHost(request.Host, client)}{target}"
            : redirect.To.Replace("{host}", request.Host.Value, StringComparison.Ordinal).Replace("{path}", target, StringComparison.Ordinal);
        return Answers.Text(context, redirect.Status, "");
    }

    /// <summary>A client that came to the port of Ingress over HTTP is sent to the one over HTTPS; of a name without port that somebody maps to the default ports nothing is known.</summary>
    private static string HttpsHost(HostString host, ClientConnection client) =>
        host.Port is null || client.HttpsPort is 0 or 443 ? host.Host : string.Create(CultureInfo.InvariantCulture, $"{host.Host}:{client.HttpsPort}");

    private static Task Answering((HttpContext Context, EdgeSettings Edge) state)
    {
        var (context, edge) = state;
        var headers = context.Response.Headers;
        if (edge.Hsts.Length > 0 && context.Request.IsHttps) headers.StrictTransportSecurity = edge.Hsts;
        if ((edge.StripPrefix.Length > 0 || edge.AddPrefix.Length > 0 || edge.LocationPrefix.Length > 0) && headers.Location is [{ Length: > 0 } location]) headers.Location = Outside(location, context.Request, edge);
        foreach (var rule in edge.ResponseHeaders) Apply(rule, headers);
        return Task.CompletedTask;
    }

    /// <summary>A place as the endpoint names it → as the client reaches it.</summary>
    private static string Outside(string location, HttpRequest request, EdgeSettings edge)
    {
        var origin = "";
        if (location[0] != '/')
        {
            origin = $"{request.Scheme}://{request.Host}";
            if (!location.StartsWith(origin + "/", StringComparison.OrdinalIgnoreCase)) return location;
            location = location[origin.Length..];
        }
        else if (location.StartsWith("//", StringComparison.Ordinal)) return location; // another host
        if (edge.AddPrefix.Length > 0)
        {
            if (!location.StartsWith(edge.AddPrefix, StringComparison.Ordinal) || (location.Length > edge.AddPrefix.Length && location[edge.AddPrefix.Length] is not ('/' or '?'))) return origin + location;
            location = location[edge.AddPrefix.Length..];
        }
        if (edge.LocationPrefix.Length > 0) return origin + (location.StartsWith(edge.LocationPrefix, StringComparison.Ordinal) ? location : edge.LocationPrefix + location);
        return origin + edge.StripPrefix + (location.Length == 0 && edge.StripPrefix.Length == 0 ? "/" : location);
    }

    private static void Apply(HeaderRule rule, IHeaderDictionary headers)
    {
        switch (rule.Action)
        {
            case HeaderAction.Set:
                headers[rule.Name] = rule.Value;
                break;
            case HeaderAction.Add:
                headers.Append(rule.Name, rule.Value);
                break;
            default:
                headers.Remove(rule.Name);
                break;
        }
    }
}
