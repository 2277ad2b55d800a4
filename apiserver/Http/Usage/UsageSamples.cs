using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Streams;
using Declarative.Mesos.AgentClient;

namespace Declarative.ApiServer.Http.Usage;

/// <summary>Two looks at what an agent's tasks have used; the rate is between them.</summary>
internal sealed record NodeUsage(AgentUsage Before, AgentUsage Now)
{
    public double WindowSeconds => Now.Timestamp - Before.Timestamp;

    /// <summary>null where the task has not been seen twice.</summary>
    public (double Cpus, long MemoryBytes)? OfTask(string task) =>
        Now.ByTask.TryGetValue(task, out var now) && Before.ByTask.TryGetValue(task, out var before) ? Rate(before, now) : null;

    /// <summary>Of all tasks of the agent, of whichever framework.</summary>
    public (double Cpus, long MemoryBytes) OfAll => Rate(Before.All, Now.All);

    // A task that has ended took its seconds along.
    private (double, long) Rate(Mesos.AgentClient.Usage before, Mesos.AgentClient.Usage now) =>
        (Math.Max(0, now.CpuSeconds - before.CpuSeconds) / WindowSeconds, now.MemoryBytes);
}

/// <summary>
/// What agents' tasks use, looked at when somebody asks: an agent tells seconds of CPU since a task's start, so it is asked twice. The earlier look
/// is the last asker's where it is not too old; else both are made now, a moment apart.
/// </summary>
internal sealed class UsageSamples(HttpMessageInvoker agents, TimeProvider time)
{
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Within = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, AgentUsage> _last = [];

    /// <summary>null where the agent does not answer: its node has no metrics.</summary>
    public async Task<NodeUsage?> Of(Node node, CancellationToken stop)
    {
        using var limit = new CancellationTokenSource(Within, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, limit.Token);
        try
        {
            var agent = new AgentClient(ContainerTask.AgentOf(node), agents, time);
            var now = await Look(agent, either.Token);
            AgentUsage? before;
            lock (_gate) before = _last.GetValueOrDefault(node.Name);
            if (before is null || now.Timestamp - before.Timestamp < Shortest.TotalSeconds || now.Timestamp - before.Timestamp > Longest.TotalSeconds)
            {
                before = now;
                await Task.Delay(Shortest, time, either.Token);
                now = await Look(agent, either.Token);
            }
            lock (_gate) _last[node.Name] = now;
            return now.Timestamp > before.Timestamp ? new(before, now) : null;
        }
        catch (Exception e) when (e is AgentRefused or AgentUnavailable or ApiException || (e is OperationCanceledException && limit.IsCancellationRequested && !stop.IsCancellationRequested))
        {
            return null;
        }
    }

    // Where nothing runs there are no statistics to have a time.
    private async Task<AgentUsage> Look(AgentClient agent, CancellationToken stop)
    {
        var found = await AgentUsage.Read(agent, stop);
        return found.Timestamp > 0 ? found : found with { Timestamp = time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0 };
    }

    /// <summary>Forgets nodes that are no more.</summary>
    public void Keep(IReadOnlySet<string> nodes)
    {
        lock (_gate)
        {
            foreach (var gone in _last.Keys.Where(x => !nodes.Contains(x)).ToList()) _last.Remove(gone);
        }
    }
}
