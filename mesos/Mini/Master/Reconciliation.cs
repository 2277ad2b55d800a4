using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Reason = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;

namespace Declarative.Mesos.Mini.Master;

/// <summary>Answers RECONCILE, and KILL of tasks that the master does not have.</summary>
internal sealed class Reconciliation(Cluster cluster)
{
    public void Reconcile(Framework framework, Call.Types.Reconcile reconcile)
    {
        if (reconcile.Tasks.Count > 0)
        {
            foreach (var task in reconcile.Tasks)
                Reconcile(framework, task.TaskId.Value, task.AgentId?.Value);
            return;
        }

        foreach (var task in framework.Tasks.Values)
            Cluster.Send(framework, Latest(task));
    }

    /// <summary>The state of one task. No answer at all while an agent that may have it has not come back since the master started.</summary>
    public void Reconcile(Framework framework, string task, string? agent)
    {
        if (framework.Tasks.TryGetValue(task, out var known))
            Cluster.Send(framework, Latest(known));
        else if (agent is not null && cluster.Agents.ContainsKey(agent))
            Answer(framework, task, agent, TaskState.TaskGone, "Reconciliation: Task is unknown to the agent");
        else if (agent is not null && cluster.UnreachableAgents.TryGetValue(agent, out var since))
            Answer(framework, task, agent, TaskState.TaskUnreachable, "Reconciliation: Task is unreachable", since);
        else if (agent is not null && cluster.GoneAgents.ContainsKey(agent))
            Answer(framework, task, agent, TaskState.TaskGoneByOperator, "Reconciliation: Task is gone");
        else if (agent is null ? cluster.RecoveredAgents.Count == 0 : !cluster.RecoveredAgents.ContainsKey(agent))
            Answer(framework, task, agent, TaskState.TaskUnknown, "Reconciliation: Task is unknown");
    }

    private void Answer(Framework framework, string task, string? agent, TaskState state, string message, DateTimeOffset? since = null)
    {
        // A framework that does not know the finer states hears TASK_LOST for all of them.
        var status = cluster.MasterUpdate(task, agent, framework.PartitionAware ? state : TaskState.TaskLost, Reason.Reconciliation, message);
        if (since is { } moment)
            status.UnreachableTime = Cluster.Nanoseconds(moment);
        Cluster.Send(framework, status);
    }

    private TaskStatus Latest(Launched task) =>
        cluster.Latest(task, Reason.Reconciliation, "Reconciliation: Latest task state");
}
