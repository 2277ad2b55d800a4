namespace Declarative.Mesos.Protocol;

/// <summary>What the states of a task mean.</summary>
public static class TaskStates
{
    /// <summary>The task will never run again. UNREACHABLE and UNKNOWN are not: the task may be running and may come back.</summary>
    public static bool IsTerminal(this TaskState state) =>
        state
            is TaskState.TaskFinished
                or TaskState.TaskFailed
                or TaskState.TaskKilled
                or TaskState.TaskError
                or TaskState.TaskLost
                or TaskState.TaskDropped
                or TaskState.TaskGone
                or TaskState.TaskGoneByOperator;
}
