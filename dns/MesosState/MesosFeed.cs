using Declarative.Dns.Zones;

namespace Declarative.Dns.MesosState;

/// <summary>
/// Keeps frameworks, agents and tasks of a Mesos cluster and tells <see cref="ZoneContents"/> what each change means. The framework that is
/// this platform's own is left out: its tasks are known better from the API, with their readiness.
/// </summary>
/// <param name="own">Name of our framework; null where all of them are others'.</param>
/// <param name="find">Addresses of hosts, by name or as they are.</param>
internal sealed class MesosFeed(ZoneContents contents, ZoneNames names, string? own, HostAddresses find)
{
    private readonly Dictionary<string, MesosFramework> _frameworks = new(StringComparer.Ordinal);
    private readonly Dictionary<string, MesosAgent> _agents = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Dictionary<string, MesosTask>> _tasks = new(StringComparer.Ordinal);

    public IEnumerable<(string Framework, IEnumerable<MesosTask> Tasks)> Frameworks =>
        _frameworks.Values.OrderBy(f => f.Id, StringComparer.Ordinal)
            .Select(f => (f.Name, _tasks.GetValueOrDefault(f.Id)?.Values.OrderBy(t => t.Id, StringComparer.Ordinal).AsEnumerable() ?? []));

    /// <summary>Makes the whole state what is known; what it does not name is gone, unless it is on an agent that is still to return.</summary>
    public void Replace(MesosCluster cluster)
    {
        var alive = cluster.Tasks.Select(t => (t.FrameworkId, t.Id)).ToHashSet();
        foreach (var gone in _tasks.Values.SelectMany(t => t.Values).Where(t => !alive.Contains((t.FrameworkId, t.Id)) && !cluster.Returning.Contains(t.AgentId)).ToList())
            RemoveTask(gone.FrameworkId, gone.Id);
        foreach (var gone in _agents.Keys.Except(cluster.Agents.Select(a => a.Id)).Except(cluster.Returning).ToList())
            RemoveAgent(gone);
        foreach (var gone in _frameworks.Keys.Except(cluster.Frameworks.Select(f => f.Id)).Except(_tasks.Keys).ToList())
            RemoveFramework(gone);
        foreach (var agent in cluster.Agents)
            Apply(agent);
        foreach (var framework in cluster.Frameworks)
            Apply(framework);
        foreach (var task in cluster.Tasks)
            Apply(task);
    }

    public void Apply(MesosAgent agent)
    {
        var known = _agents.GetValueOrDefault(agent.Id);
        _agents[agent.Id] = agent;
        contents.Put("mesos/agent/" + agent.Id, MesosRecords.OfAgent(agent, find(agent.Host), names));
        if (known?.Host != agent.Host)
            RefreshTasks(t => t.AgentId == agent.Id);
    }

    public void RemoveAgent(string id)
    {
        if (!_agents.Remove(id))
            return;
        contents.Remove("mesos/agent/" + id);
        RefreshTasks(t => t.AgentId == id);
    }

    public void Apply(MesosFramework framework)
    {
        var known = _frameworks.GetValueOrDefault(framework.Id);
        // The operator API does not tell the port of a scheduler; what /state told once stands while the host is the same.
        if (known is not null && framework.Port == 0 && known.Name == framework.Name && known.Port > 0)
            framework = known;
        _frameworks[framework.Id] = framework;
        contents.Put("mesos/framework/" + framework.Id, MesosRecords.OfFramework(framework, find(framework.Host), names));
        if (known?.Name != framework.Name)
            RefreshTasks(t => t.FrameworkId == framework.Id);
    }

    public void RemoveFramework(string id)
    {
        _frameworks.Remove(id);
        contents.Remove("mesos/framework/" + id);
        foreach (var task in _tasks.GetValueOrDefault(id)?.Keys.ToList() ?? [])
            RemoveTask(id, task);
    }

    public void Apply(MesosTask task)
    {
        if (!_tasks.TryGetValue(task.FrameworkId, out var tasks))
            _tasks[task.FrameworkId] = tasks = new(StringComparer.Ordinal);
        tasks[task.Id] = task;
        Refresh(task);
    }

    /// <summary>A status update; of a task that is not known nothing can be said.</summary>
    public void Apply(string framework, Declarative.Mesos.Protocol.TaskStatus status)
    {
        if (_tasks.GetValueOrDefault(framework)?.GetValueOrDefault(status.TaskId.Value) is not { } task)
            return;
        if (Declarative.Mesos.Protocol.TaskStates.IsTerminal(status.State))
            RemoveTask(framework, task.Id);
        else
            Apply(task.With(status));
    }

    /// <summary>The masters have been found, or others lead.</summary>
    public void Masters(MesosEndpoint? leader, IReadOnlyList<MesosEndpoint> listed) =>
        contents.Put("mesos/masters", MesosRecords.OfMasters(leader, listed, find, names));

    private void RemoveTask(string framework, string id)
    {
        if (_tasks.GetValueOrDefault(framework) is not { } tasks || !tasks.Remove(id))
            return;
        if (tasks.Count == 0)
            _tasks.Remove(framework);
        contents.Remove(Source(framework, id));
    }

    private void RefreshTasks(Func<MesosTask, bool> which)
    {
        foreach (var task in _tasks.Values.SelectMany(t => t.Values).Where(which).ToList())
            Refresh(task);
    }

    private void Refresh(MesosTask task) => contents.Put(Source(task.FrameworkId, task.Id), Records(task));

    /// <summary>What is published of a task.</summary>
    public IReadOnlyList<Wire.Record> Records(MesosTask task) =>
        _frameworks.GetValueOrDefault(task.FrameworkId) is { } framework && framework.Name != own && _agents.GetValueOrDefault(task.AgentId) is { } agent
            ? MesosRecords.OfTask(task, framework.Name, find(agent.Host), names)
            : [];

    private static string Source(string framework, string id) => $"mesos/task/{framework}/{id}";
}
