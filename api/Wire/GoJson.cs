using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Declarative.Api.Wire;

/// <summary>
/// JSON in the form that kubectl writes (Go's encoding/json of maps): keys in order, &lt; &gt; &amp; escaped. The last-applied annotation has to be
/// the same to the byte, or each tool would see the other's as a change.
/// </summary>
public static class GoJson
{
    /// <param name="indent">0 = on one line, else spaces per level.</param>
    public static string Write(JsonNode? node, int indent = 0)
    {
        var text = new StringBuilder(512);
        Write(text, node, indent, 0);
        return text.ToString();
    }

    private static void Write(StringBuilder text, JsonNode? node, int indent, int depth)
    {
        switch (node)
        {
            case null:
                text.Append("null");
                break;
            case JsonObject map:
                Between(text, '{', '}', [.. map.OrderBy(x => x.Key, StringComparer.Ordinal)], indent, depth, x =>
                {
                    String(text, x.Key);
                    text.Append(indent > 0 ? ": " : ":");
                    Write(text, x.Value, indent, depth + 1);
                });
                break;
            case JsonArray list:
                Between(text, '[', ']', [.. list], indent, depth, x => Write(text, x, indent, depth + 1));
                break;
            default:
                if (node.GetValueKind() == JsonValueKind.String) String(text, node.GetValue<string>());
                else if (node.GetValueKind() == JsonValueKind.Number) text.Append(Number(node.ToJsonString()));
                else text.Append(node.ToJsonString());
                break;
        }
    }

    private static void Between<T>(StringBuilder text, char open, char close, IReadOnlyList<T> items, int indent, int depth, Action<T> write)
    {
        text.Append(open);
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0) text.Append(',');
            if (indent > 0) text.Append('\n').Append(' ', indent * (depth + 1));
            write(items[i]);
        }
        if (indent > 0 && items.Count > 0) text.Append('\n').Append(' ', indent * depth);
        text.Append(close);
    }

    private static void String(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (var c in value)
        {
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                < ' ' or '<' or '>' or '&' or '\u2028' or '\u2029' => text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                _ => text.Append(c),
            };
        }
        text.Append('"');
    }

    /// <summary>Whole numbers as they are; others with the fewest digits that mean the same double, with an exponent below 1e-6 and from 1e21 on.</summary>
    internal static string Number(string json)
    {
        if (long.TryParse(json, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)) return whole.ToString(CultureInfo.InvariantCulture);
        var value = double.Parse(json, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (value == 0) return "0";
        var (digits, exponent) = Shortest(value);
        var sign = value < 0 ? "-" : "";
        if (exponent is < -6 or >= 21)
        {
            var fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return string.Create(CultureInfo.InvariantCulture, $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? "-" : "+")}{Math.Abs(exponent):00}");
        }
        if (exponent < 0) return sign + "0." + new string('0', -exponent - 1) + digits;
        return digits.Length <= exponent + 1 ? sign + digits.PadRight(exponent + 1, '0') : sign + digits[..(exponent + 1)] + "." + digits[(exponent + 1)..];
    }

    private static (string Digits, int Exponent) Shortest(double value)
    {
        var text = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        var e = text.IndexOf('E', StringComparison.Ordinal);
        var exponent = e < 0 ? 0 : int.Parse(text.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var mantissa = e < 0 ? text : text[..e];
        var dot = mantissa.IndexOf('.', StringComparison.Ordinal);
        var all = mantissa.Replace(".", "", StringComparison.Ordinal);
        var leading = all.Length - all.TrimStart('0').Length;
        return (all.Trim('0'), exponent + (dot < 0 ? mantissa.Length : dot) - 1 - leading);
    }
}
