namespace Declarative.Mesos.Protocol;

/// <summary>Labels of a task that our framework sets and our agent understands; other agents pass them on.</summary>
public static class TaskLabels
{
    /// <summary>The pod that the task is of: <c>namespace/name</c>.</summary>
    public const string Pod = "declarative.mesos/pod";

    /// <summary>
    /// <see cref="Pipe"/>: the task has a terminal only because Mesos gives input to no other tasks; a pipe is what it wants.
    /// </summary>
    public const string Input = "declarative.mesos/input";
    public const string Pipe = "pipe";

    /// <summary>The label's value, null without it.</summary>
    public static string? Of(TaskInfo task, string label) => task.Labels?.Labels_.FirstOrDefault(known => known.Key == label)?.Value;
}
