namespace Declarative.Api.Schema;

/// <summary>Finds the field that a misspelt name was meant to be.</summary>
internal static class Nearest
{
    // Longer names are not typing errors, and the comparison is quadratic.
    private const int NameCharsMax = 64;

    /// <summary>A hint for the reader, or an empty string when nothing is near.</summary>
    public static string Hint(string name, SchemaType type)
    {
        if (name.Length > NameCharsMax)
        {
            return "";
        }

        string? best = null;
        var least = Math.Max(1, name.Length / 3) + 1;
        foreach (var field in type.Fields)
        {
            var distance = string.Equals(field.Name, name, StringComparison.OrdinalIgnoreCase) ? 0 : Distance(name, field.Name);
            if (distance < least)
            {
                (best, least) = (field.Name, distance);
            }
        }

        return best is null ? "" : $"did you mean \"{best}\"?";
    }

    // Edit distance with swaps of neighbours (optimal string alignment).
    private static int Distance(string a, string b)
    {
        var rows = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            rows[i, 0] = i;
        }

        for (var j = 0; j <= b.Length; j++)
        {
            rows[0, j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var cost = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1;
                var least = Math.Min(Math.Min(rows[i - 1, j] + 1, rows[i, j - 1] + 1), rows[i - 1, j - 1] + cost);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    least = Math.Min(least, rows[i - 2, j - 2] + 1);
                }

                rows[i, j] = least;
            }
        }

        return rows[a.Length, b.Length];
    }
}
