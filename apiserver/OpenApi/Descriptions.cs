using System.Text.RegularExpressions;

namespace Declarative.ApiServer.OpenApi;

/// <summary>What types and fields are for: from <c>descriptions.tsv</c>, and where it has nothing, made of the name.</summary>
internal static partial class Descriptions
{
    private static readonly Dictionary<(string Type, string Field), string> Rows = Load();

    /// <summary>An old version says what the stable one says, where both have the field.</summary>
    public static string Of(string type, string field) =>
        Rows.TryGetValue((type, field), out var text) || Rows.TryGetValue((type.Replace(".v1beta1.", ".v1.", StringComparison.Ordinal), field), out text) || (field.Length > 0 && Rows.TryGetValue(("*", field), out text))
            ? text
            : Words(field.Length > 0 ? field : type[(type.LastIndexOf('.') + 1)..]);

    /// <summary><c>terminationGracePeriodSeconds</c> → <c>Termination grace period seconds.</c></summary>
    internal static string Words(string name)
    {
        var words = Word().Matches(name).Select(word => word.Value).Select(word => Acronym().IsMatch(word) ? word : word.ToLowerInvariant()).ToList();
        return words.Count == 0 ? name : $"{char.ToUpperInvariant(words[0][0])}{string.Join(' ', words)[1..]}.";
    }

    [GeneratedRegex("[A-Z]{2,}s?(?=[A-Z][a-z]|[^A-Za-z]|$)|[A-Z]?[^A-Z]+|[A-Z]", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Word();

    [GeneratedRegex("^[A-Z]{2,}s?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Acronym();

    private static Dictionary<(string Type, string Field), string> Load()
    {
        using var stream = typeof(Descriptions).Assembly.GetManifestResourceStream("Declarative.ApiServer.OpenApi.descriptions.tsv")
            ?? throw new InvalidOperationException("descriptions.tsv is not embedded");
        using var reader = new StreamReader(stream);
        var rows = new Dictionary<(string Type, string Field), string>();
        while (reader.ReadLine() is { } line)
        {
            if (!line.StartsWith('#') && line.Split('\t') is [var type, var field, var text])
            {
                rows.Add((type, field), text);
            }
        }

        return rows;
    }
}
