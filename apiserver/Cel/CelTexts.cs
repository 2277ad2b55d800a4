using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>Functions of strings: the standard ones, the strings extension, and Kubernetes' find and findAll. Positions count characters of Unicode.</summary>
internal static class CelTexts
{
    private const int PatternCharsMax = 1_000;
    private const int PatternsKept = 256;
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(1);
    private static readonly ConcurrentDictionary<string, Regex> Patterns = new(StringComparer.Ordinal);

    public static IEnumerable<CelOverload> All()
    {
        var (text, whole, flag, texts) = (CelType.String, CelType.Int, CelType.Bool, CelType.ListOf(CelType.String));
        yield return Of("size", [text], whole, Size);
        yield return Member("size", [text], whole, Size);
        yield return Member("contains", [text, text], flag, (a, m) => Search(a, m, (x, y) => x.Contains(y, StringComparison.Ordinal)));
        yield return Member("startsWith", [text, text], flag, (a, m) => Prefix(a, m, x => x.Item1.StartsWith(x.Item2, StringComparison.Ordinal)));
        yield return Member("endsWith", [text, text], flag, (a, m) => Prefix(a, m, x => x.Item1.EndsWith(x.Item2, StringComparison.Ordinal)));
        yield return Member("matches", [text, text], flag, Matches);
        yield return Of("matches", [text, text], flag, Matches);
        yield return Member("find", [text, text], text, (a, m) => Pattern(a, m).Match(Text(a[0])).Value);
        yield return Member("findAll", [text, text], texts, (a, m) => FindAll(a, m, -1));
        yield return Member("findAll", [text, text, whole], texts, (a, m) => FindAll(a, m, (long)a[2]!));
        yield return Member("charAt", [text, whole], text, (a, m) => Slice(a, m, (long)a[1]!, (long)a[1]! == CelValues.Length(Text(a[0])) ? (long)a[1]! : (long)a[1]! + 1));
        yield return Member("substring", [text, whole], text, (a, m) => Slice(a, m, (long)a[1]!, CelValues.Length(Text(a[0]))));
        yield return Member("substring", [text, whole, whole], text, (a, m) => Slice(a, m, (long)a[1]!, (long)a[2]!));
        yield return Member("indexOf", [text, text], whole, (a, m) => IndexOf(a, m, 0, last: false));
        yield return Member("indexOf", [text, text, whole], whole, (a, m) => IndexOf(a, m, (long)a[2]!, last: false));
        yield return Member("lastIndexOf", [text, text], whole, (a, m) => IndexOf(a, m, long.MaxValue, last: true));
        yield return Member("lastIndexOf", [text, text, whole], whole, (a, m) => IndexOf(a, m, (long)a[2]!, last: true));
        yield return Member("lowerAscii", [text], text, (a, m) => Made(a, m, x => string.Concat(x.Select(c => char.IsAsciiLetterUpper(c) ? (char)(c | 0x20) : c))));
        yield return Member("upperAscii", [text], text, (a, m) => Made(a, m, x => string.Concat(x.Select(c => char.IsAsciiLetterLower(c) ? (char)(c & ~0x20) : c))));
        yield return Member("trim", [text], text, (a, m) => Made(a, m, x => x.Trim()));
        yield return Member("reverse", [text], text, (a, m) => Made(a, m, x => string.Concat(x.EnumerateRunes().Reverse())));
        yield return Member("replace", [text, text, text], text, (a, m) => Replace(a, m, long.MaxValue));
        yield return Member("replace", [text, text, text, whole], text, (a, m) => Replace(a, m, (long)a[3]! < 0 ? long.MaxValue : (long)a[3]!));
        yield return Member("split", [text, text], texts, (a, m) => Split(a, m, -1));
        yield return Member("split", [text, text, whole], texts, (a, m) => Split(a, m, (long)a[2]!));
        yield return Member("join", [texts], text, (a, m) => Join(a, m, ""));
        yield return Member("join", [texts, text], text, (a, m) => Join(a, m, Text(a[1])));
        yield return Member("format", [text, CelType.ListOf(CelType.Dyn)], text, Format);
    }

    /// <summary>Throws for a pattern that needs more than a linear search.</summary>
    public static Regex PatternOf(string pattern)
    {
        if (pattern.Length > PatternCharsMax) throw new CelException($"the regular expression has more than {PatternCharsMax} characters");
        if (Patterns.TryGetValue(pattern, out var known)) return known;
        try
        {
            var made = new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, MatchTimeout);
            if (Patterns.Count < PatternsKept) Patterns.TryAdd(pattern, made);
            return made;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new CelException($"invalid regular expression: {e.Message}");
        }
    }

    private static string Text(object? value) => (string)value!;

    private static object Size(object?[] a, CelMeter meter)
    {
        meter.Read(Text(a[0]).Length);
        return (long)CelValues.Length(Text(a[0]));
    }

    private static object Prefix(object?[] a, CelMeter meter, Func<(string, string), bool> test)
    {
        meter.Read(Text(a[1]).Length);
        return test((Text(a[0]), Text(a[1])));
    }

    private static object Search(object?[] a, CelMeter meter, Func<string, string, bool> test)
    {
        meter.Read(Text(a[0]).Length, Text(a[1]).Length);
        return test(Text(a[0]), Text(a[1]));
    }

    private static object Matches(object?[] a, CelMeter meter) => Pattern(a, meter).IsMatch(Text(a[0]));

    private static Regex Pattern(object?[] a, CelMeter meter)
    {
        meter.Read(Text(a[0]).Length, Text(a[1]).Length * 10L / 4);
        return PatternOf(Text(a[1]));
    }

    private static object FindAll(object?[] a, CelMeter meter, long max)
    {
        var found = Pattern(a, meter).Matches(Text(a[0])).Take(max < 0 ? int.MaxValue : (int)Math.Min(max, int.MaxValue)).Select(x => (object?)x.Value).ToArray();
        meter.Make(Text(a[0]).Length + found.Length);
        return found;
    }

    private static object Slice(object?[] a, CelMeter meter, long from, long to)
    {
        var text = Text(a[0]);
        meter.Make(text.Length);
        var length = CelValues.Length(text);
        if (from < 0 || to > length || from > to) throw new CelException($"index out of range: [{from}, {to}) of {length} characters");
        return text[Offset(text, from)..Offset(text, to)];
    }

    private static object IndexOf(object?[] a, CelMeter meter, long offset, bool last)
    {
        var (text, part) = (Text(a[0]), Text(a[1]));
        meter.Read(text.Length, part.Length);
        var length = CelValues.Length(text);
        if (offset == long.MaxValue) offset = length;
        if (offset < 0 || offset > length) throw new CelException($"index out of range: {offset}");
        if (part.Length == 0) return offset;
        var at = Offset(text, offset);
        var found = last
            ? text[..Math.Min(text.Length, at + part.Length)].LastIndexOf(part, StringComparison.Ordinal)
            : text.IndexOf(part, at, StringComparison.Ordinal);
        return found < 0 ? -1L : CelValues.Length(text[..found]);
    }

    private static int Offset(string text, long runes)
    {
        var at = 0;
        for (; runes > 0; runes--) at += char.IsHighSurrogate(text[at]) && at + 1 < text.Length ? 2 : 1;
        return at;
    }

    private static object Made(object?[] a, CelMeter meter, Func<string, string> make)
    {
        meter.Make(Text(a[0]).Length);
        return make(Text(a[0]));
    }

    private static object Replace(object?[] a, CelMeter meter, long max)
    {
        var (text, from, to) = (Text(a[0]), Text(a[1]), Text(a[2]));
        meter.Read(text.Length, from.Length);
        var result = new StringBuilder();
        var at = 0;
        for (; max > 0; max--)
        {
            var found = from.Length == 0 ? at : text.IndexOf(from, at, StringComparison.Ordinal);
            if (found < 0 || found > text.Length) break;
            meter.Make(to.Length + (long)result.Length / 100);
            result.Append(text, at, found - at).Append(to);
            at = found + from.Length;
            if (from.Length > 0) continue;
            if (at == text.Length) break;
            result.Append(text[at++]);
            if (result.Length > CelLimits.ValueSizeMax) break;
        }
        if (at <= text.Length) result.Append(text, at, text.Length - at);
        meter.Make(result.Length);
        return result.ToString();
    }

    private static object Split(object?[] a, CelMeter meter, long max)
    {
        var (text, by) = (Text(a[0]), Text(a[1]));
        meter.Make(text.Length + 1L);
        if (max == 0) return Array.Empty<object?>();
        var count = max < 0 ? int.MaxValue : (int)Math.Min(max, int.MaxValue);
        if (by.Length > 0) return text.Split(by, count).Cast<object?>().ToArray();
        var letters = text.EnumerateRunes().Select(x => x.ToString()).ToList();
        if (letters.Count > count) letters = [.. letters.Take(count - 1), string.Concat(letters.Skip(count - 1))];
        return letters.Cast<object?>().ToArray();
    }

    private static object Join(object?[] a, CelMeter meter, string by)
    {
        var list = (IReadOnlyList<object?>)a[0]!;
        meter.Make(list.Sum(x => (long)(x as string ?? throw new CelException("join() wants a list of strings")).Length + by.Length));
        return string.Join(by, list);
    }

    // %s %d %f %e %b %o %x %X %% with a precision for %f and %e (the strings extension).
    private static object Format(object?[] a, CelMeter meter)
    {
        var (text, arguments) = (Text(a[0]), (IReadOnlyList<object?>)a[1]!);
        var result = new StringBuilder();
        var next = 0;
        for (var at = 0; at < text.Length; at++)
        {
            if (text[at] != '%')
            {
                result.Append(text[at]);
                continue;
            }
            at++;
            var digits = at;
            if (at < text.Length && text[at] == '.') at++;
            while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
            if (at >= text.Length) throw new CelException("format: unfinished clause at the end");
            if (text[at] == '%' && at == digits)
            {
                result.Append('%');
                continue;
            }
            var precision = at - digits > 1 && int.TryParse(text.AsSpan(digits + 1, at - digits - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var given) && given <= 40 ? given : 6;
            if (next >= arguments.Count) throw new CelException($"format: index {next} out of range");
            result.Append(Clause(text[at], precision, arguments[next++], meter));
            meter.Make(result.Length / 100);
        }
        meter.Make(result.Length);
        return result.ToString();
    }

    private static string Clause(char clause, int precision, object? value, CelMeter meter) => (clause, value) switch
    {
        ('s', IReadOnlyList<object?> list) => Listed("[", list.Select(x => Clause('s', precision, x, meter)), "]", meter),
        ('s', CelMap map) => Listed("{", map.Select(x => $"{CelValues.Text(x.Key)}: {Clause('s', precision, x.Value, meter)}"), "}", meter),
        ('s', CelObject json) => Made([json.Json.ToJsonString()], meter, x => x).ToString()!,
        ('s', _) => CelValues.Text(value),
        ('d', long or ulong or double) => CelValues.Text(value),
        ('f', double or long or ulong) => Convert.ToDouble(value, CultureInfo.InvariantCulture).ToString("F" + precision, CultureInfo.InvariantCulture),
        ('e', double or long or ulong) => Convert.ToDouble(value, CultureInfo.InvariantCulture).ToString("0." + new string('0', precision) + "e+00", CultureInfo.InvariantCulture),
        ('b', long whole) => (whole < 0 ? "-" : "") + Convert.ToString(Math.Abs(whole), 2),
        ('b', bool flag) => flag ? "1" : "0",
        ('o', long whole and >= 0) => Convert.ToString(whole, 8),
        ('x', long whole and >= 0) => whole.ToString("x", CultureInfo.InvariantCulture),
        ('X', long whole and >= 0) => whole.ToString("X", CultureInfo.InvariantCulture),
        ('x', string text) => Convert.ToHexStringLower(Encoding.UTF8.GetBytes(text)),
        ('X', string text) => Convert.ToHexString(Encoding.UTF8.GetBytes(text)),
        _ => throw new CelException($"format: a {CelValues.TypeOf(value)} can not be written as %{clause}"),
    };

    private static string Listed(string open, IEnumerable<string> parts, string close, CelMeter meter)
    {
        var text = open + string.Join(", ", parts) + close;
        meter.Make(text.Length);
        return text;
    }
}
