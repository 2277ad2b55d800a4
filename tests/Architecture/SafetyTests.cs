using System.Text.RegularExpressions;
using Xunit;

namespace Declarative.Tests.Architecture;

/// <summary>Habits that keep failures visible and the simulated world whole.</summary>
public sealed class SafetyTests
{
    /// <summary>
    /// Sources that are awaited directly and by nothing else, and whose waiter must never run on the stack of the one who completes it.
    /// A direct await comes back into the simulated world also when its continuation is asynchronous; WhenAny and WhenAll do not.
    /// The reporter may be made before its world is entered, where Completion cannot know of the world yet.
    /// </summary>
    private static readonly string[] MadeOtherwise = ["api/Completion.cs", "client/Informers/Informer.cs", "client/Queue/WorkQueue.cs", "client/Traffic/Signal.cs", "client/Traffic/TrafficReporter.cs"];

    [Fact]
    public void No_catch_is_empty() => Rule.Holds(Repository.CSharp.SelectMany(EmptyCatches));

    [Fact]
    public void An_empty_catch_is_found()
    {
        Assert.Equal(["a/A.cs:1", "a/A.cs:2"], EmptyCatches(new("a/A.cs", "try { } catch { }\ntry { } catch (Exception e) when (e is { Message: \"}\" } or A(1))\n{ // gone\n}")));
        Assert.Equal(["a/A.cs:1"], EmptyCatches(new("a/A.cs", "try { } catch (IOException) { }")));
        Assert.Empty(EmptyCatches(new("a/A.cs", "try { } catch (A) { return; } // catch { }")));
        Assert.Empty(EmptyCatches(new("a/A.cs", "try { } catch (IOException)\n{\n    // The client has gone.\n}")));
    }

    [Fact]
    public void No_async_void() => Rule.Holds(Repository.CSharp.SelectMany(x => Finds(x, @"\basync\s+void\b")));

    [Fact]
    public void Nothing_blocks_a_thread_outside_real_input_and_output()
    {
        Rule.Holds(Repository.CSharp.Where(x => !x.IsUnder(Repository.RealInputOutput)).SelectMany(x => Finds(x, @"\bThread\.Sleep\b")));
        // The world runs scenarios from outside: there is nothing to come back to.
        Rule.Holds(Repository.CSharp.Where(x => !x.IsUnder([.. Repository.RealInputOutput, "sim/World.cs"])).SelectMany(x => Finds(x, @"\.GetResult\(\)|\.Wait\(\)")));
    }

    [Fact]
    public void Completion_sources_are_made_for_both_worlds() =>
        Rule.Holds(Repository.CSharp.Where(x => !x.IsUnder([.. Repository.RealInputOutput, .. MadeOtherwise])).SelectMany(ForeignSources));

    [Fact]
    public void A_forbidden_call_is_found()
    {
        Assert.Equal(["a/A.cs:2: async void"], Finds(new("a/A.cs", "// async void\nasync void M() { }"), @"\basync\s+void\b"));
        Assert.Equal(["a/A.cs:1: Thread.Sleep"], Finds(new("a/A.cs", "Thread.Sleep(1);"), @"\bThread\.Sleep\b"));
        Assert.Equal(["a/A.cs:1: new TaskCompletionSource", "a/A.cs:2: TaskCompletionSource<int> b = new", "a/A.cs:3: RunContinuationsAsynchronously"],
            ForeignSources(new("a/A.cs", "var a = new TaskCompletionSource();\nTaskCompletionSource<int> b = new();\nb = new(TaskCreationOptions.RunContinuationsAsynchronously);\nTaskCompletionSource c = Completion.New();")));
    }

    [Fact]
    public void Banned_symbols_are_exempt_only_where_real_input_and_output_live()
    {
        Assert.Equal(Repository.RealInputOutput.Order(StringComparer.Ordinal), Exempted(Repository.File(".editorconfig").Text).Order(StringComparer.Ordinal));
        Rule.Holds(Repository.Files.Where(x => !x.IsUnder(["tests/Architecture"]) && x.Path != ".editorconfig").SelectMany(x => Regex.Matches(x.Text, "RS0030").Select(found => x.At(found.Index))));
    }

    [Fact]
    public void Exemptions_are_read() => Assert.Equal(["a/B", "c", "d/E.cs"], Exempted("""
        [*.cs]
        dotnet_diagnostic.RS0031.severity = none
        [{a/B,c}/**.cs]
        dotnet_diagnostic.RS0030.severity = none

        [d/E.cs]
        dotnet_diagnostic.RS0030.severity = suggestion
        """));

    private static IEnumerable<string> Finds(SourceFile file, string pattern) => Regex.Matches(file.Code, pattern).Select(x => $"{file.At(x.Index)}: {x.Value}");

    private static IEnumerable<string> ForeignSources(SourceFile file) => Finds(file, @"\bnew\s+TaskCompletionSource\b|\bTaskCompletionSource(<[^;=()]*>)?\s+\w+(\s*\{[^}]*\})?\s*=\s*new\b|\bRunContinuationsAsynchronously\b");

    private static IEnumerable<string> EmptyCatches(SourceFile file)
    {
        foreach (var found in Regex.Matches(file.Code, @"\bcatch\b").Cast<Match>())
        {
            var at = Past(file.Code, found.Index + "catch".Length);
            if (Regex.Match(file.Code[at..], @"^\s*when\b") is { Success: true, Length: var length }) at = Past(file.Code, at + length);
            var body = Regex.Match(file.Code[at..], @"^\s*\{\s*\}");
            if (!body.Success) continue;
            // One type that is an expected outcome, and a word on why there is nothing to do, are not a hole.
            var narrow = Regex.IsMatch(file.Code[found.Index..], @"^catch\s*\((?!(System\.)?Exception\b)");
            if (!narrow || !file.Text.AsSpan(at, body.Length).Contains("//", StringComparison.Ordinal)) yield return file.At(found.Index);
        }
    }

    /// <summary>The place after a pair of parentheses that begins here, or this place.</summary>
    private static int Past(string code, int at)
    {
        var open = at;
        while (open < code.Length && char.IsWhiteSpace(code[open])) open++;
        if (open == code.Length || code[open] != '(') return at;
        var depth = 0;
        do depth += code[open++] switch { '(' => 1, ')' => -1, _ => 0 };
        while (depth > 0 && open < code.Length);
        return open;
    }

    private static IEnumerable<string> Exempted(string text)
    {
        var section = "";
        foreach (var line in text.Split('\n'))
        {
            if (line.StartsWith('[')) section = line.TrimEnd()[1..^1];
            if (!line.StartsWith("dotnet_diagnostic.RS0030", StringComparison.Ordinal)) continue;
            foreach (var place in section.Replace("/**.cs", "", StringComparison.Ordinal).Trim('{', '}').Split(',')) yield return place;
        }
    }
}
