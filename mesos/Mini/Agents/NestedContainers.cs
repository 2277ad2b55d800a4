using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>What an attempt to start a nested container led to.</summary>
internal enum NestedLaunch
{
    Started,

    /// <summary>A container of this id runs or has run.</summary>
    Exists,
    Refused,
}

/// <summary>The nested containers of an agent by id. They end with the task that they are beside.</summary>
internal sealed class NestedContainers(ProcessAgent agent, AgentWorld world)
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, NestedContainer> containers = [];
    private readonly Queue<string> ended = new();

    public IReadOnlyList<NestedContainer> Running
    {
        get
        {
            lock (gate)
                return [.. containers.Values.Where(container => !container.Ended.IsCompleted)];
        }
    }

    /// <summary>null for one that was never started, or was removed.</summary>
    public NestedContainer? Find(ContainerID id)
    {
        lock (gate)
            return containers.GetValueOrDefault(Name(id));
    }

    /// <summary>What can be talked to: a nested container, or a task that has a terminal or reads a pipe.</summary>
    public IAttachable? Attachable(ContainerID id) => Find(id) is { } nested ? nested : Parent(id)?.Process?.Terminal;

    /// <summary>Parents and their children with dots between, as Mesos writes it.</summary>
    public static string Name(ContainerID id) => id.Parent is null ? id.Value : $"{Name(id.Parent)}.{id.Value}";

    /// <param name="toFiles">Its output goes to files in a sandbox of its own, else only to those who listen.</param>
    public (NestedLaunch Outcome, NestedContainer? Container, string? Error) Launch(ContainerID id, CommandInfo? command, ContainerInfo? info, bool toFiles)
    {
        if (HostOf(id.Parent) is not { } host)
            return (NestedLaunch.Refused, null, $"Parent container {(id.Parent is null ? "" : Name(id.Parent))} cannot be found");
        if (command is null)
            return (NestedLaunch.Refused, null, "this agent runs no images: a nested container needs a command");
        lock (gate)
        {
            if (containers.ContainsKey(Name(id)))
                return (NestedLaunch.Exists, null, null);
        }

        var variables = TaskCommand.Merge(host.Variables, command.Environment);
        var (file, arguments, missing) = TaskCommand.Resolve(command, variables, host.Sandbox);
        // As a shell does it: the caller gets the code of a command that is not there, and a word about it.
        if (file is null)
            (file, arguments) = ("/bin/sh", ["sh", "-c", "echo \"$0\" >&2; exit 127", missing ?? command.Value]);
        var terminal = info?.TtyInfo is not null;
        var (process, error) = world.Runner.Start(
            new SessionLaunch(Name(id), file, arguments, [.. variables.Select(variable => $"{variable.Name}={variable.Value}")], host.Sandbox, host.Process.JoinFiles, terminal)
            {
                MountsOf = host.Mounts,
                TerminalSize = info?.TtyInfo?.WindowSize is { } size ? ((int)size.Columns, (int)size.Rows) : null,
            }
        );
        if (process is null)
            return (NestedLaunch.Refused, null, error);
        var container = new NestedContainer(id, process, terminal, toFiles ? Files(Path.Combine(host.Sandbox, "containers", id.Value)) : null, world.Time);
        lock (gate)
            containers[Name(id)] = container;
        world.Own(Follow(container, host.Process));
        return (NestedLaunch.Started, container, null);
    }

    /// <summary>Forgets one that has ended. False while it runs.</summary>
    public bool Remove(ContainerID id)
    {
        lock (gate)
        {
            if (containers.TryGetValue(Name(id), out var container) && !container.Ended.IsCompleted)
                return false;
            containers.Remove(Name(id));
            return true;
        }
    }

    /// <summary>The agent stops: nobody is connected to them any more.</summary>
    public void KillAll()
    {
        foreach (var container in Running)
            container.Kill();
    }

    /// <summary>The task that runs in a container.</summary>
    public AgentTask? Parent(ContainerID? container) =>
        container is null ? null : agent.Runs.SelectMany(run => run.Tasks).FirstOrDefault(task => !task.IsTerminal && Name(task.Container) == Name(container));

    // A container in which others can be: of a task, or of the executor that a framework brings.
    private Host? HostOf(ContainerID? container)
    {
        if (container is null)
            return null;
        if (agent.Runs.FirstOrDefault(run => run.EndedAt is null && run.Own?.Process is not null && Name(run.Container) == Name(container)) is { } own)
        {
            var variables = ExecutorEnvironment.Of(world, own).Where(variable => variable.Name != ExecutorEnvironment.Token);
            return new(own.Own!.Process!, own.Sandbox, TaskCommand.Merge([.. variables], own.Executor!.Command?.Environment), Mounts: null);
        }

        return Parent(container) is { Process: { } process } task
            ? new(process, task.Sandbox, TaskCommand.Merge(task.Environment, task.Info.Command?.Environment), task.Mounts)
            : null;
    }

    private sealed record Host(RunningProcess Process, string Sandbox, IReadOnlyList<(string Name, string Value)> Variables, int? Mounts);

    private async Task Follow(NestedContainer container, RunningProcess parent)
    {
        if (await Task.WhenAny(container.Ended, parent.Ended) != container.Ended)
            container.Kill();
        await container.Ended;
        lock (gate)
        {
            ended.Enqueue(Name(container.Id));
            while (ended.Count > Limits.NestedContainersEndedMax)
                containers.Remove(ended.Dequeue());
        }
    }

    private static Func<bool, byte[], ValueTask> Files(string directory)
    {
        Directory.CreateDirectory(directory);
        return async (isError, data) =>
        {
            await using var file = new FileStream(Path.Combine(directory, isError ? "stderr" : "stdout"), FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
            await file.WriteAsync(data);
        };
    }
}
