using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.AgentClient;

/// <summary>Where an agent keeps the files of a task.</summary>
/// <param name="Path">A virtual path of the agent, for LIST_FILES and READ_FILE.</param>
/// <param name="State">The task's latest state.</param>
public sealed record TaskSandbox(string Path, TaskState State)
{
    /// <summary>
    /// The virtual path, when ids are known. The executor of a command task has the task's id; a task of a pod has a folder of its own in its
    /// executor's sandbox.
    /// </summary>
    /// <param name="executor">Of a pod; null for a command task.</param>
    public static string PathOf(string framework, string? executor, string task) =>
        executor is null || executor == task
            ? $"/frameworks/{framework}/executors/{task}/runs/latest"
            : $"/frameworks/{framework}/executors/{executor}/runs/latest/tasks/{task}";
}
