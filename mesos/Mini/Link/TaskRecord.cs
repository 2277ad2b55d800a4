using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Link;

/// <summary>Makes what a master and an agent remember of a launched task.</summary>
public static class TaskRecord
{
    /// <param name="info">As launched.</param>
    /// <param name="framework">Whose task it is.</param>
    /// <param name="executor">The task's or its group's own executor; null for a command task.</param>
    public static MesosTask Of(TaskInfo info, FrameworkID framework, ExecutorID? executor)
    {
        var task = new MesosTask
        {
            Name = info.Name,
            TaskId = info.TaskId,
            FrameworkId = framework,
            AgentId = info.AgentId,
            State = TaskState.TaskStaging,
        };
        if (executor is not null)
            task.ExecutorId = executor;
        task.Resources.Add(info.Resources);
        foreach (var (name, limit) in info.Limits)
            task.Limits[name] = limit;
        if (info.Labels is not null)
            task.Labels = info.Labels;
        if (info.Discovery is not null)
            task.Discovery = info.Discovery;
        if (info.Container is not null)
            task.Container = info.Container;
        if (info.HealthCheck is not null)
            task.HealthCheck = info.HealthCheck;
        if (info.KillPolicy is not null)
            task.KillPolicy = info.KillPolicy;
        if (info.Command?.HasUser == true)
            task.User = info.Command.User;
        return task;
    }
}
