using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Declarative.Api.Wire;

/// <summary>JSON as YAML in the form that kubectl prints: keys in order, lists not indented, strings quoted only where they would be read as something else.</summary>
public static class YamlText
{
    private static readonly string[] Words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", ".nan", ".inf", "-.inf", "+.inf"];

    public static string Write(JsonNode? node)
    {
        var text = new StringBuilder(1024);
        Block(text, node, 0, isInLine: false);
        return text.ToString();
    }

    /// <param name="isInLine">The first member stands on a line that has begun (after <c>- </c>).</param>
    private static void Block(StringBuilder text, JsonNode? node, int indent, bool isInLine)
    {
        switch (node)
        {
            case JsonObject { Count: > 0 } map:
                foreach (var (key, value) in map.OrderBy(x => x.Key, StringComparer.Ordinal))
                {
                    if (!isInLine) text.Append(' ', indent);
                    isInLine = false;
                    text.Append(IsHardKey(key) ? GoJson.Write(JsonValue.Create(key)) : Text(key, indent)).Append(':');
                    Value(text, value, indent);
                }
                break;
            case JsonArray { Count: > 0 } list:
                foreach (var item in list)
                {
                    if (!isInLine) text.Append(' ', indent);
                    isInLine = false;
                    text.Append('-').Append(' ');
                    Block(text, item, indent + 2, isInLine: true);
                }
                break;
            default:
                text.Append(Scalar(node, indent)).Append('\n');
                break;
        }
    }

    /// <summary>A key that is no plain word for every reader: a merge, several lines, or a star after a space.</summary>
    private static bool IsHardKey(string key) => key == "<<" || key.Contains('\n', StringComparison.Ordinal) || key.Contains(" *", StringComparison.Ordinal);

    private static void Value(StringBuilder text, JsonNode? value, int indent)
    {
        if (value is JsonObject { Count: > 0 } or JsonArray { Count: > 0 })
        {
            text.Append('\n');
            Block(text, value, value is JsonObject ? indent + 2 : indent, isInLine: false);
        }
        else
        {
            text.Append(' ').Append(Scalar(value, indent + 2)).Append('\n');
        }
    }

    private static string Scalar(JsonNode? node, int indent) => node switch
    {
        null => "null",
        JsonObject => "{}",
        JsonArray => "[]",
        _ when node.GetValueKind() == JsonValueKind.String => Text(node.GetValue<string>(), indent),
        _ when node.GetValueKind() == JsonValueKind.Number => GoJson.Number(node.ToJsonString()),
        _ => node.ToJsonString(),
    };

    private static string Text(string value, int indent)
    {
        if (value.Length == 0 || IsOtherwiseRead(value)) return '"' + value + '"';
        if (value.Any(x => x != '\n' && (char.IsControl(x) || x is '\u2028' or '\u2029' or '\uFEFF' || char.IsSurrogate(x)))) return GoJson.Write(JsonValue.Create(value));
        if (value.Contains('\n', StringComparison.Ordinal)) return value[^1] == ' ' ? GoJson.Write(JsonValue.Create(value)) : Literal(value, indent);
        return IsPlain(value) ? value : "'" + value.Replace("'", "''", StringComparison.Ordinal) + "'";
    }

    /// <summary>A block scalar; its head says how far it is indented where its first line does not, and how many line ends stand at its end (YAML 1.2, section 8.1.1).</summary>
    private static string Literal(string value, int indent)
    {
        var body = value.TrimEnd('\n');
        var ends = value.Length - body.Length;
        if (body.Length == 0) return "|2+" + value;
        var margin = new string(' ', Math.Max(indent, 2));
        var text = new StringBuilder(value[0] is ' ' or '\n' ? "|2" : "|").Append(ends switch { 0 => "-", 1 => "", _ => "+" });
        foreach (var line in body.Split('\n')) text.Append('\n').Append(line.Length == 0 ? "" : margin).Append(line);
        return text.Append('\n', Math.Max(ends - 1, 0)).ToString();
    }

    /// <summary>Words that YAML 1.1 or 1.2 reads as a boolean, null, number or time.</summary>
    private static bool IsOtherwiseRead(string value)
    {
        if (Words.Contains(value, StringComparer.OrdinalIgnoreCase)) return true;
        if ((!char.IsAsciiDigit(value[0]) && value[0] is not ('-' or '+' or '.')) || value.Any(char.IsWhiteSpace)) return false;
        var digits = value.Replace("_", "", StringComparison.Ordinal);
        return double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out _)
            || digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase) || digits.StartsWith("0o", StringComparison.OrdinalIgnoreCase) || digits.StartsWith("0b", StringComparison.OrdinalIgnoreCase)
            || (value.Length >= 8 && char.IsAsciiDigit(value[0]) && value.AsSpan(0, 5).Contains('-') && DateTimeOffset.TryParse(value, CultureInfo.InvariantCulture, out _))
            || (value.Contains(':', StringComparison.Ordinal) && value.All(x => char.IsAsciiDigit(x) || x is ':' or '.'));
    }

    private static bool IsPlain(string value)
    {
        if (value[0] is ' ' or '!' or '&' or '*' or '[' or ']' or '{' or '}' or ',' or '#' or '|' or '>' or '@' or '`' or '"' or '\'' or '%') return false;
        if (value[0] is '-' or '?' or ':' && (value.Length == 1 || value[1] == ' ')) return false;
        // Good YAML, but not every reader takes it.
        if (value[0] == ':' && !char.IsAsciiLetterOrDigit(value[1])) return false;
        if (value is "---" or "..." || value.StartsWith("--- ", StringComparison.Ordinal) || value.StartsWith("... ", StringComparison.Ordinal)) return false;
        return value[^1] is not (' ' or ':') && !value.Contains(": ", StringComparison.Ordinal) && !value.Contains(" #", StringComparison.Ordinal);
    }
}
