using System.Globalization;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.AgentApi;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Http;

/// <summary>What an agent's API shows of its state.</summary>
internal static class AgentViews
{
    private const double BytesPerMegabyte = 1024 * 1024;

    public static Response.Types.GetTasks Tasks(ProcessAgent agent)
    {
        var tasks = new Response.Types.GetTasks();
        foreach (var task in agent.Runs.SelectMany(run => run.Tasks))
        {
            var list =
                !task.IsTerminal ? tasks.LaunchedTasks
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
            var running = run.Tasks.Where(task => !task.IsTerminal && task.Process is not null).ToList();
            containers.Add(
                new()
                {
                    FrameworkId = run.FrameworkId,
                    ExecutorId = run.ExecutorId,
                    ExecutorName = run.Name,
                    ContainerId = run.Container,
                    ContainerStatus = Status(run, run.Container, running),
                    ResourceStatistics = Statistics(agent, running),
                }
            );
            if (!nested)
                continue;
            foreach (var beside in agent.Nested.Running.Where(beside => running.Exists(task => task.Container.Equals(beside.Id.Parent))))
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

            if (run.Executor is null)
                continue;
            foreach (var task in running)
            {
                containers.Add(
                    new()
                    {
                        ContainerId = new ContainerID { Value = task.Container.Value },
                        ContainerStatus = Status(run, task.Container, [task]),
                        ResourceStatistics = Statistics(agent, [task]),
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
        yield return ("containerizers", "mesos");
        yield return ("gc_delay", string.Create(CultureInfo.InvariantCulture, $"{options.SandboxAge.TotalSeconds}secs"));
        yield return ("hostname", options.Hostname);
        yield return ("ip", options.Ip);
        yield return ("isolation", options.UseCgroups ? "cgroups/cpu,cgroups/mem" : "posix/cpu,posix/mem");
        yield return ("port", options.Port.ToString(CultureInfo.InvariantCulture));
        yield return (
            "resources",
            string.Create(
                CultureInfo.InvariantCulture,
                $"cpus:{options.Cpus};mem:{options.MemoryMegabytes};disk:{options.DiskMegabytes};ports:[{options.Ports.Begin}-{options.Ports.End}]"
            )
        );
        yield return ("work_dir", options.WorkDirectory);
    }

    public static IEnumerable<(string Name, double Value)> Metrics(ProcessAgent agent)
    {
        var options = agent.Options;
        var tasks = agent.Runs.SelectMany(run => run.Tasks).Select(task => task.Record).ToList();
        var used = Used(agent);
        yield return ("slave/cpus_total", options.Cpus);
        yield return ("slave/cpus_used", Milli.ToDouble(used.Scalar("cpus")));
        yield return ("slave/disk_total", options.DiskMegabytes);
        yield return ("slave/disk_used", Milli.ToDouble(used.Scalar("disk")));
        yield return ("slave/mem_total", options.MemoryMegabytes);
        yield return ("slave/mem_used", Milli.ToDouble(used.Scalar("mem")));
        yield return ("slave/registered", agent.IsRegistered ? 1 : 0);
        foreach (var state in (TaskState[])[TaskState.TaskFailed, TaskState.TaskFinished, TaskState.TaskKilled, TaskState.TaskKilling, TaskState.TaskRunning, TaskState.TaskStarting])
            yield return ($"slave/tasks_{StateJson.Name(state)["TASK_".Length..].ToLowerInvariant()}", tasks.Count(task => task.State == state));
        yield return ("slave/uptime_secs", agent.Uptime.TotalSeconds);
    }

    /// <summary>The resources of everything that runs.</summary>
    public static ResourceBag Used(ProcessAgent agent)
    {
        var used = new ResourceBag();
        foreach (var run in agent.Runs.Where(run => run.EndedAt is null))
            used.Add(Used(run));
        return used;
    }

    public static ResourceBag Used(ExecutorRun run) =>
        ResourceBag.Of([.. run.Executor?.Resources ?? [], .. run.Tasks.Where(task => !task.IsTerminal).SelectMany(task => task.Info.Resources)]);

    private static ContainerStatus Status(ExecutorRun run, ContainerID container, List<AgentTask> tasks)
    {
        var status = new ContainerStatus { ContainerId = container };
        if (tasks is [{ Process: { } process }, ..])
            status.ExecutorPid = (uint)process.KeeperPid;
        return status;
    }

    private static ResourceStatistics Statistics(ProcessAgent agent, List<AgentTask> tasks)
    {
        var statistics = new ResourceStatistics { Timestamp = agent.Now };
        var usages = tasks.Select(task => task.Process!.Usage()).ToList();
        statistics.CpusUserTimeSecs = usages.Sum(usage => usage.CpuUser);
        statistics.CpusSystemTimeSecs = usages.Sum(usage => usage.CpuSystem);
        statistics.CpusSoftLimit = tasks.Sum(task => TaskCommand.Scalar(task.Info.Resources, "cpus"));
        var requested = tasks.Sum(task => TaskCommand.Scalar(task.Info.Resources, "mem")) * BytesPerMegabyte;
        statistics.MemSoftLimitBytes = (ulong)requested;
        statistics.MemLimitBytes = usages.All(usage => usage.MemoryBytesMax is not null) && usages.Count > 0
            ? (ulong)usages.Sum(usage => usage.MemoryBytesMax!.Value)
            : (ulong)requested;
        statistics.MemRssBytes = (ulong)usages.Sum(usage => usage.MemoryBytes);
        statistics.MemTotalBytes = statistics.MemRssBytes;
        return statistics;
    }
}
