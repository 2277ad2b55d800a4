using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Authentication;
using Declarative.ApiServer.Authorization;

namespace Declarative.ApiServer.Http;

/// <summary>POST of the kinds that are answered and never stored: access reviews, token reviews, and the old form of pods/binding.</summary>
internal static class Reviews
{
    public static async Task Answer(Exchange exchange, Authorizer authorizer, Authenticator authenticator)
    {
        var path = exchange.Path;
        if (exchange.Verb != "create" || path.Name.Length > 0)
        {
            throw Status.MethodNotAllowed($"{path.Kind.QualifiedPlural} are only created, and answered at once; the server does not allow {exchange.Verb}");
        }
        var ns = path.Namespace ?? "";
        if (authorizer.Check(exchange.User, "create", path.Kind, "", ns, "") is { } refusal) throw refusal;
        var body = await Bodies.ReadObject(exchange.Context);
        if (path.Kind.Name == "Binding")
        {
            var pod = ResourceKey.Of(Declarative.Api.Kinds.Kind.Pod, ns, ApiObject.Read(body).Name);
            await exchange.Api.Create(pod, body, new WriteOptions { Subresource = "binding", DryRun = exchange.Query.Has("dryRun") }, exchange.Aborted);
            await Answers.Status(exchange.Context, new(201, "", ""));
            return;
        }
        var warnings = new List<string>();
        body = Registry.Canonical.Bytes(Registry.Registry.Decode(path.Kind, body.IsEmpty ? "{}"u8.ToArray() : body, Writes.Options(exchange, warnings)), path.Kind);
        Answers.Warn(exchange.Context, warnings);
        (User User, IReadOnlyList<string> Audiences)? known = null;
        if (path.Kind.Name == "TokenReview")
        {
            var (token, audiences) = AccessReviews.Token(body);
            if (token.Length == 0) throw Status.BadRequest("spec.token: token is required for TokenReview in authentication");
            known = await authenticator.OfToken(token, audiences, exchange.Aborted);
        }
        var answer = AccessReviews.Answer(path.Kind, ns, body, exchange.User, authorizer, known);
        await Answers.Json(exchange.Context, 201, answer);
    }
}
