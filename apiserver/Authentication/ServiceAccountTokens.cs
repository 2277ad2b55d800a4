using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Authentication;

/// <summary>
/// Tokens of ServiceAccounts (Kubernetes doc "Managing Service Accounts"): short-lived, for an audience, bound to the account and, where asked,
/// to a pod, secret or node; they end with what they are bound to.
/// </summary>
/// <param name="api">Bound to a user who may read accounts, pods, secrets and nodes.</param>
/// <param name="newId">Of a token; never the same twice.</param>
internal sealed class ServiceAccountTokens(Jwt keys, string issuer, IApi api, TimeProvider time, Func<Guid> newId)
{
    private const string UserPrefix = "system:serviceaccount:";
    private const string Private = "kubernetes.io";
    private const long SecondsDefault = 3600;
    private const long SecondsMin = 600;
    private const long SecondsMax = 1L << 32;

    public string Issuer => issuer;

    public JsonObject PublicKeys() => new() { ["keys"] = new JsonArray([.. keys.PublicKeys()]) };

    /// <summary>Answers a TokenRequest for an account: the request with its status.</summary>
    /// <exception cref="ApiException">404 where account or bound object is absent, 409 where the bound object has another uid, 422 for a duration or reference that is none.</exception>
    public async Task<JsonObject> Issue(ResourceKey account, JsonObject request, CancellationToken stop)
    {
        var spec = request.Object("spec") ?? [];
        var owner = await api.Get(account, stop: stop);
        var seconds = spec.Number("expirationSeconds") ?? SecondsDefault;
        if (seconds < SecondsMin) throw Refused(account, "spec.expirationSeconds", $"{seconds}", "may not specify a duration less than 10 minutes");
        if (seconds > SecondsMax) throw Refused(account, "spec.expirationSeconds", $"{seconds}", "may not specify a duration larger than 2^32 seconds");
        var audiences = (spec.List("audiences") ?? []).OfType<JsonValue>().Select(x => x.ToString()).Where(x => x.Length > 0).ToList();
        if (audiences.Count == 0) audiences.Add(issuer);

        var about = new JsonObject { ["namespace"] = account.Namespace, ["serviceaccount"] = Reference(account.Name, owner.Uid) };
        if (spec.Object("boundObjectRef") is { } bound)
        {
            var kind = BoundKind(bound.Text("kind")) ?? throw Refused(account, "spec.boundObjectRef", bound.Text("kind"), "cannot bind token for object of this kind: expected Pod, Secret or Node");
            var target = await api.Get(ResourceKey.Of(kind, account.Namespace, bound.Text("name")), stop: stop);
            if (bound.Text("uid") is { Length: > 0 } uid && uid != target.Uid)
            {
                throw Status.Conflict(kind, target.Key.Name, $"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated");
            }
            about[kind.Singular] = Reference(target.Key.Name, target.Uid);
        }
        var now = time.GetUtcNow();
        var token = keys.Sign(new JsonObject
        {
            ["aud"] = new JsonArray([.. audiences.Select(x => (JsonNode)x)]),
            ["exp"] = now.AddSeconds(seconds).ToUnixTimeSeconds(),
            ["iat"] = now.ToUnixTimeSeconds(),
            ["iss"] = issuer,
            ["jti"] = newId().ToString(),
            [Private] = about,
            ["nbf"] = now.ToUnixTimeSeconds(),
            ["sub"] = $"{UserPrefix}{account.Namespace}:{account.Name}",
        });
        spec = (JsonObject)spec.DeepClone();
        spec["audiences"] = new JsonArray([.. audiences.Select(x => (JsonNode)x)]);
        spec["expirationSeconds"] = seconds;
        return new()
        {
            ["kind"] = "TokenRequest",
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["metadata"] = new JsonObject { ["name"] = account.Name, ["namespace"] = account.Namespace, ["creationTimestamp"] = Metadata.Time(now) },
            ["spec"] = spec,
            ["status"] = new JsonObject { ["token"] = token, ["expirationTimestamp"] = Metadata.Time(now.AddSeconds(seconds)) },
        };
    }

    /// <summary>Whom a token stands for and for which audiences of <paramref name="asked"/> it is meant; null for a token that is none, has ended, or whose account or bound object is gone.</summary>
    public async ValueTask<(User User, IReadOnlyList<string> Audiences)?> Authenticate(string token, IReadOnlyList<string> asked, CancellationToken stop)
    {
        if (keys.Verify(token) is not { } claims || claims.Text("iss") != issuer) return null;
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        if (claims.Number("exp") is not { } end || now >= end || claims.Number("nbf") > now) return null;
        var meant = (claims.List("aud") ?? []).OfType<JsonValue>().Select(x => x.ToString()).Intersect(asked.Count > 0 ? asked : [issuer]).ToList();
        if (meant.Count == 0 || claims.Object(Private) is not { } about) return null;
        var ns = about.Text("namespace");
        var account = about.Object("serviceaccount") ?? [];
        if (!await Lives(Kind.ServiceAccount, ns, account, stop)) return null;
        foreach (var kind in (Kind[])[Kind.Pod, Kind.Secret, Kind.Node])
        {
            if (about.Object(kind.Singular) is { } bound && !await Lives(kind, ns, bound, stop)) return null;
        }
        var user = new User($"{UserPrefix}{ns}:{account.Text("name")}", "system:serviceaccounts", "system:serviceaccounts:" + ns, User.Authenticated) { Uid = account.Text("uid"), Extra = [.. Extra(claims.Text("jti"), about)] };
        return (user, meant);
    }

    /// <summary>The token's own id, and the pod or node that it ends with (apiserver, authentication/serviceaccount).</summary>
    /// <param name="id">"" in tokens of earlier releases.</param>
    private static IEnumerable<(string, IReadOnlyList<string>)> Extra(string id, JsonObject about)
    {
        if (id.Length > 0) yield return (UserJson.CredentialKey, ["JTI=" + id]);
        foreach (var kind in (string[])["node", "pod"])
        {
            if (about.Object(kind) is not { } bound) continue;
            foreach (var member in (string[])["name", "uid"]) yield return ($"authentication.kubernetes.io/{kind}-{member}", [bound.Text(member)]);
        }
    }

    private async ValueTask<bool> Lives(Kind kind, string ns, JsonObject reference, CancellationToken stop)
    {
        try
        {
            return (await api.Get(ResourceKey.Of(kind, ns, reference.Text("name")), stop: stop)).Uid == reference.Text("uid");
        }
        catch (ApiException gone) when (gone.IsNotFound)
        {
            return false;
        }
    }

    private static Kind? BoundKind(string name) => name switch { "Pod" => Kind.Pod, "Secret" => Kind.Secret, "Node" => Kind.Node, _ => null };

    private static JsonObject Reference(string name, string uid) => new() { ["name"] = name, ["uid"] = uid };

    private static ApiException Refused(ResourceKey account, string field, string value, string why) =>
        new(new(422, StatusReason.Invalid, $"TokenRequest.authentication.k8s.io \"{account.Name}\" is invalid: {field}: Invalid value: \"{value}\": {why}")
        {
            Group = "authentication.k8s.io",
            Kind = "TokenRequest",
            Name = account.Name,
            Causes = [new("FieldValueInvalid", $"Invalid value: \"{value}\": {why}", field)],
        });
}
