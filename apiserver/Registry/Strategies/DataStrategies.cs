using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>ConfigMaps: keys are file names, and what is marked immutable stays (Kubernetes: ValidateConfigMap, ValidateConfigMapUpdate).</summary>
internal sealed class ConfigMapStrategy : Strategy
{
    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        DataRules.Keys(json, "data", causes);
        DataRules.Keys(json, "binaryData", causes);
        DataRules.Size(json, old, causes, plain: "data", encoded: "binaryData");
        foreach (var (name, _) in json.Object("data") ?? [])
        {
            if (json.Object("binaryData")?.ContainsKey(name) == true) causes.Add(Metadata.Invalid($"data[{name}]", name, "duplicate of key present in binaryData"));
        }
        DataRules.Immutable(json, old, causes, "data", "binaryData");
    }
}

/// <summary>Secrets (Kubernetes: ValidateSecret, ValidateSecretUpdate): some types have keys that must be there.</summary>
internal sealed class SecretStrategy : Strategy
{
    private const string AccountName = "kubernetes.io/service-account.name";
    private static readonly (string Type, string[] Keys)[] Needed =
    [
        ("kubernetes.io/dockercfg", [".dockercfg"]),
        ("kubernetes.io/dockerconfigjson", [".dockerconfigjson"]),
        ("kubernetes.io/ssh-auth", ["ssh-privatekey"]),
        ("kubernetes.io/tls", ["tls.crt", "tls.key"]),
    ];

    public override IReadOnlyList<string> SelectableFields => ["type"];

    public override void Default(JsonObject json)
    {
        json.Default("type", "Opaque");
        if (json.Object("stringData") is not { } plain) return;
        var data = json.Need("data");
        foreach (var (name, value) in plain) data[name] = Convert.ToBase64String(Encoding.UTF8.GetBytes(value?.GetValue<string>() ?? ""));
        json.Remove("stringData");
    }

    // No message quotes a value: they are secrets.
    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        DataRules.Keys(json, "data", causes);
        DataRules.Size(json, old, causes, plain: "", encoded: "data");
        foreach (var key in (ReadOnlySpan<string>)[".dockercfg", ".dockerconfigjson"])
        {
            if (json.Text("type") == $"kubernetes.io/{key[1..]}" && json.Object("data")?.Text(key) is { Length: > 0 } text && !DataRules.IsJson(text))
            {
                causes.Add(Metadata.Invalid($"data[{key}]", "<secret contents redacted>", "must be a JSON object, encoded in base64"));
            }
        }
        var type = json.Text("type");
        foreach (var key in Needed.Where(x => x.Type == type).SelectMany(x => x.Keys))
        {
            if (json.Object("data")?[key] is null) causes.Add(Metadata.Required($"data[{key}]"));
        }
        if (type == "kubernetes.io/basic-auth" && json.Object("data")?["username"] is null && json.Object("data")?["password"] is null)
        {
            causes.Add(Metadata.Required("data[username]"));
            causes.Add(Metadata.Required("data[password]"));
        }
        if (type == "kubernetes.io/service-account-token" && (Metadata.Of(json).Object("annotations")?.Text(AccountName) ?? "").Length == 0)
        {
            causes.Add(Metadata.Required($"metadata.annotations[{AccountName}]"));
        }
        if (old is null) return;
        Rules.Immutable(json, old, "", causes, "type");
        DataRules.Immutable(json, old, causes, "data");
    }
}

internal static class DataRules
{
    private const int BytesMax = 1024 * 1024;

    public static void Keys(JsonObject json, string field, List<StatusCause> causes)
    {
        foreach (var (name, _) in json.Object(field) ?? [])
        {
            if (Rules.DataKeyError(name) is { } error) causes.Add(Metadata.Invalid($"{field}[{name}]", name, error));
        }
    }

    /// <summary>All values together, decoded (Kubernetes: MaxSecretSize).</summary>
    public static void Size(JsonObject json, JsonObject? old, List<StatusCause> causes, string plain, string encoded)
    {
        if (old is not null && JsonNode.DeepEquals(json[plain], old[plain]) && JsonNode.DeepEquals(json[encoded], old[encoded])) return;
        var bytes = (json.Object(plain) ?? []).Sum(x => (long)Encoding.UTF8.GetByteCount(Rules.Text(x.Value)))
            + (json.Object(encoded) ?? []).Sum(x => Base64Bytes(Rules.Text(x.Value)));
        if (bytes > BytesMax) causes.Add(new("FieldValueTooLong", $"Too long: may not be more than {BytesMax} bytes, found {bytes}", "data"));
    }

    public static bool IsJson(string base64)
    {
        var bytes = new byte[base64.Length];
        if (!Convert.TryFromBase64String(base64, bytes, out var length)) return false;
        try
        {
            return JsonNode.Parse(bytes.AsSpan(0, length)) is JsonObject;
        }
        catch (System.Text.Json.JsonException)
        {
            return false;
        }
    }

    private static long Base64Bytes(string text) => text.Length / 4 * 3 - (text.EndsWith("==", StringComparison.Ordinal) ? 2 : text.EndsWith('=') ? 1 : 0);

    public static void Immutable(JsonObject json, JsonObject? old, List<StatusCause> causes, params ReadOnlySpan<string> fields)
    {
        if (old is null || !old.Flag("immutable")) return;
        if (!json.Flag("immutable")) causes.Add(Rules.Forbidden("immutable", "field is immutable when `immutable` is set"));
        foreach (var field in fields)
        {
            if (!JsonNode.DeepEquals(json[field], old[field])) causes.Add(Rules.Forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}
