namespace Declarative.ApiServer.Cel;

/// <summary>Names of fields that are no identifiers of CEL (Kubernetes doc "Validation rules", escaping): <c>__dash__</c>, <c>__dot__</c>, <c>__slash__</c>, <c>__underscores__</c>, and reserved words as <c>__word__</c>.</summary>
internal static class CelNames
{
    private static readonly HashSet<string> Reserved =
    [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ];

    public static string Unescape(string field)
    {
        if (!field.Contains("__", StringComparison.Ordinal)) return field;
        if (field.Length > 4 && field.StartsWith("__", StringComparison.Ordinal) && field.EndsWith("__", StringComparison.Ordinal) && Reserved.Contains(field[2..^2])) return field[2..^2];
        return field.Replace("__underscores__", "\0", StringComparison.Ordinal).Replace("__dash__", "-", StringComparison.Ordinal)
            .Replace("__dot__", ".", StringComparison.Ordinal).Replace("__slash__", "/", StringComparison.Ordinal).Replace("\0", "__", StringComparison.Ordinal);
    }
}
