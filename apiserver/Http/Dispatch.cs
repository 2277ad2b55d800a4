using System.Collections.Concurrent;
using System.Security.Cryptography.X509Certificates;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Authentication;
using Declarative.ApiServer.Authorization;
using Declarative.ApiServer.Http.Audit;
using Declarative.ApiServer.Http.Transport;
using Declarative.ApiServer.Http.Usage;
using Declarative.ApiServer.Streams;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Http;

/// <summary>The way of every request: who asks, a place among those in flight, what is asked, the answer. The bulkhead of this folder.</summary>
/// <param name="agents">Reaches the APIs of Mesos agents; not disposed here.</param>
/// <param name="audit">null = requests are recorded nowhere. Not disposed here.</param>
internal sealed class Dispatch(Func<User, IApi> api, Authorizer authorizer, Authenticator authenticator, ServiceAccountTokens accounts, HttpMessageInvoker agents, AuditLog? audit, HttpOptions options, TimeProvider time, CancellationToken closing) : IDisposable
{
    private readonly ILogger _log = options.Log.CreateLogger("apiserver.http");
    private readonly InFlight _inFlight = new(time);
    private readonly RequestMetrics _metrics = new();
    private readonly ConcurrentDictionary<User, Caller> _byToken = new(ReferenceEqualityComparer.Instance);
    private readonly PodLog _podLog = new(agents, time);
    private readonly PodRemote _podRemote = new(agents, time);
    private readonly PodPortForward _podPortForward = new(time);
    private readonly HttpProxy _proxy = new(time);
    private readonly UsageAnswer _usage = new(agents, time);
    private readonly Health _health = new(options.Readiness);
    private readonly ComponentAnswer _components = new(options.Readiness);
    private readonly Issuer _issuer = new(accounts);
    private readonly WatchTimes _watchTimes = new(options.WatchTimeMin, options.Random);
    private readonly ServedKinds _kinds = new(options.Kinds, options.Version);

    /// <summary>Once per connection: whose certificate is it.</summary>
    public Task Meet(ConnectionContext connection, ConnectionDelegate next)
    {
        if (connection.Features.Get<ITlsConnectionFeature>()?.ClientCertificate is { } certificate && Known(certificate) is { } user)
        {
            connection.Features.Set(new Caller(user, api(user)));
        }
        return next(connection);
    }

    /// <summary>A list of metrics.k8s.io.</summary>
    public Task<StoredList> Usage(ListRequest request, CancellationToken stop) => _usage.List(api(User.ApiServer), request, stop);

    public void Dispose()
    {
        _proxy.Dispose();
        _inFlight.Dispose();
    }

    public async Task Handle(HttpContext context)
    {
        var started = time.GetTimestamp();
        var (verb, resource) = ("", "");
        AuditedRequest? audited = null;
        try
        {
            var target = Target(context);
            var question = target.IndexOf('?', StringComparison.Ordinal);
            var path = question < 0 ? target : target[..question];
            if (_health.Serves(path))
            {
                (verb, resource) = ("get", "health");
                await _health.Answer(context, path);
                return;
            }
            var query = question < 0 ? RequestQuery.Empty : RequestQuery.Parse(target.AsSpan(question + 1));
            if (path == "/version")
            {
                (verb, resource) = ("get", "version");
                await _kinds.Documents.Answer(context, path);
                return;
            }
            var isResource = RequestPath.TryParse(path, _kinds.Paths, out var asked);
            if (audit is not null)
            {
                audited = new(audit, time, isResource ? Exchange.VerbOf(context.Request.Method, asked, query) : context.Request.Method.ToLowerInvariant(), isResource ? asked : null, path);
                audited.Begin(context);
            }
            var who = await Who(context) ?? throw Status.Unauthorized();
            audited?.Asks(who.User, who.User);
            var caller = Impersonation.Apply(context, who, authorizer, api);
            audited?.Asks(who.User, caller.User);
            if (!isResource)
            {
                (verb, resource) = ("get", "document");
                await Task.Yield();
                if (authorizer.CheckPath(caller.User, context.Request.Method.ToLowerInvariant(), path) is { } refusal) throw refusal;
                if (path == "/backup" && options.Backup is { } backup)
                {
                    using var place = _inFlight.EnterLong(caller.User);
                    await backup(Answers.Begin(context, 200, "application/gzip").Body, context.RequestAborted);
                }
                else if (path == "/metrics") await _metrics.Answer(context, _inFlight, audit?.Lost);
                else if (!await _kinds.Documents.Answer(context, path) && !await OpenApiPaths.Answer(context, path, _kinds.OpenApi) && !await _issuer.Answer(context, path)) throw Status.PageNotFound();
                return;
            }
            var exchange = new Exchange(context, caller.User, caller.Api, asked, query, time);
            (verb, resource) = (exchange.Verb, asked.Kind.Plural);
            await Serve(exchange);
        }
        catch (ApiException refusal)
        {
            audited?.Refused(refusal.Status, refusal.IsOfRights);
            await Refuse(context, refusal.Status);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone: there is nobody to answer.
            context.Abort();
        }
        catch (BadHttpRequestException malformed)
        {
            await Refuse(context, malformed.StatusCode == 413
                ? Status.TooLarge($"Request entity too large: limit is {Limits.RequestBodyBytesMax}").Status
                : new(malformed.StatusCode, StatusReason.BadRequest, malformed.Message));
        }
        catch (Exception bug)
        {
            Log.Failed(_log, context.Request.Method, context.Request.Path, bug);
            await Refuse(context, Status.Internal($"{bug.GetType().Name}: {bug.Message}").Status);
        }
        finally
        {
            if (audited is not null) await audited.Ended(context);
            _metrics.Count(verb, resource, context.Response.StatusCode, time.GetElapsedTime(started));
        }
    }

    private async Task Serve(Exchange exchange)
    {
        var isLong = exchange.Verb == "watch" || exchange.Path.Subresource is "log" or "exec" or "attach" or "portforward" or "proxy";
        if (isLong && AuditedRequest.Of(exchange.Context) is { } audited) await audited.Started(exchange.Context);
        using var place = isLong ? _inFlight.EnterLong(exchange.User) : null;
        // Streams wait for others than this server; a watch has a seat until its first answer is made.
        using var seat = isLong && exchange.Verb != "watch" ? null : await Enter(exchange);
        if (isLong && seat is not null) exchange.Context.Response.OnStarting(static begun => { ((IDisposable)begun).Dispose(); return Task.CompletedTask; }, seat);
        else if (seat is not null) exchange.Context.Response.OnStarting(static begun => { ((FairQueue.Seat)begun).Answered(); return Task.CompletedTask; }, seat);
        // The thread that it was received in has other connections to look after. What is about one object, or a few, is done at once.
        if (isLong || exchange.Verb is not ("get" or "create" or "update" or "patch" or "delete") && !Reads.IsShort(exchange)) await Task.Yield();
        await Answer(exchange);
    }

    private ValueTask<FairQueue.Seat> Enter(Exchange exchange)
    {
        var entering = _inFlight.Enter(exchange.User, exchange.Verb is "get" or "list" or "watch" ? RequestClass.Read : RequestClass.Write, exchange.Aborted);
        // Who has to wait here has no need to be read from before others, whose requests may go on at once.
        exchange.Context.Features.Get<IConnectionTurn>()?.GoesLast = !entering.IsCompleted;
        return entering;
    }

    private async Task Answer(Exchange exchange)
    {
        var path = exchange.Path;
        Warn(exchange);
        if (path.Kind.Support == KindSupport.Review)
        {
            await Reviews.Answer(exchange, authorizer, authenticator);
            return;
        }
        if (path.Subresource == "token" && path.Kind.Equals(Kind.ServiceAccount))
        {
            if (exchange.Verb != "create") throw Status.MethodNotAllowed($"serviceaccounts/token is only created; the server does not allow {exchange.Verb}");
            if (authorizer.Check(exchange.User, "create", path.Kind, "token", path.Namespace ?? "", path.Name) is { } refused) throw refused;
            await _issuer.Issue(exchange);
            return;
        }
        if (path.Subresource == "log" && path.Kind.Equals(Kind.Pod))
        {
            if (exchange.Verb != "get") throw Status.MethodNotAllowed($"pods/log is read only; the server does not allow {exchange.Verb}");
            if (authorizer.Check(exchange.User, "get", path.Kind, "log", path.Namespace ?? "", path.Name) is { } refused) throw refused;
            await _podLog.Answer(exchange, api(User.ApiServer), closing);
            return;
        }
        if (path.Kind.Equals(Kind.Pod) && path.Subresource is "exec" or "attach" or "portforward")
        {
            // The verb is the method's, as in Kubernetes: create for POST (SPDY), get for GET (WebSocket).
            if (exchange.Verb is not ("get" or "create")) throw Status.MethodNotAllowed($"pods/{path.Subresource} is a connection: GET (WebSocket) or POST (SPDY); the server does not allow {exchange.Verb}");
            if (authorizer.Check(exchange.User, exchange.Verb, path.Kind, path.Subresource, path.Namespace ?? "", path.Name) is { } refused) throw refused;
            await Connections.Admit(exchange, options.Connect);
            if (path.Subresource == "portforward") await _podPortForward.Answer(exchange, api(User.ApiServer), closing);
            else await _podRemote.Answer(exchange, api(User.ApiServer), closing);
            return;
        }
        if (path.Subresource == "proxy" && (path.Kind.Equals(Kind.Pod) || path.Kind.Equals(Kind.Service) || path.Kind.Equals(Kind.Node)))
        {
            if (authorizer.Check(exchange.User, exchange.Verb, path.Kind, "proxy", path.Namespace ?? "", ProxyTarget.NameOf(path.Name)) is { } refused) throw refused;
            await Connections.Admit(exchange, options.Connect);
            await _proxy.Answer(exchange, api(User.ApiServer), closing);
            return;
        }
        if (path.Kind.Group == "metrics.k8s.io")
        {
            if (authorizer.Check(exchange.User, exchange.Verb, path.Kind, "", path.Namespace ?? "", path.Name) is { } refused) throw refused;
            await _usage.Answer(exchange, api(User.ApiServer));
            return;
        }
        if (path.Kind.Equals(Kind.ComponentStatus))
        {
            if (authorizer.Check(exchange.User, exchange.Verb, path.Kind, "", "", path.Name) is { } refused) throw refused;
            await _components.Answer(exchange);
            return;
        }
        if (path.Subresource == "history")
        {
            await HistoryAnswer.Answer(exchange, options.History);
            return;
        }
        switch (exchange.Verb)
        {
            case "get":
                await Reads.Get(exchange);
                break;
            case "list":
                await Reads.List(exchange);
                break;
            case "watch":
                await Watches.Stream(exchange, _watchTimes, closing);
                break;
            case "create":
                await Writes.Create(exchange);
                break;
            case "update":
                await Writes.Update(exchange);
                break;
            case "patch":
                await Writes.Patch(exchange);
                break;
            case "delete":
                await Writes.Delete(exchange);
                break;
            case "deletecollection" when !path.Kind.Equals(Kind.Namespace):
                if (authorizer.Check(exchange.User, "deletecollection", path.Kind, "", path.Namespace ?? "", "") is { } refusal) throw refusal;
                // With every right, but under the caller's name: admission asks who deletes.
                await Writes.DeleteCollection(exchange, api(exchange.User with { Groups = [.. exchange.User.Groups, User.Masters] }));
                break;
            default:
                throw Status.MethodNotAllowed($"the server does not allow the method {exchange.Context.Request.Method} on the requested resource");
        }
    }

    /// <summary>Of what is said whatever becomes of the request: an old version, as in Kubernetes, and a kind without effect here. Writes and lists say the latter themselves.</summary>
    private static void Warn(Exchange exchange)
    {
        var warning = exchange.Path.Kind.Deprecation ?? (exchange.Verb is "get" or "watch" or "delete" or "deletecollection" ? exchange.Path.Kind.WithoutEffect : null);
        if (warning is not null) Answers.Warn(exchange.Context, [warning]);
    }

    /// <summary>The certificate's user where one was shown, else the bearer token's; null for strangers.</summary>
    private async ValueTask<Caller?> Who(HttpContext context)
    {
        if (context.Features.Get<Caller>() is { } caller) return caller;
        var header = context.Request.Headers.Authorization.ToString();
        if (!header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)) return null;
        var token = header[7..].Trim();
        // The users of static tokens are few and always the same; those of signed tokens are made anew.
        if (authenticator.OfStaticToken(token) is { } known) return _byToken.GetOrAdd(known, static (user, api) => new Caller(user, api(user)), api);
        return await authenticator.OfToken(token, [], context.RequestAborted) is { User: var user } ? new Caller(user, api(user)) : null;
    }

    private User? Known(X509Certificate2 certificate)
    {
        try
        {
            return authenticator.OfCertificate(certificate);
        }
        catch (Exception malformed) when (malformed is System.Security.Cryptography.CryptographicException or System.Formats.Asn1.AsnContentException)
        {
            Log.BadCertificate(_log, malformed.Message);
            return null;
        }
    }

    private async Task Refuse(HttpContext context, Status status)
    {
        if (context.Response.HasStarted)
        {
            // Half an answer is out: cutting the connection is the only way left to say that it is not whole.
            context.Abort();
            return;
        }
        try
        {
            context.Response.Headers.ContentLength = null;
            context.Response.Headers.ContentEncoding = default;
            await Answers.Status(context, status);
        }
        catch (Exception lost) when (lost is OperationCanceledException or IOException)
        {
            Log.Lost(_log, context.Request.Method, context.Request.Path);
        }
    }

    private static string Target(HttpContext context)
    {
        var raw = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        return raw.StartsWith('/') ? raw : context.Request.Path.ToUriComponent() + context.Request.QueryString;
    }
}
