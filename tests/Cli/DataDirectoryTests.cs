using System.Diagnostics;
using System.Globalization;
using Declarative.Cli;
using Declarative.Tests.EndToEnd;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>Who holds a data directory.</summary>
public sealed class DataDirectoryTests
{
    // Its first thread ends at once, another one when the input does.
    private const string FirstThreadEnds = """
        import ctypes, os, sys, threading
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()
        ctypes.CDLL(None).pthread_exit(None)
        """;

    [Fact]
    public async Task A_process_holds_it_until_the_last_of_its_threads_has_ended()
    {
        Assert.SkipWhen(Installation.OnPath("python3") is null, "python3 is not on PATH");
        var folder = Directory.CreateTempSubdirectory("data-directory-").FullName;
        using var process = Process.Start(new ProcessStartInfo("python3", ["-c", FirstThreadEnds]) { RedirectStandardInput = true, UseShellExecute = false })!;
        try
        {
            string[] Fields() => File.ReadAllText($"/proc/{process.Id}/stat").Split(") ")[^1].Split(' ');
            while (Fields()[0] != "Z") await Task.Delay(5, TestContext.Current.CancellationToken);
            await File.WriteAllTextAsync(Path.Combine(folder, "up.pid"), string.Create(CultureInfo.InvariantCulture, $"{process.Id} {Fields()[19]}\n"), TestContext.Current.CancellationToken);
            Assert.Equal(process.Id, DataDirectory.At(folder).Holder());
            process.StandardInput.Close();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Null(DataDirectory.At(folder).Holder());
        }
        finally
        {
            process.Kill();
            Directory.Delete(folder, recursive: true);
        }
    }
}
