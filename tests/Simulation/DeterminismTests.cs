using System.Diagnostics;
using System.Text.RegularExpressions;
using Xunit;

namespace Declarative.Tests.Simulation;

public sealed partial class DeterminismTests
{
    /// <summary>Another process has other hash codes of strings, another heap and another load on the machine.</summary>
    [Fact]
    public async Task The_same_seed_has_the_same_history_in_two_processes()
    {
        var hashes = await Task.WhenAll(Hashes(), Hashes());
        Assert.Equal(3, hashes[0].Distinct().Count());
        Assert.Equal(hashes[0], hashes[1]);
    }

    private static async Task<List<string>> Hashes()
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "declarative"), "simulate --seed 7 --seeds 3 --for 2m --jobs 1") { RedirectStandardOutput = true, UseShellExecute = false };
        using var process = Process.Start(start)!;
        try
        {
            var text = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            return [.. HashOf().Matches(text).Select(x => x.Value)];
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    [GeneratedRegex("hash [0-9a-f]{16}")]
    private static partial Regex HashOf();
}
