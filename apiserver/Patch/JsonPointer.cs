namespace Declarative.ApiServer.Patch;

/// <summary>RFC 6901: <c>*( "/" token )</c>, in a token <c>~1</c> stands for "/" and <c>~0</c> for "~".</summary>
internal static class JsonPointer
{
    /// <summary>The tokens, or null when the text is no pointer. The empty pointer is the whole document.</summary>
    public static string[]? Parse(string text)
    {
        if (text.Length == 0)
        {
            return [];
        }

        if (text[0] != '/')
        {
            return null;
        }

        var tokens = text[1..].Split('/');
        for (var i = 0; i < tokens.Length; i++)
        {
            if (!HasOnlyKnownEscapes(tokens[i]))
            {
                return null;
            }

            // In this order, so that "~01" becomes "~1".
            tokens[i] = tokens[i].Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
        }

        return tokens;
    }

    /// <summary>The index of a list element: digits without a leading zero, below <paramref name="count"/>.</summary>
    public static bool TryIndex(string token, int count, out int index)
    {
        index = -1;
        return token.Length is > 0 and < 10 && token.All(char.IsAsciiDigit) && (token.Length == 1 || token[0] != '0')
            && int.TryParse(token, out index) && index < count;
    }

    private static bool HasOnlyKnownEscapes(string token)
    {
        for (var at = token.IndexOf('~'); at >= 0; at = token.IndexOf('~', at + 1))
        {
            if (at + 1 == token.Length || token[at + 1] is not ('0' or '1'))
            {
                return false;
            }
        }

        return true;
    }
}
