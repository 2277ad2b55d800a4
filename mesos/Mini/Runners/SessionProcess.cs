using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Channels;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>What to run beside a task. All paths are absolute.</summary>
/// <param name="Arguments">With argv[0].</param>
/// <param name="JoinFiles">The cgroup.procs files of the task: what runs beside it counts with it and ends with it.</param>
internal sealed record SessionLaunch(string Name, string File, IReadOnlyList<string> Arguments, IReadOnlyList<string> Environment, string WorkingDirectory, IReadOnlyList<string> JoinFiles, bool HasTerminal)
{
    /// <summary>The size of the terminal from the first moment on; null = the system's, which is 0 × 0.</summary>
    public (int Columns, int Rows)? TerminalSize { get; init; }

    /// <summary>A process whose mounts are seen, its resolv.conf among them; null: this process' own.</summary>
    public int? MountsOf { get; init; }
}

/// <summary>
/// A process that is talked to: pipes or a terminal instead of files. Unlike <see cref="RunningProcess"/> it is not found again after a crash
/// of the agent: its callers have lost their connections then.
/// </summary>
internal sealed class SessionProcess
{
    private const int OutputsWaitingMax = 16;
    private const int FirstJoinDescriptor = 3;
    private static readonly TimeSpan OutputAfterEnd = TimeSpan.FromSeconds(1);

    private readonly Channel<(bool IsError, byte[] Data)> output = Channel.CreateBounded<(bool, byte[])>(OutputsWaitingMax);
    private readonly TimeProvider time;
    private readonly Terminal? terminal;
    private readonly DescriptorWriter input;
    private readonly DescriptorReader[] readers;

    private SessionProcess(int pid, Terminal? terminal, DescriptorWriter input, Func<Func<bool, byte[], ValueTask>, DescriptorReader[]> readers, Task<int?> exited, TimeProvider time)
    {
        Pid = pid;
        this.terminal = terminal;
        this.input = input;
        this.time = time;
        this.readers = readers((isError, data) => output.Writer.WriteAsync((isError, data)));
        Ended = End(exited);
    }

    /// <summary>Also its session and process group.</summary>
    public int Pid { get; }

    /// <summary>In order for each of the two; a terminal has one. Completes after the process has ended and its output is read.</summary>
    public ChannelReader<(bool IsError, byte[] Data)> Output => output.Reader;

    /// <summary>How it ended; null where nobody saw it.</summary>
    public Task<ProcessExit?> Ended { get; }

    /// <returns>The process, or why it could not be started.</returns>
    public static (SessionProcess? Process, string? Error) Start(SessionLaunch launch, Func<int, Task<int?>> exited, TimeProvider time)
    {
        try
        {
            return launch.HasTerminal ? WithTerminal(launch, exited, time) : WithPipes(launch, exited, time);
        }
        catch (IOException none)
        {
            return (null, none.Message);
        }
    }

    /// <summary>Waits while the process reads more slowly. False when it takes no more.</summary>
    public ValueTask<bool> Write(byte[] bytes, CancellationToken stop) => input.Write(bytes, stop);

    /// <summary>The process reads the end of a file. A terminal's input has no end: there, control-D is typed.</summary>
    public void EndInput()
    {
        if (terminal is null)
            input.End();
    }

    public void Resize(int columns, int rows)
    {
        if (!Ended.IsCompleted)
            terminal?.Resize(columns, rows);
    }

    /// <summary>To the process and what it started in its session.</summary>
    public void Signal(int signal)
    {
        if (!Ended.IsCompleted)
            _ = Posix.Kill(-Pid, signal);
    }

    /// <summary>Nobody reads its output any more: it goes on without waiting for a reader.</summary>
    public void Abandon() => output.Writer.TryComplete();

    private static (SessionProcess?, string?) WithTerminal(SessionLaunch launch, Func<int, Task<int?>> exited, TimeProvider time)
    {
        var opened = Terminal.Open();
        if (launch.TerminalSize is { } size)
            opened.Resize(size.Columns, size.Rows);
        // The first terminal that the leader of a session opens becomes its controlling one.
        var (pid, error) = SpawnOf(launch, [(0, opened.Path, Posix.OpenReadWrite), (1, opened.Path, Posix.OpenReadWrite), (2, opened.Path, Posix.OpenReadWrite)], []).Start();
        if (error is not null)
        {
            _ = Posix.Close(opened.Descriptor);
            return (null, $"cannot start {launch.File}: {error}");
        }

        return (
            new(pid, opened, new(opened.Descriptor, closes: false, launch.Name), take => [new(opened.Descriptor, closes: false, launch.Name, data => take(false, data))], exited(pid), time),
            null
        );
    }

    private static (SessionProcess?, string?) WithPipes(SessionLaunch launch, Func<int, Task<int?>> exited, TimeProvider time)
    {
        var (stdin, stdout, stderr) = (NewPipe(), NewPipe(), NewPipe());
        var (pid, error) = SpawnOf(launch, [], [(0, stdin.Read), (1, stdout.Write), (2, stderr.Write)]).Start();
        foreach (var theirs in (int[])[stdin.Read, stdout.Write, stderr.Write])
            _ = Posix.Close(theirs);
        if (error is not null)
        {
            foreach (var ours in (int[])[stdin.Write, stdout.Read, stderr.Read])
                _ = Posix.Close(ours);
            return (null, $"cannot start {launch.File}: {error}");
        }

        return (
            new(
                pid,
                null,
                new(stdin.Write, closes: true, launch.Name),
                take => [new(stdout.Read, closes: true, launch.Name, data => take(false, data)), new(stderr.Read, closes: true, launch.Name, data => take(true, data))],
                exited(pid),
                time
            ),
            null
        );
    }

    private static Spawn SpawnOf(SessionLaunch launch, IReadOnlyList<(int, string, int)> files, IReadOnlyList<(int, int)> descriptors)
    {
        // The shell joins the task's cgroups, then becomes the command.
        var script = new StringBuilder();
        var close = new StringBuilder();
        List<(int, string, int)> opened = [.. files];
        for (var i = 0; i < launch.JoinFiles.Count; i++)
        {
            var descriptor = (FirstJoinDescriptor + i).ToString(CultureInfo.InvariantCulture);
            opened.Add((FirstJoinDescriptor + i, launch.JoinFiles[i], Posix.OpenWrite));
            script.Append("echo 0 2>/dev/null >&").Append(descriptor).Append("; ");
            close.Append(' ').Append(descriptor).Append(">&-");
        }

        var spawn = new Spawn(launch.File, launch.Arguments, launch.Environment, launch.WorkingDirectory, opened) { Descriptors = descriptors };
        if (opened.Count > files.Count)
        {
            script.Append("exec \"$@\"").Append(close);
            spawn = spawn with { Path = "/bin/sh", Arguments = ["sh", "-c", script.ToString(), "sh", launch.File, .. launch.Arguments.Skip(1)] };
        }

        return launch.MountsOf is { } process ? PrivateMounts.Of(process, spawn) : spawn;
    }

    /// <summary>Both ends close on exec. Throws <see cref="IOException"/>.</summary>
    public static (int Read, int Write) NewPipe()
    {
        var ends = new int[2];
        return Posix.Pipe(ends, Posix.CloseOnExec) == 0 ? (ends[0], ends[1]) : throw new IOException($"no pipe: {Posix.Describe(Marshal.GetLastPInvokeError())}");
    }

    private async Task<ProcessExit?> End(Task<int?> exited)
    {
        int? status = null;
        try
        {
            status = await exited;
        }
        catch (OperationCanceledException)
        {
            // The runner was disposed: nobody hears of the end of a process any more.
        }

        // What it left behind in its session goes with it; what left the session may hold the output open: then only what is there is read.
        _ = Posix.Kill(-Pid, Posix.SigKill);
        input.Stop();
        var all = Task.WhenAll(readers.Select(reader => reader.Ended));
        await Task.WhenAny(all, Task.Delay(OutputAfterEnd, time));
        foreach (var reader in readers)
            reader.Stop();
        await all;
        output.Writer.TryComplete();
        await input.Ended;
        if (terminal is not null)
            _ = Posix.Close(terminal.Descriptor);
        return status is { } known ? ProcessExit.OfWaitStatus(known) : null;
    }
}
