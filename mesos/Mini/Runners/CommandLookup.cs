namespace Declarative.Mesos.Mini.Runners;

/// <summary>Finds the file of a command before it is started, so that a missing one is reported by name and not by exit status 127.</summary>
internal static class CommandLookup
{
    private const string DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    private const int Executable = 1;

    /// <param name="command">A path (with a slash, relative to the working directory), else looked up in PATH.</param>
    /// <param name="path">The task's own PATH, or null.</param>
    public static (string? File, string? Error) Find(string command, string? path, string workingDirectory)
    {
        if (command.Length == 0)
            return (null, "the command is empty");
        if (command.Contains('/', StringComparison.Ordinal))
        {
            var file = Path.Combine(workingDirectory, command);
            return Check(file) is { } error ? (null, $"{error}: {command}") : (file, null);
        }

        var folders = (path ?? DefaultPath).Split(':', StringSplitOptions.RemoveEmptyEntries);
        foreach (var folder in folders)
        {
            var file = Path.Combine(workingDirectory, folder, command);
            if (Check(file) is null)
                return (file, null);
        }

        return (null, $"command not found: {command}: looked in {string.Join(", ", folders)}");
    }

    private static string? Check(string file) =>
        Directory.Exists(file) ? "command is a directory"
        : !File.Exists(file) ? "command not found"
        : Posix.Access(file, Executable) != 0 ? "command is not executable"
        : null;
}
