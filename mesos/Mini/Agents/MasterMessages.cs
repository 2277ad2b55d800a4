using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>What a master wants of an agent: launches, kills, acknowledgements, what is to be kept on disk. One message at a time.</summary>
internal sealed class MasterMessages(AgentWorld world, RunTable runs)
{
    /// <summary>Does what the message asks for; those about the connection itself are the agent's.</summary>
    /// <param name="stop">The agent ends; what was launched goes on.</param>
    public void Handle(ToAgent message, CancellationToken stop)
    {
        switch (message.MessageCase)
        {
            case ToAgent.MessageOneofCase.RunTask:
                Launch(message.RunTask.Framework, message.RunTask.Task.Executor, [message.RunTask.Task], asGroup: false, stop);
                break;
            case ToAgent.MessageOneofCase.RunGroup:
                Launch(message.RunGroup.Framework, message.RunGroup.Executor, message.RunGroup.Group.Tasks, asGroup: true, stop);
                break;
            case ToAgent.MessageOneofCase.KillTask:
                if (Find(message.KillTask.Task) is { } task)
                    task.Kill(message.KillTask.KillPolicy);
                else
                    ReportUnknown(message.KillTask.Task);
                break;
            case ToAgent.MessageOneofCase.AcknowledgeUpdate:
                Acknowledge(message.AcknowledgeUpdate);
                break;
            case ToAgent.MessageOneofCase.ShutdownFramework:
                ShutDown(message.ShutdownFramework.FrameworkId);
                break;
            case ToAgent.MessageOneofCase.ShutdownExecutor:
                if (runs.Find(message.ShutdownExecutor.FrameworkId, message.ShutdownExecutor.ExecutorId) is { EndedAt: null } run)
                    run.ShutDown();
                break;
            case ToAgent.MessageOneofCase.ExecutorMessage:
                // Mesos' built-in executors take no messages either.
                runs.Find(message.ExecutorMessage.FrameworkId, message.ExecutorMessage.ExecutorId)?.Own?.Message(message.ExecutorMessage.Data);
                break;
            case ToAgent.MessageOneofCase.Checkpoint:
                Checkpoint(message.Checkpoint);
                break;
            case ToAgent.MessageOneofCase.AcknowledgeOperation:
                Keep(() => world.Volumes.Acknowledge(message.AcknowledgeOperation.Operation));
                break;
            case ToAgent.MessageOneofCase.Drain:
                foreach (var running in runs.All.SelectMany(one => one.Tasks))
                    running.Drain(message.Drain.MaxGracePeriod);
                break;
            default:
                break;
        }
    }

    /// <summary>The master counts these to the agent: what is not known here it gives up.</summary>
    public void Answer(IEnumerable<TaskRef> reconcile)
    {
        foreach (var unknown in reconcile.Where(task => Find(task) is null))
            ReportUnknown(unknown);
    }

    private void Launch(FrameworkInfo framework, ExecutorInfo? executor, IReadOnlyList<TaskInfo> tasks, bool asGroup, CancellationToken stop)
    {
        // A launch sent twice (the connection was lost in between) is one launch.
        if (tasks.All(task => runs.Find(framework.Id, task.TaskId) is { IsSettled: false }))
            return;
        var run = executor is not null && runs.Find(framework.Id, executor.ExecutorId) is { EndedAt: null } known ? known : null;
        try
        {
            if (run is null)
            {
                run = executor is null ? ExecutorRun.Command(world, framework, tasks[0]) : ExecutorRun.Of(world, framework, executor);
                run.Make();
                runs.Add(run);
            }

            run.Launch(tasks, asGroup, stop);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            // A full disk, mostly. Nothing was started: a task's files are written before.
            foreach (var task in tasks.Where(task => run?.Tasks.Any(one => one.Id == task.TaskId.Value && one.Process is not null) != true))
                Report(framework.Id, task.TaskId, TaskState.TaskFailed, $"Failed to make the sandbox: {refused.Message}", TaskStatus.Types.Reason.ContainerLaunchFailed);
        }
        finally
        {
            if (run is not null)
                runs.Index(run);
        }
    }

    // Without the answer the master sends it again when this agent has come back.
    private void Checkpoint(ToAgent.Types.Checkpoint checkpoint)
    {
        IReadOnlyList<Operation> done = [];
        if (Keep(() => done = world.Volumes.Keep(checkpoint, world.NewUuid)))
            world.Send(new ToMaster { Checkpointed = new() { Operations = { done } } });
    }

    private bool Keep(Action write)
    {
        try
        {
            write();
            return true;
        }
        catch (Exception full) when (full is IOException or UnauthorizedAccessException)
        {
            Log.CheckpointFailed(world.Log, world.Options.Hostname, world.Options.WorkDirectory, full.Message);
            return false;
        }
    }

    private void Acknowledge(ToAgent.Types.AcknowledgeUpdate acknowledged)
    {
        if (Find(acknowledged.Task) is { } task)
            task.Acknowledge(acknowledged.Uuid);
        else
            world.Outbox.Acknowledge(acknowledged.Task.FrameworkId, acknowledged.Task.TaskId, acknowledged.Uuid);
    }

    private void ShutDown(FrameworkID framework)
    {
        foreach (var run in runs.All.Where(run => run.FrameworkId.Equals(framework)))
        {
            run.ShutDown();
            foreach (var task in run.Tasks)
                task.Settle();
        }

        world.Outbox.Forget(framework);
        Keep(() => world.Volumes.Forget(framework));
    }

    private AgentTask? Find(TaskRef task) => runs.Find(task.FrameworkId, task.TaskId);

    private void ReportUnknown(TaskRef task) =>
        Report(task.FrameworkId, task.TaskId, TaskState.TaskDropped, "The task is unknown to the agent", TaskStatus.Types.Reason.Reconciliation);

    private void Report(FrameworkID framework, TaskID task, TaskState state, string message, TaskStatus.Types.Reason reason) =>
        world.Outbox.Add(
            framework,
            new TaskStatus
            {
                TaskId = task,
                State = state,
                Message = message,
                Source = TaskStatus.Types.Source.Agent,
                Reason = reason,
                AgentId = world.Id,
                Timestamp = world.Now,
                Uuid = world.NewUuid(),
            }
        );
}
