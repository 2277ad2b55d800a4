using System.Buffers;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Authentication;

namespace Declarative.ApiServer.Authorization;

/// <summary>Answers the review kinds of authorization.k8s.io and authentication.k8s.io: the request's object with its status filled in.</summary>
internal static class AccessReviews
{
    /// <summary>Throws 400 where the body is not such an object.</summary>
    public static byte[] Answer(Kind kind, string ns, ReadOnlyMemory<byte> body, User user, Authorizer authorizer, (User User, IReadOnlyList<string> Audiences)? ofToken)
    {
        try
        {
            using var document = JsonDocument.Parse(body.IsEmpty ? "{}"u8.ToArray() : body);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw Status.BadRequest($"expected a {kind.Name} object, found {root.ValueKind}");
            var spec = root.TryGetProperty("spec", out var found) && found.ValueKind == JsonValueKind.Object ? found : default;
            return kind.Name switch
            {
                "SelfSubjectReview" => With(kind, root, json => UserJson.Write(json, "userInfo", user)),
                "SelfSubjectAccessReview" => With(kind, root, json => WriteDecision(json, spec, user, authorizer)),
                "SubjectAccessReview" => With(kind, root, json => WriteDecision(json, spec, Subject(spec), authorizer)),
                "LocalSubjectAccessReview" when Attribute(spec, "namespace") != ns =>
                    throw Status.BadRequest($"spec.resourceAttributes.namespace: must be the namespace of the request, \"{ns}\", found \"{Attribute(spec, "namespace")}\""),
                "LocalSubjectAccessReview" => With(kind, root, json => WriteDecision(json, spec, Subject(spec), authorizer)),
                "SelfSubjectRulesReview" => With(kind, root, json => WriteRules(json, authorizer.Rules(user, Text(spec, "namespace")))),
                "TokenReview" => With(kind, root, json => WriteToken(json, ofToken)),
                _ => throw Status.PageNotFound(),
            };
        }
        catch (JsonException malformed)
        {
            throw Status.BadRequest($"the body is not JSON: {malformed.Message}");
        }
    }

    /// <summary>The token of a TokenReview and for whom it shall be meant; throws 400 where the body is no object.</summary>
    public static (string Token, IReadOnlyList<string> Audiences) Token(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body.IsEmpty ? "{}"u8.ToArray() : body);
            var spec = document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("spec", out var found) ? found : default;
            return (Text(spec, "token"), Strings(spec, "audiences"));
        }
        catch (JsonException malformed)
        {
            throw Status.BadRequest($"the body is not JSON: {malformed.Message}");
        }
    }

    private static void WriteDecision(Utf8JsonWriter json, JsonElement spec, User user, Authorizer authorizer)
    {
        var (ofResource, ofPath) = (Has("resourceAttributes"), Has("nonResourceAttributes"));
        if (ofResource == ofPath)
        {
            var why = ofResource ? "Forbidden: cannot be specified in combination with resourceAttributes" : "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
            throw Status.Invalid("authorization.k8s.io", "SubjectAccessReview", "", [new(ofResource ? "FieldValueForbidden" : "FieldValueInvalid", why, ofResource ? "spec.nonResourceAttributes" : "spec.resourceAttributes")]);
        }
        bool allowed;
        if (spec.ValueKind == JsonValueKind.Object && spec.TryGetProperty("nonResourceAttributes", out var path) && path.ValueKind == JsonValueKind.Object)
        {
            allowed = authorizer.AllowsPath(user, Text(path, "verb"), Text(path, "path"));
        }
        else
        {
            allowed = authorizer.Allows(user, Attribute(spec, "verb"), Attribute(spec, "group"), Attribute(spec, "resource"),
                Attribute(spec, "subresource"), Attribute(spec, "namespace"), Attribute(spec, "name"));
        }
        json.WriteBoolean("allowed"u8, allowed);

        bool Has(string name) => spec.ValueKind == JsonValueKind.Object && spec.TryGetProperty(name, out var given) && given.ValueKind == JsonValueKind.Object;
    }

    private static void WriteRules(Utf8JsonWriter json, IReadOnlyList<Rule> rules)
    {
        json.WriteStartArray("resourceRules"u8);
        foreach (var rule in rules.Where(x => x.Paths.Count == 0)) rule.Write(json);
        json.WriteEndArray();
        json.WriteStartArray("nonResourceRules"u8);
        foreach (var rule in rules.Where(x => x.Paths.Count > 0)) rule.Write(json);
        json.WriteEndArray();
        json.WriteBoolean("incomplete"u8, false);
    }

    private static void WriteToken(Utf8JsonWriter json, (User User, IReadOnlyList<string> Audiences)? known)
    {
        json.WriteBoolean("authenticated"u8, known is not null);
        if (known is { } found)
        {
            UserJson.Write(json, "user", found.User);
            json.WriteStartArray("audiences"u8);
            foreach (var audience in found.Audiences) json.WriteStringValue(audience);
            json.WriteEndArray();
        }
        else json.WriteString("error"u8, "the token is not known to this server"u8);
    }

    private static byte[] With(Kind kind, JsonElement root, Action<Utf8JsonWriter> status)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("kind"u8, kind.Name);
            json.WriteString("apiVersion"u8, kind.ApiVersion);
            json.WriteStartObject("metadata"u8);
            json.WriteNull("creationTimestamp"u8);
            json.WriteEndObject();
            if (root.TryGetProperty("spec", out var spec))
            {
                json.WritePropertyName("spec"u8);
                spec.WriteTo(json);
            }
            json.WriteStartObject("status"u8);
            status(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    private static User Subject(JsonElement spec)
    {
        var name = Text(spec, "user");
        var groups = Strings(spec, "groups");
        if (name.Length == 0 && groups.Length == 0) throw Status.BadRequest("spec.user: at least one of user or groups must be given");
        return new(name, groups);
    }

    private static string[] Strings(JsonElement spec, string name) =>
        spec.ValueKind == JsonValueKind.Object && spec.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray().Where(x => x.ValueKind == JsonValueKind.String).Select(x => x.GetString()!)]
            : [];

    private static string Attribute(JsonElement spec, string name) =>
        spec.ValueKind == JsonValueKind.Object && spec.TryGetProperty("resourceAttributes", out var attributes) ? Text(attributes, name) : "";

    private static string Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
