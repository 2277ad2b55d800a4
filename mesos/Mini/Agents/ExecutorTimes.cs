namespace Declarative.Mesos.Mini.Agents;

/// <summary>How long an agent waits for the executors that frameworks bring. Defaults are those of Mesos' flags.</summary>
public sealed record ExecutorTimes
{
    /// <summary>From the start of its process to its first SUBSCRIBE (<c>executor_registration_timeout</c>).</summary>
    public TimeSpan Registration { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// From the return of an agent to the executor's next SUBSCRIBE. Mesos' <c>executor_reregistration_timeout</c> may be 15 s at most, which
    /// is taken here: a loaded machine is no reason to lose tasks.
    /// </summary>
    public TimeSpan Reregistration { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>From SHUTDOWN to the kill, where the framework says nothing else (<c>executor_shutdown_grace_period</c>).</summary>
    public TimeSpan ShutdownGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long an executor is told to wait for an agent that is away (<c>recovery_timeout</c>).</summary>
    public TimeSpan Recovery { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>The longest pause between an executor's attempts to subscribe again; it is told so, and keeps to it by itself.</summary>
    public TimeSpan SubscriptionBackoffMax { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Between HEARTBEAT events.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromMinutes(30);
}
