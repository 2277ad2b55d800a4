using System.Text.Json;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Master;

/// <summary>The file of a master's <c>--credentials</c>: who may speak with it.</summary>
/// <remarks>Source: Mesos' document "Authentication"; a line <c>PRINCIPAL SECRET</c> each, or JSON <c>{"credentials": [{"principal": …, "secret": …}]}</c>.</remarks>
public static class Credentials
{
    /// <returns>Secrets by principal.</returns>
    /// <exception cref="FormatException">The file is neither, or names a principal twice or none at all. The text never holds a secret.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IReadOnlyDictionary<string, string> Read(string file)
    {
        var text = File.ReadAllText(file);
        var credentials = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (principal, secret, where) in CredentialText.IsJson(text) ? OfJson(text, file) : OfLines(text, file))
        {
            if (!credentials.TryAdd(principal, secret))
                throw new FormatException($"{where}: principal {principal} stands here a second time");
        }

        return credentials.Count > 0 ? credentials : throw new FormatException($"{file}: names no principal; expected a line PRINCIPAL SECRET each");
    }

    private static IEnumerable<(string Principal, string Secret, string Where)> OfLines(string text, string file)
    {
        foreach (var (index, line) in text.Split('\n').Index())
        {
            if (CredentialText.Words(line) is not { Length: > 0 } words)
                continue;
            var where = $"{file} line {index + 1}";
            yield return words is [var principal, var secret] ? (principal, secret, where) : throw new FormatException($"{where}: expected PRINCIPAL SECRET, found {words.Length} words");
        }
    }

    private static IEnumerable<(string Principal, string Secret, string Where)> OfJson(string text, string file)
    {
        using var document = CredentialText.Json(text, file);
        if (!document.RootElement.TryGetProperty("credentials", out var list) || list.ValueKind != JsonValueKind.Array)
            throw new FormatException($"{file}: expected an array 'credentials'");
        foreach (var (index, one) in list.EnumerateArray().Index())
        {
            var where = $"{file} credentials[{index}]";
            var (principal, secret) = CredentialText.Of(one, where);
            yield return (principal, secret, where);
        }
    }
}
