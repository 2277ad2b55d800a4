using System.Text;
using System.Text.RegularExpressions;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>
/// The small shell process between the agent and a task's process: it outlives the agent, waits for the process and writes its exit status
/// to a file. It is the leader of the session that the process is in.
/// </summary>
/// <remarks>
/// Descriptors of the shell: 2 its own messages, 3 the task's stderr, 4 the status file, 5 our side of the task's terminal where it has one
/// (so that the terminal outlives the agent), 6 and on the cgroup.procs files to join. The status file has two lines: the keeper's pid, then <c>$?</c>. A shell gives 128+n both for signal n and for that exit code, but it says a word
/// about a signal on its stderr; about SIGINT and SIGPIPE it is silent, so 130 and 141 are read as signals. Signals other than KILL are
/// for the task: caught here (not ignored: that would be inherited) and thus at their default in the process.
/// </remarks>
internal static partial class Keeper
{
    public const string StatusFile = "status";
    public const string MessagesFile = "keeper";
    public const string IdentityFile = "identity";
    public const int StatusDescriptor = 4;
    public const int TerminalDescriptor = 5;
    private const int FirstJoinDescriptor = 6;

    private const int SignalBase = 128;
    private const string Shell = "/bin/sh";
    private static readonly string[] Bashes = ["/bin/bash", "/usr/bin/bash"];

    /// <param name="terminal">What the task has instead of its output files.</param>
    /// <param name="input">The end of a pipe that the task reads, ours to close; null for the end of a file at once.</param>
    public static Spawn Of(ProcessLaunch launch, IReadOnlyList<string> joinFiles, Terminal? terminal, int? input)
    {
        // A plain sh passes on only variables whose names are identifiers, and cannot set argv[0]: for these tasks bash is used where it is.
        var plain =
            Path.GetFileName(launch.Arguments[0]) == Path.GetFileName(launch.File)
            && launch.Environment.All(variable => Identifier().IsMatch(variable));
        var bash = plain ? null : Bashes.FirstOrDefault(File.Exists);
        List<(int, string, int)> files =
        [
            // The first terminal that the leader of a session opens becomes its controlling one.
            terminal is null ? (0, "/dev/null", 0) : (0, terminal.Path, Posix.OpenReadWrite),
            terminal is null ? (1, launch.Stdout, Posix.OpenWrite | Posix.OpenCreate | Posix.OpenAppend) : (1, terminal.Path, Posix.OpenReadWrite),
            (2, Path.Combine(launch.RecordDirectory, MessagesFile), Posix.OpenWrite | Posix.OpenCreate | Posix.OpenAppend),
            terminal is null ? (3, launch.Stderr, Posix.OpenWrite | Posix.OpenCreate | Posix.OpenAppend) : (3, terminal.Path, Posix.OpenReadWrite),
            (StatusDescriptor, Path.Combine(launch.RecordDirectory, StatusFile), Posix.OpenWrite | Posix.OpenCreate | Posix.OpenTruncate | Posix.OpenAppend),
        ];
        for (var i = 0; i < joinFiles.Count; i++)
            files.Add((FirstJoinDescriptor + i, joinFiles[i], Posix.OpenWrite));
        List<string> arguments =
        [
            "sh",
            "-c",
            Resolver(launch) + Script(joinFiles.Count, launch.Environment, bash is not null),
            launch.Arguments[0],
            launch.File,
            .. launch.Arguments.Skip(1),
        ];
        List<(int, int)> ours = [];
        if (terminal is not null)
            ours.Add((TerminalDescriptor, terminal.Descriptor));
        if (input is { } pipe)
            ours.Add((0, pipe));
        var spawn = new Spawn(bash ?? Shell, arguments, launch.Environment, launch.WorkingDirectory, files) { Descriptors = ours };
        return launch.ResolverFile is null ? spawn : PrivateMounts.In(spawn);
    }

    private static string Resolver(ProcessLaunch launch) => launch.ResolverFile is { } file ? PrivateMounts.Bind(file, "/etc/resolv.conf") : "";

    /// <summary>Null while there is no exit status: the process runs, or its keeper was killed.</summary>
    public static ProcessExit? ReadExit(string recordDirectory)
    {
        if (Lines(recordDirectory) is not [_, var text, ..] || !int.TryParse(text, out var status))
            return null;
        if (status <= SignalBase)
            return new(status, null);
        var signal = status - SignalBase;
        var spoken = new FileInfo(Path.Combine(recordDirectory, MessagesFile)) is { Exists: true, Length: > 0 };
        return spoken || signal is Posix.SigInt or Posix.SigPipe ? new(null, signal) : new(status, null);
    }

    public static int? ReadPid(string recordDirectory) =>
        Lines(recordDirectory) is [var pid, ..] && int.TryParse(pid, out var number) ? number : null;

    private static string[] Lines(string recordDirectory)
    {
        try
        {
            // A line counts only when it ends: the keeper may be writing.
            return File.ReadAllText(Path.Combine(recordDirectory, StatusFile)).Split('\n')[..^1];
        }
        catch (IOException)
        {
            return [];
        }
    }

    private static string Script(int joinFiles, IReadOnlyList<string> environment, bool bash)
    {
        var script = new StringBuilder("trap : HUP INT QUIT TERM USR1 USR2 ALRM; echo $$ >&4; ");
        var close = new StringBuilder("3>&- 4>&- 5>&-");
        for (var i = 0; i < joinFiles; i++)
        {
            var descriptor = FirstJoinDescriptor + i;
            script.Append("echo 0 2>/dev/null >&").Append(descriptor).Append("; ");
            close.Append(' ').Append(descriptor).Append(">&-");
        }

        // Variables that shells export on their own account.
        foreach (var variable in (string[])["PWD", "OLDPWD", "SHLVL"])
        {
            if (!environment.Any(own => own.StartsWith(variable + "=", StringComparison.Ordinal)))
                script.Append("unset ").Append(variable).Append("; ");
        }

        // In parentheses, so that the redirections are the child's alone and the shell's word about a signal goes to descriptor 2.
        script.Append(bash ? "(exec -a \"$0\" \"$@\" 2>&3 " : "(exec \"$@\" 2>&3 ").Append(close).Append("); echo $? >&4");
        return script.ToString();
    }

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]*=")]
    private static partial Regex Identifier();
}
