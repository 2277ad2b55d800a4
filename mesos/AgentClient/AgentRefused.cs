namespace Declarative.Mesos.AgentClient;

/// <summary>The agent answered that it will not: the same call will be refused again.</summary>
public sealed class AgentRefused(int status, string text) : Exception($"the agent answered {status}{(text.Length > 0 ? ": " + text : "")}")
{
    /// <summary>The HTTP status; 404 when there is no such file or task (any more).</summary>
    public int Status { get; } = status;
}
