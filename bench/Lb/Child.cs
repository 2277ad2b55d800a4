using System.Diagnostics;

namespace Declarative.Bench.Lb;

/// <summary>Another process of this executable, or of a program on PATH.</summary>
internal sealed class Child : IDisposable
{
    private readonly Process _process;

    private Child(Process process) => _process = process;

    public TextReader Output => _process.StandardOutput;

    public bool HasExited => _process.HasExited;

    public TimeSpan Cpu
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

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

    public void Dispose()
    {
        _process.StandardInput.Close();
        // Our own end with their input; others (haproxy) do not read it.
        if (!_process.WaitForExit(500)) _process.Kill();
        _process.Dispose();
    }
}
