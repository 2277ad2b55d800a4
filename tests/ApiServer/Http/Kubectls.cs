using System.Diagnostics;
using System.Text;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>The unmodified kubectl binaries of this machine: the one on PATH and its versioned siblings (<c>kubectl.1.27</c> …) beside the file it links to.</summary>
public static class Kubectls
{
    public const string NoneFound = "there is no kubectl on PATH";

    /// <summary>Paths; empty where there is no kubectl.</summary>
    public static IReadOnlyList<string> All { get; } = Find();

    /// <summary>
    /// For theories: one row for the oldest and the newest binary (all of them with DECLARATIVE_TEST_ALL=1), or one row with "" where there is
    /// none (the test then reports itself skipped).
    /// </summary>
    public static TheoryData<string> Rows => [.. All.Count == 0 ? [""] : Chosen.Select(x => Path.GetFileName(x))];

    private static IEnumerable<string> Chosen => Declarative.Tests.Simulation.Seeds.All || All.Count == 1 ? All : [All[0], All[^1]];

    public static string Require(string name)
    {
        Assert.SkipWhen(name.Length == 0, NoneFound);
        return All.First(x => Path.GetFileName(x) == name);
    }

    private static List<string> Find()
    {
        foreach (var directory in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            var path = Path.Combine(directory, "kubectl");
            if (!File.Exists(path)) continue;
            var real = new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path;
            var siblings = Directory.GetFiles(Path.GetDirectoryName(real)!, "kubectl.1.*").Order(StringComparer.Ordinal).ToList();
            return siblings.Count > 0 ? siblings : [real];
        }
        return [];
    }
}

/// <summary>What one run of kubectl said.</summary>
public sealed record KubectlResult(int Code, string Output, string Errors)
{
    public IReadOnlyList<string> Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public KubectlResult Succeeds()
    {
        Assert.True(Code == 0, $"exit code {Code}\n{Output}\n{Errors}");
        return this;
    }

    public KubectlResult Fails(string part)
    {
        Assert.NotEqual(0, Code);
        Assert.Contains(part, Errors, StringComparison.Ordinal);
        return this;
    }
}

/// <summary>One kubectl with a kubeconfig and a cache folder of its own.</summary>
public sealed class Kubectl(string path, string kubeconfig, string home)
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    /// <summary>Where relative paths begin; "" = here.</summary>
    public string Folder { get; init; } = "";

    /// <summary>What <c>kubectl edit</c> runs; "" = none.</summary>
    public string Editor { get; init; } = "";

    public Task<KubectlResult> Run(params string[] arguments) => Run(null, arguments);

    public async Task<KubectlResult> Run(string? input, string[] arguments)
    {
        using var process = Start(arguments, input is not null);
        if (input is not null)
        {
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
        }
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Longest);
        var output = process.StandardOutput.ReadToEndAsync(limit.Token);
        var errors = process.StandardError.ReadToEndAsync(limit.Token);
        try
        {
            await process.WaitForExitAsync(limit.Token);
            return new(process.ExitCode, await output, await errors);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"kubectl {string.Join(' ', arguments)} did not end within {Longest.TotalSeconds} s");
            throw;
        }
    }

    /// <summary>Runs until the caller ends it (watches).</summary>
    public Process Start(string[] arguments, bool input = false)
    {
        var start = new ProcessStartInfo(path)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = input,
            StandardOutputEncoding = Encoding.UTF8,
        };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        start.Environment["KUBECONFIG"] = kubeconfig;
        start.Environment["HOME"] = home;
        if (Folder.Length > 0) start.WorkingDirectory = Folder;
        if (Editor.Length > 0) start.Environment["KUBE_EDITOR"] = Editor;
        return Process.Start(start)!;
    }
}
