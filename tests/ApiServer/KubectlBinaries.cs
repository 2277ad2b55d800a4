using System.Diagnostics;

namespace Declarative.Tests.ApiServer;

/// <summary>The kubectl versions of this machine: those that stand beside the file that <c>kubectl</c> on PATH links to, and that one.</summary>
internal static class KubectlBinaries
{
    public static IReadOnlyList<string> All { get; } = Find();

    /// <summary>Runs kubectl with its own home directory; returns its exit code and what it printed on both streams.</summary>
    public static async Task<(int Code, string Output)> Run(string kubectl, string server, string home, string arguments, string input, CancellationToken stop)
    {
        var start = new ProcessStartInfo(kubectl, $"--server={server} --cache-dir={home}/cache {arguments}")
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            Environment = { ["HOME"] = home, ["KUBECONFIG"] = Path.Combine(home, "none") },
        };
        using var process = Process.Start(start)!;
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(stop);
        var errors = process.StandardError.ReadToEndAsync(stop);
        try
        {
            await process.WaitForExitAsync(stop);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }

        return (process.ExitCode, await output + await errors);
    }

    private static List<string> Find()
    {
        foreach (var folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'))
        {
            var path = Path.Combine(folder, "kubectl");
            if (File.Exists(path))
            {
                var real = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
                var beside = Directory.GetFiles(Path.GetDirectoryName(real)!, "kubectl.1.*").Order(StringComparer.Ordinal).ToList();
                return beside.Count > 0 ? beside : [real];
            }
        }

        return [];
    }
}
