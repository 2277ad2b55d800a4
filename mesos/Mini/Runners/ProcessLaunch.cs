namespace Declarative.Mesos.Mini.Runners;

/// <summary>What to run and where. All paths are absolute.</summary>
/// <param name="Name">The start of the cgroup's name.</param>
/// <param name="File">The file to execute.</param>
/// <param name="Arguments">With argv[0].</param>
/// <param name="Environment"><c>NAME=value</c>; nothing is added to it.</param>
/// <param name="Stdout">Appended to.</param>
/// <param name="Stderr">Appended to.</param>
/// <param name="RecordDirectory">Where the exit is written down; what is in it lets <see cref="ProcessRunner.Adopt"/> find the process again.</param>
internal sealed record ProcessLaunch(
    string Name,
    string File,
    IReadOnlyList<string> Arguments,
    IReadOnlyList<string> Environment,
    string WorkingDirectory,
    string Stdout,
    string Stderr,
    string RecordDirectory,
    ProcessLimits Limits
)
{
    /// <summary>Stands in the place of /etc/resolv.conf for the process and its children; null: the machine's own.</summary>
    public string? ResolverFile { get; init; }

    /// <summary>Where its input comes from; <see cref="Stderr"/> stays empty where it has a terminal.</summary>
    public ProcessInput Input { get; init; }

    /// <summary>The size of the terminal from the first moment on; null = the system's, which is 0 × 0.</summary>
    public (int Columns, int Rows)? TerminalSize { get; init; }
}

/// <summary>What a task's process reads.</summary>
internal enum ProcessInput
{
    /// <summary>The end of a file at once.</summary>
    None,

    /// <summary>What is written into a pipe. The pipe ends with the agent: after its crash the process reads the end of a file.</summary>
    Pipe,

    /// <summary>A terminal, for output too; it outlives the agent, which takes it up again.</summary>
    Terminal,
}
