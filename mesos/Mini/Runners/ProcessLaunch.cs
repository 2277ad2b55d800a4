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
}
