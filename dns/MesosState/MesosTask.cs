using System.Net;
using Declarative.Mesos.Protocol;

namespace Declarative.Dns.MesosState;

/// <summary>What DNS needs to know of a task, from the operator API or from <c>/state</c>.</summary>
/// <param name="FrameworkId">With <paramref name="Id"/> it names the task: ids are unique within a framework only.</param>
/// <param name="Discovery">Null: the task has no discovery information.</param>
/// <param name="HostPorts">From its resources.</param>
internal sealed record MesosTask(
    string Id, string Name, string FrameworkId, string AgentId, TaskDiscovery? Discovery, IReadOnlyList<int> HostPorts)
{
    public bool IsRunning { get; init; }

    /// <summary>False: the newest status says that its health check fails. Without a check it counts as healthy.</summary>
    public bool IsHealthy { get; init; } = true;

    public TaskAddresses Addresses { get; init; } = TaskAddresses.None;

    public static MesosTask Of(Declarative.Mesos.Protocol.Task task)
    {
        var discovery = task.Discovery is { } given
            ? new TaskDiscovery(given.Name, [.. given.Ports?.Ports_.Select(p => new DiscoveryPort(p.Name, p.Protocol, (int)p.Number)) ?? []])
            : null;
        var ports = task.Resources.Where(r => r.Name == "ports" && r.Ranges is not null)
            .SelectMany(r => r.Ranges.Range.SelectMany(range => PortsIn((long)range.Begin, (long)range.End)));
        var known = new MesosTask(task.TaskId.Value, task.Name, task.FrameworkId.Value, task.AgentId.Value, discovery, [.. ports.Take(DnsLimits.TaskPortsMax)]);
        foreach (var status in task.Statuses.Where(s => s.State == TaskState.TaskRunning).OrderBy(s => s.Timestamp))
            known = known.With(status);
        return known with { IsRunning = task.State == TaskState.TaskRunning };
    }

    /// <summary>The task after a status update. An update without network information does not take back what an earlier one said.</summary>
    public MesosTask With(Declarative.Mesos.Protocol.TaskStatus status)
    {
        if (status.State != TaskState.TaskRunning)
            return this with { IsRunning = false };
        var labels = status.Labels?.Labels_.Select(l => (l.Key, l.Value)) ?? [];
        var network = status.ContainerStatus?.NetworkInfos.SelectMany(n => n.IpAddresses.Select(a => a.IpAddress)) ?? [];
        return this with { IsRunning = true, IsHealthy = !status.HasHealthy || status.Healthy, Addresses = Addresses.Or(TaskAddresses.Of(network, labels)) };
    }

    public static IEnumerable<int> PortsIn(long begin, long end)
    {
        for (var port = Math.Max(0, begin); port <= Math.Min(end, ushort.MaxValue); port++)
            yield return (int)port;
    }
}

/// <param name="Name">"" where the task's own name is to be used.</param>
internal sealed record TaskDiscovery(string Name, IReadOnlyList<DiscoveryPort> Ports);

/// <param name="Name">"" for none.</param>
/// <param name="Protocol">"" for both.</param>
internal readonly record struct DiscoveryPort(string Name, string Protocol, int Number);

/// <summary>A task's addresses by where they were found; the agent's are not among them.</summary>
internal sealed record TaskAddresses(IReadOnlyList<IPAddress> Network, IReadOnlyList<IPAddress> Mesos, IReadOnlyList<IPAddress> Docker)
{
    private const string MesosLabelKey = "MesosContainerizer.NetworkSettings.IPAddress";
    private const string DockerLabelKey = "Docker.NetworkSettings.IPAddress";

    public static readonly TaskAddresses None = new([], [], []);

    public static TaskAddresses Of(IEnumerable<string> network, IEnumerable<(string Key, string Value)> labels)
    {
        var all = labels.ToList();
        return new TaskAddresses(Parsed(network), Parsed(Under(MesosLabelKey)), Parsed(Under(DockerLabelKey)));

        IEnumerable<string> Under(string key) => all.Where(l => l.Key == key).Select(l => l.Value);
    }

    public bool Any => Network.Count + Mesos.Count + Docker.Count > 0;

    public TaskAddresses Or(TaskAddresses newer) => newer.Any ? newer : this;

    private static IReadOnlyList<IPAddress> Parsed(IEnumerable<string> texts) =>
        [.. texts.Select(t => IPAddress.TryParse(t, out var address) ? address : null).OfType<IPAddress>()];
}
