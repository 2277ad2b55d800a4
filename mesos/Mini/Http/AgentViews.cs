using System.Globalization;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.AgentApi;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Http;

/// <summary>What an agent's API shows of its state.</summary>
internal static class AgentViews
{
    private static readonly TaskState[] Counted =
    [
        TaskState.TaskFailed,
        TaskState.TaskFinished,
        TaskState.TaskGone,
        TaskState.TaskKilled,
        TaskState.TaskKilling,
        TaskState.TaskLost,
        TaskState.TaskRunning,
        TaskState.TaskStaging,
        TaskState.TaskStarting,
    ];

    private const double BytesPerMegabyte = 1024 * 1024;

    public static Response.Types.GetTasks Tasks(ProcessAgent agent)
    {
        var tasks = new Response.Types.GetTasks();
        var queued = agent.Runs.SelectMany(run => run.Own?.Queued ?? []).ToHashSet();
        foreach (var task in agent.Runs.SelectMany(run => run.Tasks))
        {
            var list =
                queued.Contains(task) ? tasks.QueuedTasks
                : !task.IsTerminal ? tasks.LaunchedTasks
                : !task.IsSettled ? tasks.TerminatedTasks
                : tasks.CompletedTasks;
            list.Add(task.Record);
        }

        return tasks;
    }

    public static Response.Types.GetExecutors Executors(ProcessAgent agent)
    {
        var executors = new Response.Types.GetExecutors();
        foreach (var run in agent.Runs)
            (run.EndedAt is null ? executors.Executors : executors.CompletedExecutors).Add(new Response.Types.GetExecutors.Types.Executor { ExecutorInfo = Executor(run) });
        return executors;
    }

    public static Response.Types.GetFrameworks Frameworks(ProcessAgent agent)
    {
        var frameworks = new Response.Types.GetFrameworks();
        foreach (var runs in agent.Runs.GroupBy(run => run.FrameworkId.Value))
        {
            var framework = new Response.Types.GetFrameworks.Types.Framework { FrameworkInfo = runs.Last().Framework };
            (runs.Any(run => !run.IsSettled) ? frameworks.Frameworks : frameworks.CompletedFrameworks).Add(framework);
        }

        return frameworks;
    }

    public static List<Response.Types.GetContainers.Types.Container> Containers(ProcessAgent agent, bool nested)
    {
        List<Response.Types.GetContainers.Types.Container> containers = [];
        foreach (var run in agent.Runs.Where(run => run.EndedAt is null))
        {
            var running = Running(run);
            containers.Add(
                new()
                {
                    FrameworkId = run.FrameworkId,
                    ExecutorId = run.ExecutorId,
                    ExecutorName = run.Name,
                    ContainerId = run.Container,
                    ContainerStatus = Status(run.Container, running),
                    ResourceStatistics = Statistics(agent, run.Executor?.Resources ?? [], running),
                }
            );
            if (!nested)
                continue;
            foreach (var beside in agent.Nested.Running.Where(beside => running.Exists(one => one.Container.Equals(beside.Id.Parent))))
            {
                containers.Add(
                    new()
                    {
                        ContainerId = new ContainerID { Value = beside.Id.Value },
                        ContainerStatus = new() { ContainerId = beside.Id, ExecutorPid = (uint)beside.Pid },
                        ResourceStatistics = new() { Timestamp = agent.Now },
                    }
                );
            }

            if (run.Kind != ExecutorKind.Pod)
                continue;
            foreach (var task in running)
            {
                containers.Add(
                    new()
                    {
                        ContainerId = new ContainerID { Value = task.Container.Value },
                        ContainerStatus = Status(task.Container, [task]),
                        ResourceStatistics = Statistics(agent, [], [task]),
                    }
                );
            }
        }

        return containers;
    }

    public static ExecutorInfo Executor(ExecutorRun run)
    {
        var executor = run.Executor?.Clone() ?? new ExecutorInfo { ExecutorId = run.ExecutorId, Name = run.Name };
        executor.FrameworkId = run.FrameworkId;
        if (run.Executor is null && run.Tasks is [var task, ..])
            executor.Resources.Add(task.Info.Resources);
        return executor;
    }

    public static IEnumerable<(string Name, string Value)> Flags(ProcessAgent agent)
    {
        var options = agent.Options;
        yield return ("attributes", string.Join(';', options.Attributes.Select(attribute => $"{attribute.Name}:{attribute.Value}")));
        yield return ("authenticate_http_executors", options.ExecutorKey is null ? "false" : "true");
        yield return ("authenticate_http_readonly", "false");
        yield return ("authenticate_http_readwrite", "false");
        yield return ("containerizers", "mesos");
        yield return ("executor_registration_timeout", DurationText.Of(options.Executors.Registration));
        yield return ("executor_reregistration_timeout", DurationText.Of(options.Executors.SubscriptionBackoffMax));
        yield return ("executor_shutdown_grace_period", DurationText.Of(options.Executors.ShutdownGrace));
        yield return ("gc_delay", DurationText.Of(options.SandboxAge));
        yield return ("hostname", options.Hostname);
        yield return ("hostname_lookup", "false");
        yield return ("http_command_executor", "false");
        yield return ("http_executor_domain_sockets", "false");
        yield return ("ip", options.Ip);
        yield return ("isolation", options.UseCgroups ? "cgroups/cpu,cgroups/mem" : "posix/cpu,posix/mem");
        yield return ("launcher", "posix");
        yield return ("port", options.Port.ToString(CultureInfo.InvariantCulture));
        yield return (
            "resources",
            string.Create(
                CultureInfo.InvariantCulture,
                $"cpus:{options.Cpus};mem:{options.MemoryMegabytes};disk:{options.DiskMegabytes};ports:[{options.Ports.Begin}-{options.Ports.End}]"
            )
        );
        yield return ("recover", "reconnect");
        yield return ("recovery_timeout", DurationText.Of(options.Executors.Recovery));
        yield return ("switch_user", "false");
        yield return ("work_dir", options.WorkDirectory);
    }

    public static IEnumerable<(string Name, double Value)> Metrics(ProcessAgent agent)
    {
        var options = agent.Options;
        var tasks = agent.Runs.SelectMany(run => run.Tasks).Select(task => task.Record).ToList();
        var used = Used(agent);
        foreach (var (name, total) in ((string, double)[])[("cpus", options.Cpus), ("disk", options.DiskMegabytes), ("gpus", 0), ("mem", options.MemoryMegabytes)])
        {
            var inUse = Milli.ToDouble(used.Scalar(name));
            yield return ($"slave/{name}_percent", total == 0 ? 0 : inUse / total);
            yield return ($"slave/{name}_total", total);
            yield return ($"slave/{name}_used", inUse);
        }

        var runs = agent.Runs;
        yield return ("slave/executors_registering", runs.Count(run => run is { EndedAt: null, Own: { IsKnown: false } }));
        yield return ("slave/executors_running", runs.Count(run => run is { EndedAt: null, Own: null or { IsKnown: true } }));
        yield return ("slave/executors_terminated", runs.Count(run => run.EndedAt is not null));
        yield return ("slave/frameworks_active", runs.Where(run => run.EndedAt is null).Select(run => run.FrameworkId.Value).Distinct().Count());
        yield return ("slave/registered", agent.IsRegistered ? 1 : 0);
        foreach (var state in Counted)
            yield return ($"slave/tasks_{StateJson.Name(state)["TASK_".Length..].ToLowerInvariant()}", tasks.Count(task => task.State == state));
        yield return ("slave/uptime_secs", agent.Uptime.TotalSeconds);
        foreach (var metric in SystemStatistics.Metrics())
            yield return metric;
    }

    /// <summary>The resources of everything that runs.</summary>
    public static ResourceBag Used(ProcessAgent agent)
    {
        var used = new ResourceBag();
        foreach (var run in agent.Runs.Where(run => run.EndedAt is null))
            used.Add(Used(run));
        return used;
    }

    /// <summary>Null where nothing of it is allocated to a role.</summary>
    public static string? RoleOf(ExecutorRun run) =>
        run.Tasks.SelectMany(task => task.Info.Resources).Concat(run.Executor?.Resources ?? []).FirstOrDefault(one => one.AllocationInfo is not null)?.AllocationInfo.Role;

    public static ResourceBag Used(ExecutorRun run) =>
        ResourceBag.Of([.. run.Executor?.Resources ?? [], .. run.Tasks.Where(task => !task.IsTerminal).SelectMany(task => task.Info.Resources)]);

    // What runs in its containers: the tasks, or the executor that the framework brought.
    private static List<Inside> Running(ExecutorRun run)
    {
        if (run.Own is { } own)
        {
            var tasks = run.Tasks.Where(task => !task.IsTerminal).SelectMany(task => task.Info.Resources);
            return own.Process is { } process ? [new(run.Container, process, [.. tasks])] : [];
        }

        return [.. run.Tasks.Where(task => !task.IsTerminal && task.Process is not null).Select(task => new Inside(task.Container, task.Process!, task.Info.Resources))];
    }

    private static ContainerStatus Status(ContainerID container, List<Inside> inside)
    {
        var status = new ContainerStatus { ContainerId = container };
        if (inside is [var first, ..])
            status.ExecutorPid = (uint)first.Process.KeeperPid;
        return status;
    }

    private static ResourceStatistics Statistics(ProcessAgent agent, IEnumerable<Resource> executor, List<Inside> inside)
    {
        var statistics = new ResourceStatistics { Timestamp = agent.Now };
        var usages = inside.Select(one => one.Process.Usage()).ToList();
        List<Resource> resources = [.. executor, .. inside.SelectMany(one => one.Resources)];
        statistics.CpusUserTimeSecs = usages.Sum(usage => usage.CpuUser);
        statistics.CpusSystemTimeSecs = usages.Sum(usage => usage.CpuSystem);
        statistics.CpusSoftLimit = TaskCommand.Scalar(resources, "cpus");
        var requested = TaskCommand.Scalar(resources, "mem") * BytesPerMegabyte;
        statistics.MemSoftLimitBytes = (ulong)requested;
        statistics.MemLimitBytes = usages.All(usage => usage.MemoryBytesMax is not null) && usages.Count > 0
            ? (ulong)usages.Sum(usage => usage.MemoryBytesMax!.Value)
            : (ulong)requested;
        statistics.MemRssBytes = (ulong)usages.Sum(usage => usage.MemoryBytes);
        statistics.MemTotalBytes = statistics.MemRssBytes;
        return statistics;
    }

    private sealed record Inside(ContainerID Container, Runners.RunningProcess Process, IReadOnlyList<Resource> Resources);
}
