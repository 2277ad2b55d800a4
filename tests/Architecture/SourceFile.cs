namespace Declarative.Tests.Architecture;

/// <param name="Path">From the root, with slashes.</param>
internal sealed record SourceFile(string Path, string Text)
{
    private string? _code;

    /// <summary>Without comments and the text of literals.</summary>
    public string Code => _code ??= SourceText.CodeOf(Text);

    public string Folder => Path.Contains('/') ? Path[..Path.LastIndexOf('/')] : "";

    /// <summary>The first folder: each project has one.</summary>
    public string Project => Path.Contains('/') ? Path[..Path.IndexOf('/')] : "";

    public bool IsCSharp => Path.EndsWith(".cs", StringComparison.Ordinal);

    /// <summary>True for a folder of the list, or a file named in it.</summary>
    public bool IsUnder(IEnumerable<string> places) => places.Any(x => Path == x || Path.StartsWith(x + "/", StringComparison.Ordinal));

    public string At(int position) => $"{Path}:{SourceText.LineOf(Text, position)}";
}
