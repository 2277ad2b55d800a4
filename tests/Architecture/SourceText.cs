using System.Text;

namespace Declarative.Tests.Architecture;

/// <summary>C# text with comments and the text of literals blanked; every other character keeps its place.</summary>
internal sealed class SourceText
{
    private readonly string _text;
    private readonly StringBuilder _code;
    private int _at;

    private SourceText(string text)
    {
        _text = text;
        _code = new(text.Length);
    }

    public static string CodeOf(string text)
    {
        var source = new SourceText(text);
        source.Code(hole: false);
        return source._code.ToString();
    }

    /// <summary>Line of a position, from 1.</summary>
    public static int LineOf(string text, int position) => 1 + text.AsSpan(0, position).Count('\n');

    private char Current => _at < _text.Length ? _text[_at] : '\0';

    private bool Here(string words) => string.CompareOrdinal(_text, _at, words, 0, words.Length) == 0;

    /// <summary>In a hole of an interpolated string it ends before the brace that closes the hole.</summary>
    private void Code(bool hole)
    {
        var depth = 0;
        while (_at < _text.Length)
        {
            if (Here("//")) BlankUntil("\n", take: 0);
            else if (Here("/*")) BlankUntil("*/", take: 2);
            else if (Current == '\'') Quoted();
            else if (Literal() is { } literal) Text(literal);
            else if (hole && depth == 0 && Current == '}') return;
            else
            {
                depth += Current switch { '{' => 1, '}' => -1, _ => 0 };
                _code.Append(_text[_at++]);
            }
        }
    }

    private (int Prefix, int Quotes, int Dollars, bool Verbatim)? Literal()
    {
        var quote = _at;
        while (quote < _text.Length && _text[quote] is '$' or '@') quote++;
        if (quote == _text.Length || _text[quote] != '"') return null;
        var prefix = _text.AsSpan(_at, quote - _at);
        var quotes = _text.AsSpan(quote).IndexOfAnyExcept('"');
        if (quotes < 0) quotes = _text.Length - quote;
        return (prefix.Length, quotes, prefix.Count('$'), prefix.Contains('@'));
    }

    private void Text((int Prefix, int Quotes, int Dollars, bool Verbatim) literal)
    {
        var (prefix, quotes, dollars, verbatim) = literal;
        var raw = quotes >= 3 && !verbatim;
        Blank(prefix);
        if (!raw && !verbatim && quotes == 2)
        {
            Blank(2);
            return;
        }
        Blank(raw ? quotes : 1);
        while (_at < _text.Length)
        {
            if (raw && Run('"') is var run && run >= quotes)
            {
                Blank(run);
                return;
            }
            if (!raw && verbatim && Here("\"\"")) Blank(2);
            else if (!raw && !verbatim && Current == '\\') Blank(2);
            else if (!raw && Current == '"')
            {
                Blank(1);
                return;
            }
            else if (dollars > 0 && Current == '{') Brace(raw, dollars);
            else Blank(1);
        }
    }

    private void Brace(bool raw, int dollars)
    {
        var run = Run('{');
        if (raw ? run < dollars : run % 2 == 0)
        {
            Blank(run);
            return;
        }
        Blank(run);
        Code(hole: true);
        Blank(raw ? dollars : 1);
    }

    private void Quoted()
    {
        Blank(1);
        while (_at < _text.Length && Current != '\'') Blank(Current == '\\' ? 2 : 1);
        Blank(1);
    }

    private int Run(char of)
    {
        var end = _at;
        while (end < _text.Length && _text[end] == of) end++;
        return end - _at;
    }

    private void BlankUntil(string end, int take)
    {
        var found = _text.IndexOf(end, _at, StringComparison.Ordinal);
        Blank((found < 0 ? _text.Length : found + take) - _at);
    }

    private void Blank(int count)
    {
        for (var end = Math.Min(_at + count, _text.Length); _at < end; _at++) _code.Append(_text[_at] == '\n' ? '\n' : ' ');
    }
}
