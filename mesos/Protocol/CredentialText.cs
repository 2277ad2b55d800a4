using System.Text.Json;

namespace Declarative.Mesos.Protocol;

/// <summary>A credential as Mesos writes it: words on one line, <c>PRINCIPAL SECRET</c>, or JSON <c>{"principal": …, "secret": …}</c>.</summary>
/// <remarks>Source: Mesos' document "Authentication". No message holds a secret.</remarks>
internal static class CredentialText
{
    public static bool IsJson(string text) => text.TrimStart().StartsWith('{');

    public static string[] Words(string line) => line.Split((char[])[' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries);

    /// <exception cref="FormatException">It is not JSON.</exception>
    public static JsonDocument Json(string text, string file)
    {
        try
        {
            return JsonDocument.Parse(text);
        }
        catch (JsonException broken)
        {
            throw new FormatException($"{file}: line {broken.LineNumber + 1} is not JSON", broken);
        }
    }

    /// <exception cref="FormatException">It has no principal or no secret.</exception>
    public static (string Principal, string Secret) Of(JsonElement credential, string where)
    {
        return (Member("principal"), Member("secret"));

        string Member(string name) =>
            credential.ValueKind == JsonValueKind.Object && credential.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text
                ? text
                : throw new FormatException($"{where}: expected a text '{name}'");
    }
}
