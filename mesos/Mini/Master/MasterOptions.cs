namespace Declarative.Mesos.Mini.Master;

/// <summary>How an embedded master behaves. The defaults are Mesos' own.</summary>
public sealed record MasterOptions
{
    /// <summary>What master_info and redirects name; not a bind address.</summary>
    public string Hostname { get; init; } = "127.0.0.1";

    public string Ip { get; init; } = "127.0.0.1";
    public int Port { get; init; } = 5050;

    /// <summary>The cluster's name in /state, or null.</summary>
    public string? Cluster { get; init; }

    /// <summary>Secrets by principal of those who may speak with the master over HTTP; null: everybody may.</summary>
    public IReadOnlyDictionary<string, string>? Credentials { get; init; }

    /// <summary>How often an agent is pinged.</summary>
    public TimeSpan AgentPingTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>After this many pings without an answer an agent is unreachable.</summary>
    public int MaxAgentPingTimeouts { get; init; } = 5;

    /// <summary>After a restart, agents that have not come back within this time are unreachable.</summary>
    public TimeSpan AgentReregisterTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How often what became free is offered again; new agents, new frameworks and REVIVE do not wait for it.</summary>
    public TimeSpan AllocationInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Rescinds offers that were neither accepted nor declined for this long; null never does.</summary>
    public TimeSpan? OfferTimeout { get; init; }

    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(15);
    public int MaxCompletedFrameworks { get; init; } = 50;
    public int MaxCompletedTasksPerFramework { get; init; } = 1000;
    public int MaxUnreachableTasksPerFramework { get; init; } = 1000;
}
