using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Authentication.Oidc;

/// <summary>
/// ID tokens of one issuer as bearer tokens (OpenID Connect Core 1.0, section 3.1.3.7; which claims make the user is as in Kubernetes). A token is valid by
/// its signature and claims alone: the issuer is asked for keys, never about a token.
/// </summary>
internal sealed class OidcTokens(OidcOptions options, TimeProvider time, Action<string> tell) : IDisposable
{
    private const int TokenCharsMax = 64 * 1024;

    /// <summary>Clocks of issuers may be so much ahead in <c>nbf</c>.</summary>
    private static readonly TimeSpan NotBeforeLeeway = TimeSpan.FromMinutes(5);

    private readonly OidcKeys _keys = new(options, time, tell);
    private readonly string _prefix = options.UsernamePrefix switch
    {
        "-" => "",
        "" => options.UsernameClaim == "email" ? "" : options.IssuerUrl + "#",
        var prefix => prefix,
    };

    /// <summary>null for any text that is not a valid token of this issuer for this client.</summary>
    public async ValueTask<User?> Authenticate(string token, CancellationToken stop)
    {
        if (token.Length > TokenCharsMax || token.Split('.') is not [var head, var body, var sealing]) return null;
        if (Json(head) is not { } header || Json(body) is not { } claims || claims.Text("iss") != options.IssuerUrl) return null;
        var algorithm = header.Text("alg");
        if (!options.SigningAlgorithms.Contains(algorithm) || Bytes(sealing) is not { } signature) return null;
        if (!IsNow(claims) || !IsForThis(claims)) return null;
        if (!await _keys.Verifies(header.Text("kid"), algorithm, Encoding.ASCII.GetBytes(head + "." + body), signature, stop)) return null;
        return UserOf(claims);
    }

    public void Dispose() => _keys.Dispose();

    private User? UserOf(JsonObject claims)
    {
        var name = claims.Text(options.UsernameClaim);
        if (name.Length == 0) return null;
        // An address that its owner has not shown to be theirs is nobody's name; an issuer that does not tell is believed.
        if (options.UsernameClaim == "email" && claims.ContainsKey("email_verified") && !claims.Flag("email_verified")) return null;
        foreach (var (claim, value) in options.RequiredClaims)
        {
            if (!claims.ContainsKey(claim) || claims.Text(claim) != value) return null;
        }
        var groups = new List<string>();
        if (options.GroupsClaim.Length > 0 && claims[options.GroupsClaim] is { } named)
        {
            if (named is JsonArray list && list.All(x => x is JsonValue value && value.TryGetValue<string>(out _))) groups.AddRange(list.Select(x => options.GroupsPrefix + x!.GetValue<string>()));
            else if (named is JsonValue one && one.TryGetValue<string>(out var group)) groups.Add(options.GroupsPrefix + group);
            else return null;
        }
        return new(_prefix + name, [.. groups, User.Authenticated]);
    }

    private bool IsNow(JsonObject claims)
    {
        var now = time.GetUtcNow();
        return Seconds(claims, "exp") is { } end && now.ToUnixTimeSeconds() < end && !(Seconds(claims, "nbf") > (now + NotBeforeLeeway).ToUnixTimeSeconds());
    }

    // A NumericDate may have a fraction (RFC 7519 section 2).
    private static double? Seconds(JsonObject claims, string name) => claims[name] is JsonValue value && value.TryGetValue<double>(out var seconds) ? seconds : null;

    private bool IsForThis(JsonObject claims) => claims["aud"] switch
    {
        JsonArray list => list.Any(x => x is JsonValue value && value.TryGetValue<string>(out var text) && text == options.ClientId),
        JsonValue value => value.TryGetValue<string>(out var text) && text == options.ClientId,
        _ => false,
    };

    private static JsonObject? Json(string part)
    {
        try
        {
            return Bytes(part) is { } bytes ? JsonNode.Parse(bytes, documentOptions: new() { AllowDuplicateProperties = false }) as JsonObject : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static byte[]? Bytes(string part)
    {
        try
        {
            return Base64Url.DecodeFromChars(part);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
