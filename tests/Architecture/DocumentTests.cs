using System.Diagnostics;
using System.Text.RegularExpressions;
using Xunit;

namespace Declarative.Tests.Architecture;

/// <summary>What the README and docs/ name is there.</summary>
public sealed class DocumentTests
{
    private const string FileEndings = "cs|csproj|tsv|md|json|jsonl|yaml|yml|txt|props|targets|proto|sln|sh";

    /// <summary>What the platform makes below its data directory.</summary>
    private static readonly string[] Written = ["pki/"];

    private static IEnumerable<SourceFile> Documents => Repository.Files.Where(x => x.Path.EndsWith(".md", StringComparison.Ordinal));

    [Fact]
    public void Links_lead_somewhere() => Rule.Holds(Documents.SelectMany(x => DeadLinks(x, Repository.Has)));

    [Fact]
    public void A_dead_link_is_found() =>
        Assert.Equal(["docs/a.md: gone.md", "docs/a.md: ../../out.md"],
            DeadLinks(new("docs/a.md", "[a](b.md#part) [c](https://dot.net/) [d](#here) [e](gone.md) [f](../README.md) [g](../../out.md)"), x => x is "docs/b.md" or "README.md"));

    [Fact]
    public void Files_and_folders_that_are_named_exist()
    {
        var paths = Repository.Files.SelectMany(x => Above(x.Path)).ToHashSet(StringComparer.Ordinal);
        Rule.Holds(Documents.SelectMany(x => MissingFiles(x, paths)));
    }

    [Fact]
    public void A_missing_file_is_found() =>
        Assert.Equal(["a.md: Gone.cs", "a.md: dns/Gone/", "a.md: XGone.cs"],
            MissingFiles(new("a.md", "`Zone.cs` `Zones/Zone.cs` `Gone.cs` `dns/Zones/` `dns/Gone/` `XZone.cs` `XGone.cs` `web.shop` `tasks/up.pid`"),
                Above("dns/Zones/Zone.cs").Append("dns/Zones/NewZone.cs").ToHashSet(StringComparer.Ordinal)));

    [Fact]
    public async Task Options_that_are_named_exist()
    {
        var helps = new Dictionary<string, string>(StringComparer.Ordinal) { [""] = await Help() };
        foreach (var command in Regex.Matches(helps[""].Split("Commands:")[1], @"^  (\w[\w-]*)", RegexOptions.Multiline).Select(x => x.Groups[1].Value))
        {
            helps[command] = await Help(command);
        }
        Rule.Holds(Documents.SelectMany(x => MissingOptions(x, helps)));
    }

    [Fact]
    public void A_missing_option_is_found()
    {
        var helps = new Dictionary<string, string>(StringComparer.Ordinal) { [""] = "  --version  Show\n", ["up"] = "  -f, --filename <F>\n  --agents <N>  how many\n" };
        Assert.Equal(["a.md: up --agent", "a.md: fly", "a.md: --nothing"],
            MissingOptions(new("a.md", "    ./declarative up --agents 3 -f x\n    declarative up --agent 3\n    declarative fly # --why\n`declarative --version`, `--agents N` and `--nothing`"), helps));
    }

    private static IEnumerable<string> DeadLinks(SourceFile document, Func<string, bool> has) =>
        from link in Regex.Matches(document.Text, @"\]\(([^)\s#]+)[^)]*\)")
        let target = link.Groups[1].Value
        where !target.Contains("://", StringComparison.Ordinal)
        let path = Path.GetRelativePath("/here", Path.GetFullPath(Path.Combine("/here", document.Folder, target)))
        where path.StartsWith("..", StringComparison.Ordinal) || !has(path)
        select $"{document.Path}: {target}";

    /// <summary>A name in backticks counts as a file by its ending and as a folder by its slash; `XPlan.cs` stands for every X.</summary>
    private static IEnumerable<string> MissingFiles(SourceFile document, HashSet<string> paths) =>
        from named in Regex.Matches(document.Text, $@"`((?:[\w.-]+/)*[\w.-]+\.(?:{FileEndings})|(?:[\w-]+/)+)`")
        let name = named.Groups[1].Value
        let any = Regex.IsMatch(name, "^X[A-Z]")
        where !Written.Contains(name) && !paths.Any(x => any ? x.EndsWith(name[1..], StringComparison.Ordinal) : x == name || x.EndsWith("/" + name, StringComparison.Ordinal))
        select $"{document.Path}: {name}";

    private static IEnumerable<string> MissingOptions(SourceFile document, Dictionary<string, string> helps)
    {
        // Written in a block or in backticks; "bench" is the launcher's own, with options of another program.
        foreach (var line in Regex.Matches(document.Text, @"(?:^ {4}|`)(?:\./)?declarative((?: [^`#\n]*)?)", RegexOptions.Multiline).Select(x => x.Groups[1].Value.Trim()))
        {
            var command = Regex.Match(line, @"^[a-z][\w-]*").Value;
            if (command == "bench") continue;
            if (!helps.TryGetValue(command, out var help)) yield return $"{document.Path}: {command}";
            else foreach (var option in Options(line).Where(x => !Offers(help, x))) yield return $"{document.Path}: {command} {option}";
        }
        foreach (var option in Regex.Matches(document.Text, @"`(--[a-z][\w-]*)").Select(x => x.Groups[1].Value))
        {
            if (!helps.Values.Any(x => Offers(x, option))) yield return $"{document.Path}: {option}";
        }
    }

    private static IEnumerable<string> Options(string line) => Regex.Matches(line, @"(?<=\s|^)--?[a-z][\w-]*").Select(x => x.Value);

    private static bool Offers(string help, string option) => Regex.IsMatch(help, $@"^  .*(?<=\s){option}(?=[\s,]|$)", RegexOptions.Multiline);

    private static IEnumerable<string> Above(string path)
    {
        yield return path;
        for (var slash = path.IndexOf('/'); slash >= 0; slash = path.IndexOf('/', slash + 1)) yield return path[..(slash + 1)];
    }

    private static async Task<string> Help(params string[] command)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "declarative"), [.. command, "--help"]) { UseShellExecute = false, RedirectStandardOutput = true };
        // The executable finds the runtime that runs these tests.
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../.."));
        using var process = Process.Start(start)!;
        var text = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        return text;
    }
}
