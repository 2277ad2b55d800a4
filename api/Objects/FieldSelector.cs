using System.Text;

namespace Declarative.Api.Objects;

/// <summary>
/// Conditions over an object's fields: <c>metadata.name=web,status.phase!=Failed</c>. Which fields exist is the kind's matter.
/// <c>selector = [ term *( "," term ) ]; term = field ( "!=" / "==" / "=" ) value</c>; in a value <c>\</c>, <c>,</c> and <c>=</c> stand behind a
/// backslash (apimachinery, pkg/fields).
/// </summary>
public sealed class FieldSelector
{
    private FieldSelector(IReadOnlyList<FieldRequirement> requirements) => Requirements = requirements;

    public static FieldSelector Everything { get; } = new([]);

    public IReadOnlyList<FieldRequirement> Requirements { get; }
    public bool IsEverything => Requirements.Count == 0;

    public static FieldSelector Of(string field, string value) => new([new(field, value, Equal: true)]);

    /// <summary>Parses the string form; empty terms are passed over. Throws 400 BadRequest that shows what is wrong.</summary>
    public static FieldSelector Parse(string text)
    {
        if (text.Length == 0) return Everything;
        var requirements = new List<FieldRequirement>();
        foreach (var term in Split(text))
        {
            if (term.Length == 0) continue;
            var at = term.AsSpan().IndexOfAny('!', '=');
            // A lone "!" is part of the field's name.
            while (at >= 0 && term[at] == '!' && (at + 1 == term.Length || term[at + 1] != '='))
            {
                var next = term.AsSpan(at + 1).IndexOfAny('!', '=');
                at = next < 0 ? -1 : at + 1 + next;
            }
            if (at < 0) throw Wrong(text, $"\"{term}\" is not of the form field=value or field!=value");
            var equal = term[at] == '=';
            var length = !equal || (at + 1 < term.Length && term[at + 1] == '=') ? 2 : 1;
            requirements.Add(new(term[..at], Unescape(text, term[(at + length)..]), equal));
        }
        return new(requirements);
    }

    /// <summary>The string form, which <see cref="Parse"/> reads as the same conditions.</summary>
    public override string ToString() => string.Join(',', Requirements.Select(x => x.Field + (x.Equal ? "=" : "!=") + Escape(x.Value)));

    private static ApiException Wrong(string text, string what) => Status.BadRequest($"invalid field selector \"{text}\": {what}");

    private static List<string> Split(string text)
    {
        var parts = new List<string>();
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\') i++;
            else if (text[i] == ',')
            {
                parts.Add(text[start..i]);
                start = i + 1;
            }
        }
        parts.Add(text[start..]);
        return parts;
    }

    private static string Unescape(string text, string value)
    {
        if (value.AsSpan().IndexOfAny('\\', '=') < 0) return value;
        var result = new StringBuilder(value.Length);
        for (var i = 0; i < value.Length; i++)
        {
            if (value[i] == '=') throw Wrong(text, $"in the value \"{value}\" a backslash is expected before \"=\"");
            if (value[i] == '\\' && (++i == value.Length || value[i] is not ('\\' or ',' or '=')))
            {
                throw Wrong(text, $"in the value \"{value}\" a backslash stands before something else than \"\\\", \",\" or \"=\"");
            }
            result.Append(value[i]);
        }
        return result.ToString();
    }

    private static string Escape(string value) =>
        value.AsSpan().IndexOfAny('\\', ',', '=') < 0 ? value
            : value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace(",", "\\,", StringComparison.Ordinal).Replace("=", "\\=", StringComparison.Ordinal);
}

public sealed record FieldRequirement(string Field, string Value, bool Equal);
