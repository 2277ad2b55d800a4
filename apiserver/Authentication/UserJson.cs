using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;

namespace Declarative.ApiServer.Authentication;

/// <summary>A user as authentication.k8s.io/v1 UserInfo: username, uid, groups, extra; what is not known is left out.</summary>
internal static class UserJson
{
    /// <summary>What a certificate or a token of a service account is told apart by (authentication/serviceaccount).</summary>
    public const string CredentialKey = "authentication.kubernetes.io/credential-id";

    public static void Write(Utf8JsonWriter json, string name, User user)
    {
        json.WritePropertyName(name);
        Of(user).WriteTo(json);
    }

    public static JsonObject Of(User user)
    {
        var info = new JsonObject { ["username"] = user.Name };
        if (user.Uid.Length > 0) info["uid"] = user.Uid;
        info["groups"] = Texts(user.Groups);
        if (ExtraOf(user) is { } extra) info["extra"] = extra;
        return info;
    }

    /// <summary>null where there is nothing more.</summary>
    public static JsonObject? ExtraOf(User user) => user.Extra.Count == 0 ? null : new(user.Extra.Select(x => KeyValuePair.Create(x.Key, (JsonNode?)Texts(x.Values))));

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(x => (JsonNode)x)]);
}
