using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Emulated;

/// <summary>A task without a process.</summary>
internal sealed class EmulatedTask(MesosTask record, FrameworkInfo framework, TaskInfo info, string container)
{
    public MesosTask Record { get; } = record;
    public FrameworkInfo Framework { get; } = framework;
    public TaskInfo Info { get; } = info;
    public string Container { get; } = container;
    public string Id => Record.TaskId.Value;

    /// <summary>Set for tasks of a group: its executor.</summary>
    public EmulatedExecutor? Executor { get; init; }

    public bool IsOver => Record.State.IsTerminal();
    public bool IsKilled { get; set; }

    /// <summary>Said with TASK_KILLING and TASK_KILLED; null for a kill that the framework asked for.</summary>
    public TaskStatus.Types.Reason? KilledBecause { get; set; }

    public Deadlines.Deadline? Next { get; set; }
}
