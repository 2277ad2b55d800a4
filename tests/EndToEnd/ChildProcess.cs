using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>What a program that has ended said.</summary>
internal sealed record Said(int Code, string Output, string Errors)
{
    public Said Succeeds()
    {
        Assert.True(Code == 0, $"exit code {Code}\n{Output}\n{Errors}");
        return this;
    }

    /// <summary>It ended with an error that holds all these parts.</summary>
    public Said Fails(params string[] parts)
    {
        Assert.True(Code != 0, $"was expected to fail\n{Output}\n{Errors}");
        foreach (var part in parts) Assert.Contains(part, Errors, StringComparison.OrdinalIgnoreCase);
        return this;
    }
}

/// <summary>A process of ours. Disposing ends it, by its id, where it still runs.</summary>
internal sealed class ChildProcess : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(120);
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();

    private ChildProcess(Process process) => _process = process;

    public int Id => _process.Id;

    public IReadOnlyList<string> Arguments => [.. _process.StartInfo.ArgumentList];

    public bool HasExited => _process.HasExited;

    public string Output => Read(_output);

    public string Errors => Read(_errors);

    public static ChildProcess Start(string file, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? input = null)
    {
        var start = new ProcessStartInfo(file) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        // The executable finds the runtime that runs the tests.
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        var process = new Process { StartInfo = start };
        var child = new ChildProcess(process);
        process.OutputDataReceived += (_, line) => Add(child._output, line.Data);
        process.ErrorDataReceived += (_, line) => Add(child._errors, line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        if (input is not null) process.StandardInput.Write(input);
        process.StandardInput.Close();
        return child;
    }

    /// <summary>Runs a program to its end.</summary>
    public static async Task<Said> Run(string file, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? input = null)
    {
        using var child = Start(file, arguments, environment, input);
        return await child.Ended();
    }

    /// <summary>Waits for its end, for a time that only a hang reaches.</summary>
    /// <param name="longest">null = <see cref="Longest"/>.</param>
    public async Task<Said> Ended(TimeSpan? longest = null)
    {
        using var limit = new CancellationTokenSource(longest ?? Longest);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"{_process.StartInfo.FileName} {string.Join(' ', _process.StartInfo.ArgumentList)} has not ended within {(longest ?? Longest).TotalSeconds:0} s\n{Output}\n{Errors}");
        }
        return new(_process.ExitCode, Output, Errors);
    }

    public void Terminate() => TaskProcess.Signal(Id, 15);

    public void Kill() => _process.Kill();

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit(10_000);
        }
        _process.Dispose();
    }

    private static void Add(StringBuilder text, string? line)
    {
        if (line is null) return;
        lock (text) text.AppendLine(line);
    }

    private static string Read(StringBuilder text)
    {
        lock (text) return text.ToString();
    }
}
