using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>From a TaskInfo to what the runner starts, or the reason why it cannot be started. Looks at the file system and ports.</summary>
internal static class TaskCommand
{
    private const string Shell = "/bin/sh";

    /// <summary>Checks everything that can be known before the start.</summary>
    /// <param name="environment">What the agent gives; the task's own variables win.</param>
    public static (ProcessLaunch? Launch, string? Refusal) Prepare(
        TaskInfo task,
        IReadOnlyList<(string Name, string Value)> environment,
        string name,
        string sandbox,
        string recordDirectory
    )
    {
        if (Image(task.Container) is { } image)
            return (null, $"this agent runs no images: {image}");
        if (task.Container is { Volumes.Count: > 0 })
            return (null, "Failed to launch container: Volumes in ContainerInfo is not supported");
        if (task.Container?.NetworkInfos.FirstOrDefault(network => network.Name.Length > 0) is { } network)
            return (null, $"Failed to launch container: Unknown CNI network '{network.Name}'");
        if (task.Command is null)
            return (null, "the task has no command");
        if (task.Command.HasUser && task.Command.User != System.Environment.UserName)
            return (null, $"this agent runs tasks as user {System.Environment.UserName} only, not as {task.Command.User}");
        if (Fetch(task.Command, sandbox) is { } unfetched)
            return (null, unfetched);
        foreach (var port in Ports(task.Resources))
        {
            if (!PortProbe.IsFree(port))
                return (null, $"port {port} in use");
        }

        var variables = Merge(environment, task.Command.Environment);
        var (file, arguments, missing) = Resolve(task.Command, variables, sandbox);
        if (file is null)
            return (null, missing);
        return (
            new ProcessLaunch(
                name,
                file,
                arguments,
                [.. variables.Select(variable => $"{variable.Name}={variable.Value}")],
                sandbox,
                Path.Combine(sandbox, "stdout"),
                Path.Combine(sandbox, "stderr"),
                recordDirectory,
                Limits(task)
            )
            {
                Input = Input(task),
                TerminalSize = task.Container?.TtyInfo?.WindowSize is { } size ? ((int)size.Columns, (int)size.Rows) : null,
            },
            null
        );
    }

    public static ProcessInput Input(TaskInfo task) =>
        task.Container?.TtyInfo is null ? ProcessInput.None
        : TaskLabels.Of(task, TaskLabels.Input) == TaskLabels.Pipe ? ProcessInput.Pipe
        : ProcessInput.Terminal;

    public static (string? File, IReadOnlyList<string> Arguments, string? Missing) Resolve(
        CommandInfo command,
        IReadOnlyList<(string Name, string Value)> variables,
        string workingDirectory
    )
    {
        if (command.Shell)
            return (Shell, ["sh", "-c", command.Value], null);
        var path = variables.LastOrDefault(variable => variable.Name == "PATH").Value;
        var (file, missing) = CommandLookup.Find(command.Value, path, workingDirectory);
        // Mesos: without the shell, arguments begin with argv[0].
        IReadOnlyList<string> arguments = command.Arguments.Count > 0 ? command.Arguments : [command.Value];
        return (file, arguments, missing);
    }

    /// <summary>Later variables replace earlier ones of the same name.</summary>
    public static List<(string Name, string Value)> Merge(
        IReadOnlyList<(string Name, string Value)> given,
        Protocol.Environment? own
    )
    {
        List<(string Name, string Value)> merged = [.. given];
        foreach (var variable in own?.Variables ?? [])
        {
            merged.RemoveAll(other => other.Name == variable.Name);
            merged.Add((variable.Name, variable.Value));
        }

        return merged;
    }

    public static IEnumerable<int> Ports(IEnumerable<Resource> resources) =>
        from resource in resources
        where resource.Name == "ports" && resource.Ranges is not null
        from range in resource.Ranges.Range
        from port in Enumerable.Range((int)range.Begin, (int)(range.End - range.Begin) + 1)
        select port;

    public static double Scalar(IEnumerable<Resource> resources, string name) =>
        resources.Where(resource => resource.Name == name).Sum(resource => resource.Scalar?.Value ?? 0);

    private static string? Image(ContainerInfo? container) =>
        container?.Docker is { } docker ? docker.Image
        : container?.Mesos?.Image is { } image ? image.Docker?.Name ?? image.Appc?.Name ?? image.Type.ToString()
        : null;

    // Only what the task asks for as a limit is enforced: a request says what it needs to be placed, not what it may use at most.
    private static ProcessLimits Limits(TaskInfo task)
    {
        var cpus = Scalar(task.Resources, "cpus");
        return new(
            CpuShare: cpus > 0 ? cpus : null,
            CpuMax: Limit(task, "cpus"),
            MemoryBytesMax: Limit(task, "mem") is { } megabytes ? (long)(megabytes * 1024 * 1024) : null
        );
    }

    private static double? Limit(TaskInfo task, string name) =>
        task.Limits.TryGetValue(name, out var limit) && double.IsFinite(limit.Value) ? limit.Value : null;

    // Of Mesos' fetcher: local files, copied.
    private static string? Fetch(CommandInfo command, string sandbox)
    {
        foreach (var uri in command.Uris)
        {
            var source = uri.Value.StartsWith("file://", StringComparison.Ordinal) ? uri.Value["file://".Length..] : uri.Value;
            if (source.Contains("://", StringComparison.Ordinal))
                return $"Failed to fetch {uri.Value}: this agent fetches only files of its own machine";
            if (uri.Extract && source.EndsWith(".tar.gz", StringComparison.Ordinal))
                return $"Failed to fetch {uri.Value}: this agent extracts no archives; set extract to false";
            var target = Path.GetFullPath(Path.Combine(sandbox, uri.HasOutputFile ? uri.OutputFile : Path.GetFileName(source)));
            if (!target.StartsWith(sandbox + "/", StringComparison.Ordinal))
                return $"Failed to fetch {uri.Value}: {uri.OutputFile} is outside of the sandbox";
            if (!File.Exists(source))
                return $"Failed to fetch {uri.Value}: no such file";
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(source, target, overwrite: true);
            if (uri.Executable && !OperatingSystem.IsWindows())
                File.SetUnixFileMode(target, File.GetUnixFileMode(target) | UnixFileMode.UserExecute);
        }

        return null;
    }
}
