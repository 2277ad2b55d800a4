namespace Declarative.Api.Objects;

/// <summary>
/// The syntax of names, labels and annotations (Kubernetes docs "Object Names and IDs", "Labels and Selectors"; RFC 1123 section 2.1, RFC 1035 section 2.3.1).
/// Each check returns null or what is wrong, with what is allowed.
/// </summary>
public static class Names
{
    /// <summary>RFC 1123 label: at most 63 of a-z, 0-9 and '-', begins and ends with a letter or digit.</summary>
    public static string? LabelError(string name)
    {
        if (name.Length > Limits.LabelCharsMax) return $"must be no more than {Limits.LabelCharsMax} characters";
        if (!IsLabel(name)) return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc')";
        return null;
    }

    /// <summary>RFC 1123 subdomain: labels joined by dots, at most 253 characters.</summary>
    public static string? SubdomainError(string name)
    {
        if (name.Length > Limits.SubdomainCharsMax) return $"must be no more than {Limits.SubdomainCharsMax} characters";
        foreach (var range in name.AsSpan().Split('.'))
        {
            if (!IsLabel(name.AsSpan()[range]))
            {
                return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com')";
            }
        }
        return null;
    }

    /// <summary>RFC 1035 label (Service names): as an RFC 1123 label, but begins with a letter.</summary>
    public static string? DnsLabel1035Error(string name)
    {
        if (name.Length > Limits.LabelCharsMax) return $"must be no more than {Limits.LabelCharsMax} characters";
        if (!IsLabel(name) || !char.IsAsciiLetterLower(name[0]))
        {
            return "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123')";
        }
        return null;
    }

    /// <summary>A name that is one segment of a URL path: RBAC kinds allow ':' and capitals.</summary>
    public static string? PathSegmentError(string name) =>
        name is "." or ".." ? $"may not be '{name}'" : name.AsSpan().IndexOfAny('/', '%') >= 0 ? "may not contain '/' or '%'" : null;

    /// <summary>Key of a label or annotation: an optional subdomain and '/', then up to 63 of letters, digits, '-', '_' and '.'.</summary>
    public static string? QualifiedNameError(string key)
    {
        var name = key.AsSpan();
        var slash = key.IndexOf('/', StringComparison.Ordinal);
        if (slash >= 0)
        {
            if (slash == 0) return "prefix part must be non-empty";
            if (key.IndexOf('/', slash + 1) >= 0) return "a qualified name must consist of a name and an optional prefix with one '/'";
            if (SubdomainError(key[..slash]) is { } error) return "prefix part " + error;
            name = name[(slash + 1)..];
        }
        if (name.IsEmpty) return "name part must be non-empty";
        if (name.Length > Limits.LabelCharsMax) return $"name part must be no more than {Limits.LabelCharsMax} characters";
        return IsWord(name) ? null : "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc')";
    }

    /// <summary>Value of a label: empty, or up to 63 of letters, digits, '-', '_' and '.', begins and ends with a letter or digit.</summary>
    public static string? LabelValueError(string value)
    {
        if (value.Length == 0) return null;
        if (value.Length > Limits.LabelCharsMax) return $"must be no more than {Limits.LabelCharsMax} characters";
        return IsWord(value) ? null : "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345')";
    }

    /// <summary>The nearest of the known words by edit distance, null where none is near (more than a third of the word wrong).</summary>
    public static string? Nearest(string word, IEnumerable<string> known)
    {
        string? best = null;
        var bestDistance = Math.Max(1, word.Length / 3) + 1;
        foreach (var candidate in known)
        {
            if (Math.Abs(candidate.Length - word.Length) >= bestDistance) continue;
            var distance = Distance(word, candidate);
            if (distance < bestDistance) (best, bestDistance) = (candidate, distance);
        }
        return best;
    }

    private static int Distance(string a, string b)
    {
        Span<int> row = b.Length < 256 ? stackalloc int[b.Length + 1] : new int[b.Length + 1];
        for (var j = 0; j < row.Length; j++) row[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var same = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1;
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + same));
            }
        }
        return row[b.Length];
    }

    private static bool IsLabel(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty || text[0] == '-' || text[^1] == '-') return false;
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c) && c != '-') return false;
        }
        return true;
    }

    private static bool IsWord(ReadOnlySpan<char> text)
    {
        if (!char.IsAsciiLetterOrDigit(text[0]) || !char.IsAsciiLetterOrDigit(text[^1])) return false;
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')) return false;
        }
        return true;
    }
}
