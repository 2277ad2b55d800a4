namespace Declarative.Mesos.AgentClient;

/// <summary>The agent did not answer.</summary>
public sealed class AgentUnavailable(Uri agent, Exception why) : Exception($"the Mesos agent at {agent} does not answer: {why.Message}", why);
