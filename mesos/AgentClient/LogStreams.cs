namespace Declarative.Mesos.AgentClient;

/// <summary>Which of a task's two output files.</summary>
[Flags]
public enum LogStreams
{
    None = 0,
    Stdout = 1,
    Stderr = 2,
    Both = Stdout | Stderr,
}
