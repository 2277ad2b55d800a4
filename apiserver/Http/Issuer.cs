using System.Text;
using System.Text.Json.Nodes;
using Declarative.ApiServer.Authentication;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>What others need who verify ServiceAccount tokens: the OpenID Connect discovery documents, and TokenRequest itself.</summary>
internal sealed class Issuer(ServiceAccountTokens tokens)
{
    private const string KeysPath = "/openid/v1/jwks";

    /// <summary>False where there is no document at this path.</summary>
    public async Task<bool> Answer(HttpContext context, string path)
    {
        var document = path switch
        {
            "/.well-known/openid-configuration" => new JsonObject
            {
                ["issuer"] = tokens.Issuer,
                ["jwks_uri"] = $"{context.Request.Scheme}://{context.Request.Host}{KeysPath}",
                ["response_types_supported"] = new JsonArray("id_token"),
                ["subject_types_supported"] = new JsonArray("public"),
                ["id_token_signing_alg_values_supported"] = new JsonArray("ES256"),
            },
            KeysPath => tokens.PublicKeys(),
            _ => null,
        };
        if (document is null) return false;
        await Answers.Bytes(context, 200, path == KeysPath ? "application/jwk-set+json" : Answers.JsonType, Encoding.UTF8.GetBytes(document.ToJsonString()));
        return true;
    }

    /// <summary>POST of <c>serviceaccounts/NAME/token</c>; who may is checked before.</summary>
    public async Task Issue(Exchange exchange)
    {
        var request = Registry.Canonical.Parse(await Bodies.ReadObject(exchange.Context));
        var answer = await tokens.Issue(exchange.Key, request, exchange.Aborted);
        await Answers.Json(exchange.Context, 201, Encoding.UTF8.GetBytes(answer.ToJsonString()));
    }
}
