using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Declarative.Bench.Lb;

/// <summary>Another process of this executable, or of a program on PATH, with the processes that it starts.</summary>
internal sealed class Child : IDisposable
{
    private const double TicksPerSecond = 100; // USER_HZ

    private readonly Process _process;

    private Child(Process process) => _process = process;

    public TextReader Output => _process.StandardOutput;

    public bool HasExited => _process.HasExited;

    /// <summary>User and system time of all its threads and processes: fields 14 and 15 of /proc/PID/stat.</summary>
    public TimeSpan Cpu => TimeSpan.FromSeconds(Family(_process.Id).Sum(Ticks) / TicksPerSecond);

    public long ResidentBytes => Family(_process.Id).Sum(static x => Pages(x) * Environment.SystemPageSize);

    /// <summary>This executable with other arguments after <c>lb</c>.</summary>
    public static Child Self(params string[] arguments)
    {
        var own = Environment.GetCommandLineArgs();
        var before = own.Skip(1).TakeWhile(x => x != "lb").Append("lb").Concat(arguments);
        var dotnet = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet";
        return Start(Environment.ProcessPath!, [.. dotnet ? before.Prepend(own[0]) : before]);
    }

    public static Child Start(string program, IReadOnlyList<string> arguments)
    {
        var process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true });
        return new(process!);
    }

    /// <summary>What a program writes until it ends.</summary>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public static string Run(string program, params string[] arguments)
    {
        using var child = Start(program, arguments);
        var text = child.Output.ReadToEnd();
        child._process.WaitForExit();
        return child._process.ExitCode == 0 ? text : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} failed with {child._process.ExitCode}:\n{text}");
    }

    public void Signal(int signal)
    {
        if (Kill(_process.Id, signal) != 0) throw new InvalidOperationException($"kill {_process.Id}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int process, int signal);

    public void Dispose()
    {
        _process.StandardInput.Close();
        // Our own end with their input; others do not read it.
        if (!_process.WaitForExit(500)) _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }

    private static IEnumerable<int> Family(int process)
    {
        yield return process;
        var children = $"/proc/{process}/task/{process}/children";
        if (!File.Exists(children)) yield break;
        foreach (var child in File.ReadAllText(children).Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            foreach (var one in Family(int.Parse(child, CultureInfo.InvariantCulture))) yield return one;
        }
    }

    private static long Ticks(int process)
    {
        var text = File.ReadAllText($"/proc/{process}/stat");
        var words = text[(text.LastIndexOf(')') + 2)..].Split(' '); // from the third field
        return long.Parse(words[11], CultureInfo.InvariantCulture) + long.Parse(words[12], CultureInfo.InvariantCulture);
    }

    private static long Pages(int process) => long.Parse(File.ReadAllText($"/proc/{process}/statm").Split(' ')[1], CultureInfo.InvariantCulture);
}
