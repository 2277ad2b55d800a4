using System.Globalization;
using System.Text;

namespace Declarative.ApiServer.Cel;

internal enum TokenKind
{
    End,
    Identifier,
    Symbol,

    /// <summary>A number, string, bytes, true, false or null.</summary>
    Value,
}

/// <param name="Text">Of an identifier or symbol.</param>
internal readonly record struct Token(TokenKind Kind, int At, string Text, object? Value)
{
    public bool Is(string symbol) => Kind == TokenKind.Symbol && Text == symbol;
}

/// <summary>The lexis of CEL (github.com/google/cel-spec, doc/langdef.md, "Syntax").</summary>
internal static class CelLexer
{
    private static readonly string[] Symbols = ["&&", "||", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "!", "-", "+", "*", "/", "%", "<", ">"];

    public static List<Token> Read(string text)
    {
        var tokens = new List<Token>();
        var at = 0;
        while (true)
        {
            Skip(text, ref at);
            if (tokens.Count > CelLimits.NodesMax * 2) throw new CelException($"the expression has more than {CelLimits.NodesMax * 2} words");
            if (at == text.Length)
            {
                tokens.Add(new(TokenKind.End, at, "", null));
                return tokens;
            }
            tokens.Add(Next(text, ref at));
        }
    }

    private static void Skip(string text, ref int at)
    {
        while (at < text.Length)
        {
            if (text[at] is ' ' or '\t' or '\n' or '\r' or '\f') at++;
            else if (text[at] == '/' && at + 1 < text.Length && text[at + 1] == '/') at = text.IndexOf('\n', at) is >= 0 and var end ? end : text.Length;
            else return;
        }
    }

    private static Token Next(string text, ref int at)
    {
        var start = at;
        var c = text[at];
        if (IsQuoted(text, at)) return new(TokenKind.Value, start, "", Quoted(text, ref at));
        if (char.IsAsciiDigit(c) || (c == '.' && at + 1 < text.Length && char.IsAsciiDigit(text[at + 1]))) return new(TokenKind.Value, start, "", Number(text, ref at));
        if (char.IsAsciiLetter(c) || c == '_')
        {
            while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] == '_')) at++;
            return text[start..at] switch
            {
                "true" => new(TokenKind.Value, start, "", true),
                "false" => new(TokenKind.Value, start, "", false),
                "null" => new(TokenKind.Value, start, "", null),
                "in" => new(TokenKind.Symbol, start, "in", null),
                var word => new(TokenKind.Identifier, start, word, null),
            };
        }
        foreach (var symbol in Symbols)
        {
            if (string.CompareOrdinal(text, at, symbol, 0, symbol.Length) != 0) continue;
            at += symbol.Length;
            return new(TokenKind.Symbol, start, symbol, null);
        }
        throw new CelException($"unexpected character '{c}' at {start + 1}");
    }

    private static bool IsQuoted(string text, int at)
    {
        for (var letters = 0; letters < 3 && at < text.Length; letters++, at++)
        {
            if (text[at] is '"' or '\'') return true;
            if (text[at] is not ('r' or 'R' or 'b' or 'B')) return false;
        }
        return false;
    }

    private static object Number(string text, ref int at)
    {
        var start = at;
        if (text[at] == '0' && at + 1 < text.Length && text[at + 1] is 'x' or 'X')
        {
            at += 2;
            while (at < text.Length && char.IsAsciiHexDigit(text[at])) at++;
            if (!ulong.TryParse(text[(start + 2)..at], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex)) throw Bad();
            return Whole(text, ref at, hex, start);
        }
        while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
        var real = false;
        if (at + 1 < text.Length && text[at] == '.' && char.IsAsciiDigit(text[at + 1]))
        {
            real = true;
            at++;
            while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
        }
        if (at < text.Length && text[at] is 'e' or 'E')
        {
            real = true;
            at++;
            if (at < text.Length && text[at] is '+' or '-') at++;
            while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
        }
        if (real) return double.TryParse(text[start..at], NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : throw Bad();
        if (!ulong.TryParse(text[start..at], NumberStyles.None, CultureInfo.InvariantCulture, out var whole)) throw Bad();
        return Whole(text, ref at, whole, start);

        CelException Bad() => new($"invalid number at {start + 1}");
    }

    // The smallest int is written with a minus before it, so 2^63 is let through here and judged by the parser.
    private static object Whole(string text, ref int at, ulong value, int start)
    {
        if (at < text.Length && text[at] is 'u' or 'U')
        {
            at++;
            return value;
        }
        return value <= long.MaxValue ? (long)value
            : value == 1UL << 63 ? new MinimumMagnitude()
            : throw new CelException($"the integer at {start + 1} does not fit in 64 bits");
    }

    private static object Quoted(string text, ref int at)
    {
        var start = at;
        var (raw, bytes) = (false, false);
        for (; text[at] is not ('"' or '\''); at++)
        {
            if (text[at] is 'r' or 'R') raw = true;
            else bytes = true;
        }
        var quote = text[at];
        var fence = at + 2 < text.Length && text[at + 1] == quote && text[at + 2] == quote ? new string(quote, 3) : quote.ToString();
        at += fence.Length;
        var content = new StringBuilder();
        while (true)
        {
            if (at >= text.Length || (fence.Length == 1 && text[at] is '\n' or '\r')) throw new CelException($"the string at {start + 1} has no end");
            if (string.CompareOrdinal(text, at, fence, 0, fence.Length) == 0) break;
            if (text[at] == '\\' && !raw) Escape(text, ref at, content, bytes);
            else content.Append(text[at++]);
        }
        at += fence.Length;
        if (!bytes) return content.ToString();
        // Escapes of bytes were written as characters above U+E000 to be told from text.
        var result = new List<byte>();
        foreach (var rune in content.ToString().EnumerateRunes())
        {
            if (rune.Value is >= ByteMark and < ByteMark + 256) result.Add((byte)(rune.Value - ByteMark));
            else result.AddRange(Encoding.UTF8.GetBytes(rune.ToString()));
        }
        return result.ToArray();
    }

    private const int ByteMark = 0xf0000;

    private static void Escape(string text, ref int at, StringBuilder content, bool bytes)
    {
        var start = at++;
        if (at >= text.Length) throw Bad();
        var c = text[at++];
        var simple = "abfnrtv\\?\"'`".IndexOf(c, StringComparison.Ordinal);
        if (simple >= 0)
        {
            content.Append("\a\b\f\n\r\t\v\\?\"'`"[simple]);
            return;
        }
        var (digits, radix) = c switch { 'x' or 'X' => (2, 16), 'u' when !bytes => (4, 16), 'U' when !bytes => (8, 16), >= '0' and <= '3' => (3, 8), _ => throw Bad() };
        if (radix == 8) at--;
        if (at + digits > text.Length) throw Bad();
        var value = 0L;
        for (var i = 0; i < digits; i++)
        {
            var digit = char.IsAsciiHexDigit(text[at]) ? Convert.ToInt32(text[at].ToString(), 16) : 99;
            if (digit >= radix) throw Bad();
            value = value * radix + digit;
            at++;
        }
        if (bytes) content.Append(new Rune(ByteMark + (int)value).ToString());
        else if (Rune.IsValid((int)Math.Min(value, int.MaxValue))) content.Append(new Rune((int)value).ToString());
        else throw Bad();

        CelException Bad() => new($"invalid escape at {start + 1}");
    }
}

/// <summary>2^63, which is an int only behind a minus.</summary>
internal sealed record MinimumMagnitude;
