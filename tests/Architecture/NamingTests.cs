using System.Text.RegularExpressions;
using Xunit;

namespace Declarative.Tests.Architecture;

public sealed class NamingTests
{
    /// <summary>Words that name neither what a type holds nor what it does.</summary>
    private static readonly string[] Empty =
    [
        "Manager", "Helper", "Helpers", "Util", "Utils", "Utilities", "Common", "Core", "Base", "Processor", "Provider", "Info", "Data", "Impl", "Entity", "Item",
    ];

    private static readonly Dictionary<string, string> Roots = Repository.Files.Where(x => x.Path.EndsWith(".csproj", StringComparison.Ordinal))
        .ToDictionary(x => x.Project, x => Regex.Match(x.Text, "<RootNamespace>(.*)</RootNamespace>").Groups[1].Value);

    [Fact]
    public void Namespaces_equal_folders() => Rule.Holds(Repository.CSharp.SelectMany(x => WrongNamespace(x, Roots[x.Project])));

    [Fact]
    public void A_wrong_namespace_is_found()
    {
        Assert.Equal(["dns/Wire/A.cs: Declarative.Dns, expected Declarative.Dns.Wire"], WrongNamespace(new("dns/Wire/A.cs", "namespace Declarative.Dns;"), "Declarative.Dns"));
        Assert.Equal(["dns/A.cs: none, expected Declarative.Dns"], WrongNamespace(new("dns/A.cs", "// namespace Declarative.Dns;\nclass A;"), "Declarative.Dns"));
        Assert.Empty(WrongNamespace(new("dns/A.cs", "namespace Declarative.Dns;"), "Declarative.Dns"));
    }

    [Fact]
    public void At_most_two_folder_levels_under_a_project() => Assert.DoesNotContain(Repository.CSharp, x => TooDeep(x.Path));

    [Fact]
    public void A_folder_too_deep_is_found() => Assert.Equal(["a/b/c/d/E.cs"], new[] { "a/b/c/E.cs", "a/b/c/d/E.cs" }.Where(TooDeep));

    [Fact]
    public void Types_have_names_that_say_something() => Rule.Holds(Repository.CSharp.SelectMany(EmptyNames));

    [Fact]
    public void An_empty_name_is_found() =>
        Assert.Equal(["a/A.cs:1: PodManager", "a/A.cs:3: Item"], EmptyNames(new("a/A.cs", "internal sealed class PodManager;\n// class Helper\nrecord struct Item(int A); class Database; enum WorkItems { }")));

    private static IEnumerable<string> WrongNamespace(SourceFile file, string root)
    {
        var expected = string.Join('.', [root, .. file.Folder.Split('/')[1..]]);
        var said = Regex.Match(file.Code, @"^namespace ([\w.]+);", RegexOptions.Multiline);
        if (!said.Success && file.Path.EndsWith("/Program.cs", StringComparison.Ordinal)) return []; // top-level statements
        return said.Groups[1].Value == expected ? [] : [$"{file.Path}: {(said.Success ? said.Groups[1].Value : "none")}, expected {expected}"];
    }

    private static bool TooDeep(string path) => path.Count(x => x == '/') > 3;

    private static IEnumerable<string> EmptyNames(SourceFile file) =>
        from type in Regex.Matches(file.Code, @"\b(?:class|struct|interface|enum|record)\s+([A-Z]\w*)")
        let name = type.Groups[1]
        where Empty.Contains(Regex.Match(name.Value, "[A-Z][a-z]*$").Value)
        select $"{file.At(name.Index)}: {name.Value}";
}
