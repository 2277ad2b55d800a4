using Declarative.Api;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Declarative.ApiServer.Http;

/// <summary>One request for a resource: who asks, for what, and how the answer shall look.</summary>
internal sealed class Exchange(HttpContext context, User user, IApi api, RequestPath path, RequestQuery query, TimeProvider time)
{
    public HttpContext Context => context;
    public User User => user;
    public IApi Api => api;
    public RequestPath Path => path;
    public RequestQuery Query => query;
    public HttpResponse Response => context.Response;
    public DateTimeOffset Now => time.GetUtcNow();
    public CancellationToken Aborted => context.RequestAborted;

    /// <summary>The verb of authorization and metrics: get, list, watch, create, update, patch, delete, deletecollection.</summary>
    public string Verb { get; } = VerbOf(context.Request.Method, path, query);

    public ResourceKey Key => ResourceKey.Of(path.Kind, path.Namespace ?? "", path.Name);

    /// <summary>Throws 406.</summary>
    public Accept Accept => Accept.Parse(context.Request.Headers.Accept);

    /// <summary>A client that stops reading its terminal for a minute is no attack: what waits for it is bounded.</summary>
    public void AllowSlowReader()
    {
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate) rate.MinDataRate = null;
    }

    /// <summary>See <see cref="Verb"/>.</summary>
    public static string VerbOf(string method, RequestPath path, RequestQuery query) => method switch
    {
        "GET" or "HEAD" => (path.IsWatch || query.Flag("watch")) && path.Subresource.Length == 0 ? "watch" : path.Name.Length > 0 ? "get" : "list",
        _ when path.IsWatch => "other",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => path.Name.Length > 0 ? "delete" : "deletecollection",
        _ => "other", // one word for all: verbs are labels of metrics
    };
}
