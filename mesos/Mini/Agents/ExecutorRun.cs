using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>Who looks after the tasks of a run.</summary>
internal enum ExecutorKind
{
    /// <summary>The agent, as Mesos' command executor does: one task in the run's container.</summary>
    Command,

    /// <summary>The agent, as Mesos' default executor does: a pod, each task in a container of its own below the run's.</summary>
    Pod,

    /// <summary>A process that the framework brings.</summary>
    Own,
}

/// <summary>
/// One run of what Mesos calls an executor: the container of a command task, of a pod with a nested container per task, or of the executor
/// that a framework brings. The agent itself does the work of Mesos' command and default executors.
/// </summary>
internal sealed class ExecutorRun
{
    private const string FrameworkFile = "framework";
    private const string ExecutorFile = "executor";
    private const string EndedFile = "ended";

    private readonly Lock gate = new();
    private readonly AgentWorld world;
    private readonly List<AgentTask> tasks = [];
    private int groups;
    private bool failed;

    private ExecutorRun(AgentWorld world, FrameworkInfo framework, ExecutorInfo? executor, ExecutorID executorId, string container)
    {
        this.world = world;
        Framework = framework;
        Executor = executor;
        ExecutorId = executorId;
        Container = new ContainerID { Value = container };
        MetaDirectory = world.Directory.RunMeta(container);
        Sandbox = world.Directory.Sandbox(world.Id!.Value, framework.Id.Value, executorId.Value, container);
        Kind =
            executor is null ? ExecutorKind.Command
            : executor.Type == ExecutorInfo.Types.Type.Default ? ExecutorKind.Pod
            : ExecutorKind.Own;
        if (Kind == ExecutorKind.Own)
            Own = new OwnExecutor(world, this);
        KnowsKilling = framework.Capabilities.Any(capability => capability.Type == FrameworkInfo.Types.Capability.Types.Type.TaskKillingState);
    }

    public FrameworkInfo Framework { get; }
    public FrameworkID FrameworkId => Framework.Id;

    /// <summary>Null for a command task.</summary>
    public ExecutorInfo? Executor { get; }
    public ExecutorKind Kind { get; }

    /// <summary>The executor that the framework brings; null where the agent is the executor.</summary>
    public OwnExecutor? Own { get; }
    public ExecutorID ExecutorId { get; }
    public ContainerID Container { get; }
    public string MetaDirectory { get; }
    public string Sandbox { get; }

    /// <summary>The framework wants to see TASK_KILLING.</summary>
    public bool KnowsKilling { get; }

    /// <summary>When its last task ended, or the framework's own executor; null before.</summary>
    public DateTimeOffset? EndedAt { get; private set; }

    public IReadOnlyList<AgentTask> Tasks
    {
        get
        {
            lock (gate)
                return [.. tasks];
        }
    }

    public bool IsSettled => EndedAt is not null && Tasks.All(task => task.IsSettled);

    /// <summary>What Mesos calls it; empty for a pod.</summary>
    public string Name =>
        Executor is not null ? Executor.Name
        : Tasks is [var task, ..] ? $"Command Executor (Task: {task.Id}) (Command: {Abridged(task.Info.Command)})"
        : "";

    public static ExecutorRun Command(AgentWorld world, FrameworkInfo framework, TaskInfo task) =>
        new(world, framework, null, new ExecutorID { Value = task.TaskId.Value }, world.NewContainerId());

    /// <summary>A pod, or an executor of the framework's own.</summary>
    public static ExecutorRun Of(AgentWorld world, FrameworkInfo framework, ExecutorInfo executor) =>
        new(world, framework, executor, executor.ExecutorId, world.NewContainerId());

    /// <summary>Writes the run down and makes its sandbox. Before any task of it is begun.</summary>
    public void Make()
    {
        Directory.CreateDirectory(MetaDirectory);
        if (Executor is not null)
            WorkDirectory.Write(Path.Combine(MetaDirectory, ExecutorFile), Executor);
        // Last: a run without this file was never begun.
        WorkDirectory.Write(Path.Combine(MetaDirectory, FrameworkFile), Framework);
        WorkDirectory.MakeSandbox(Sandbox);
    }

    /// <summary>
    /// Launches tasks that live and die together. When one of them cannot be started, none is: that one fails, the others are killed.
    /// </summary>
    /// <param name="asGroup">The framework launched them as a task group: its own executor is told so.</param>
    public void Launch(IReadOnlyList<TaskInfo> infos, bool asGroup, CancellationToken stop)
    {
        List<AgentTask> added = [];
        lock (gate)
        {
            groups++;
            foreach (var info in infos)
                added.Add(new AgentTask(world, this, info, Kind == ExecutorKind.Command ? Container.Value : world.NewContainerId(), groups));
            tasks.AddRange(added);
            EndedAt = null;
        }

        List<(AgentTask Task, ProcessLaunch Launch)> prepared = [];
        string? refused = null;
        foreach (var task in added)
        {
            if (Kind == ExecutorKind.Pod)
            {
                WorkDirectory.MakeTaskSandbox(Sandbox, task.Container.Value);
                WorkDirectory.LinkTask(Sandbox, task.Id, task.Container.Value);
            }

            task.Begin();
        }

        if (Own is not null)
        {
            Own.Launch(added, asGroup, stop);
            return;
        }

        foreach (var task in added)
        {
            var sandbox = SandboxOf(task);
            world.Volumes.LinkInto(sandbox, task.Info.Resources);
            var (launch, refusal) = TaskCommand.Prepare(task.Info, ExecutorEnvironment.Of(world, this, task, sandbox), task.Container.Value, sandbox, task.RecordDirectory);
            if (launch is null)
            {
                task.Fail(refusal!);
                refused ??= $"{task.Id}: {refusal}";
            }
            else
            {
                prepared.Add((task, launch with { ResolverFile = ResolverOf(task) }));
            }
        }

        foreach (var (task, launch) in prepared)
        {
            if (refused is null && task.Start(launch) is { } error)
            {
                task.Fail(error);
                refused = $"{task.Id}: {error}";
            }
        }

        if (refused is not null)
        {
            failed = true;
            foreach (var (task, _) in prepared.Where(other => other.Task.Process is null))
                task.KilledBeforeStart($"another container of the pod could not be started: {refused}");
            foreach (var task in added.Where(task => task.Process is not null))
                task.Kill(policy: null);
        }

        foreach (var task in added.Where(task => task.Process is not null))
            world.Own(Follow(task, stop));
        Settle();
    }

    /// <summary>Ends every task; an executor's own grace period counts where the framework gave one.</summary>
    public void ShutDown()
    {
        var grace = Executor?.ShutdownGracePeriod is { } given ? TimeSpan.FromTicks(given.Nanoseconds / TimeSpan.NanosecondsPerTick) : world.Options.Executors.ShutdownGrace;
        if (Own is not null)
        {
            Own.ShutDown(grace);
            return;
        }

        foreach (var task in Tasks)
            task.Kill(policy: null, grace);
    }

    /// <summary>Reads what an earlier agent left; null when it died before it promised anything.</summary>
    public static ExecutorRun? Recover(AgentWorld world, string metaDirectory)
    {
        var frameworkFile = Path.Combine(metaDirectory, FrameworkFile);
        if (!File.Exists(frameworkFile))
            return null;
        var framework = FrameworkInfo.Parser.ParseFrom(File.ReadAllBytes(frameworkFile));
        var executorFile = Path.Combine(metaDirectory, ExecutorFile);
        var executor = File.Exists(executorFile) ? ExecutorInfo.Parser.ParseFrom(File.ReadAllBytes(executorFile)) : null;
        var tasksDirectory = Path.Combine(metaDirectory, "tasks");
        var directories = Directory.Exists(tasksDirectory) ? Directory.EnumerateDirectories(tasksDirectory).Order(StringComparer.Ordinal).ToList() : [];
        var executorId = executor?.ExecutorId ?? (directories.Count > 0 ? CommandExecutor(directories[0]) : null);
        if (executorId is null)
            return null;
        if (!framework.Checkpoint)
        {
            world.Own(Abandoned.End(world, framework.Id, executorId, Path.GetFileName(metaDirectory), directories, Path.Combine(metaDirectory, OwnExecutor.RecordFolder)));
            return null;
        }

        var run = new ExecutorRun(world, framework, executor, executorId, Path.GetFileName(metaDirectory));
        foreach (var directory in directories)
        {
            if (AgentTask.Recover(world, run, directory) is not { } task)
                continue;
            run.tasks.Add(task);
            run.groups = Math.Max(run.groups, task.Group);
        }

        run.failed = run.tasks.Any(task => task.Record.State is TaskState.TaskFailed or TaskState.TaskKilled);
        if (File.Exists(Path.Combine(metaDirectory, EndedFile)))
            run.EndedAt = new DateTimeOffset(File.GetLastWriteTimeUtc(Path.Combine(metaDirectory, EndedFile)));
        return run.tasks.Count > 0 ? run : null;
    }

    /// <summary>Takes up the watch over recovered tasks.</summary>
    public void Resume(CancellationToken stop)
    {
        if (Own is not null)
        {
            if (EndedAt is null)
                Own.Resume(stop);
            return;
        }

        foreach (var task in Tasks.Where(task => !task.IsTerminal))
        {
            if (task.Process is null)
            {
                task.Drop("The agent ended before it had started the task");
                continue;
            }

            world.Own(Follow(task, stop));
            task.ResumeKill();
        }

        Settle();
    }

    public ContainerID ContainerOf(string value) =>
        Kind == ExecutorKind.Pod ? new ContainerID { Value = value, Parent = Container } : Container;

    public string SandboxOf(AgentTask task) =>
        Kind == ExecutorKind.Pod ? Path.Combine(Sandbox, "containers", task.Container.Value) : Sandbox;

    /// <summary>Of a container in a pod, addresses are known only while it runs.</summary>
    public ContainerStatus StatusOf(AgentTask task, bool ended)
    {
        var status = new ContainerStatus { ContainerId = task.Container };
        if ((Own?.Process ?? task.Process) is not { } process || (ended && Kind == ExecutorKind.Pod))
            return status;
        status.NetworkInfos.Add(
            new NetworkInfo
            {
                IpAddresses = { new NetworkInfo.Types.IPAddress { Protocol = NetworkInfo.Types.Protocol.Ipv4, IpAddress = world.Ip } },
            }
        );
        status.ExecutorPid = (uint)process.KeeperPid;
        return status;
    }

    private string? ResolverOf(AgentTask task) =>
        PrivateMounts.AreAllowed ? world.Options.Resolver()?.Write(task.Info, task.RecordDirectory) : null;

    private async Task Follow(AgentTask task, CancellationToken stop)
    {
        try
        {
            await task.Watch(stop);
        }
        catch (OperationCanceledException)
        {
            // The agent stops; the task goes on.
            return;
        }
        catch (Exception broken) when (broken is not OutOfMemoryException)
        {
            // Bulkhead: the other tasks go on.
            Log.TaskBroke(world.Log, world.Options.Hostname, task.Id, broken);
        }

        if (task.Record.State is not TaskState.TaskFinished)
        {
            lock (gate)
                failed = true;
            foreach (var sibling in Tasks.Where(other => other.Group == task.Group && other != task))
                sibling.Kill(policy: null);
        }

        Settle();
    }

    // When the last task has ended, the executor has.
    private void Settle()
    {
        lock (gate)
        {
            if (EndedAt is not null || tasks.Any(task => !task.IsTerminal))
                return;
        }

        End(waitStatus: 0);
    }

    /// <summary>Writes down that it is over, and tells the master of an executor that it knew.</summary>
    /// <param name="waitStatus">Of the executor: exit code 7 is 1792, signal 9 is 9.</param>
    public void End(int waitStatus)
    {
        lock (gate)
        {
            if (EndedAt is not null)
                return;
            EndedAt = world.Time.GetUtcNow();
        }

        try
        {
            File.WriteAllText(Path.Combine(MetaDirectory, EndedFile), failed ? "failed" : "");
        }
        catch (IOException full)
        {
            Log.CheckpointFailed(world.Log, world.Options.Hostname, MetaDirectory, full.Message);
        }

        if (Executor is not null)
        {
            world.Send(
                new ToMaster
                {
                    ExitedExecutor = new()
                    {
                        FrameworkId = FrameworkId,
                        ExecutorId = ExecutorId,
                        Status = waitStatus,
                    },
                }
            );
        }
    }

    private static ExecutorID? CommandExecutor(string taskDirectory)
    {
        var file = Path.Combine(taskDirectory, "task");
        return File.Exists(file) ? new ExecutorID { Value = TaskInfo.Parser.ParseFrom(File.ReadAllBytes(file)).TaskId.Value } : null;
    }

    private static string Abridged(CommandInfo? command)
    {
        const int shown = 15;
        var text = command is null ? "" : command.Shell ? $"sh -c '{Cut(command.Value, shown)}'" : Cut(string.Join(' ', command.Arguments), shown);
        return text;

        static string Cut(string value, int length) => value.Length > length ? value[..(length - 3)] + "..." : value;
    }
}
