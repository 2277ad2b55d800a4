using Declarative.Mesos.Protocol.AgentApi;
using CallType = Declarative.Mesos.Protocol.AgentApi.Call.Types.Type;
using Container = Declarative.Mesos.Protocol.AgentApi.Response.Types.GetContainers.Types.Container;

namespace Declarative.Mesos.AgentClient;

/// <summary>What something has used up to now.</summary>
/// <param name="CpuSeconds">Since its start, user and system together.</param>
/// <param name="MemoryBytes">Resident now.</param>
public readonly record struct Usage(double CpuSeconds, long MemoryBytes);

/// <summary>What runs on an agent has used up to one moment.</summary>
/// <param name="Timestamp">Seconds since 1970, of the agent's clock.</param>
/// <param name="All">Of every executor, of whichever framework.</param>
/// <param name="ByTask">By task id; tasks that the agent has no statistics of are absent.</param>
public sealed record AgentUsage(double Timestamp, Usage All, IReadOnlyDictionary<string, Usage> ByTask)
{
    /// <summary>Throws <see cref="AgentUnavailable"/> and <see cref="AgentRefused"/>.</summary>
    public static async Task<AgentUsage> Read(AgentClient agent, CancellationToken stop)
    {
        var containers = await agent.Containers(stop);
        var tasks = (await agent.Call(new Call { Type = CallType.GetTasks }, stop)).GetTasks?.LaunchedTasks ?? [];
        // A container that is no executor's is one of a task group, or beside a task.
        var executors = containers.Where(container => container.ExecutorId is not null).ToList();
        var byContainer = new Dictionary<string, Container>(StringComparer.Ordinal);
        foreach (var container in containers.Where(container => container.ContainerId is not null))
            byContainer.TryAdd(container.ContainerId.Value, container);
        var byExecutor = new Dictionary<string, Container>(StringComparer.Ordinal);
        foreach (var container in executors)
            byExecutor.TryAdd(container.ExecutorId.Value, container);
        var byTask = new Dictionary<string, Usage>();
        foreach (var task in tasks)
        {
            var told = task.Statuses.LastOrDefault(status => status.ContainerStatus?.ContainerId is not null)?.ContainerStatus.ContainerId.Value;
            // A command task's executor bears the task's id.
            var container = (told is null ? null : byContainer.GetValueOrDefault(told)) ?? byExecutor.GetValueOrDefault(task.TaskId.Value);
            if (container?.ResourceStatistics is not null)
                byTask[task.TaskId.Value] = Of(container);
        }

        return new(
            containers.Max(container => container.ResourceStatistics?.Timestamp) ?? 0,
            new(executors.Sum(container => Of(container).CpuSeconds), executors.Sum(container => Of(container).MemoryBytes)),
            byTask
        );
    }

    private static Usage Of(Container container) =>
        container.ResourceStatistics is { } statistics ? new(statistics.CpusUserTimeSecs + statistics.CpusSystemTimeSecs, (long)statistics.MemRssBytes) : default;
}
