using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Emulated;

/// <summary>The executor of task groups: it ends when its last task is over.</summary>
internal sealed class EmulatedExecutor(ExecutorInfo record, string container)
{
    public ExecutorInfo Record { get; } = record;
    public string Container { get; } = container;
    public List<EmulatedTask> Tasks { get; } = [];
}
