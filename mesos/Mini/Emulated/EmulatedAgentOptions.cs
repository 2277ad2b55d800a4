using Declarative.Mesos.Protocol;
using Attribute = Declarative.Mesos.Protocol.Attribute;

namespace Declarative.Mesos.Mini.Emulated;

/// <summary>What an emulated agent offers, and how its tasks behave when nobody says otherwise.</summary>
public sealed record EmulatedAgentOptions
{
    public required string Hostname { get; init; }
    public int Port { get; init; } = 5051;
    public double Cpus { get; init; } = 8;

    /// <summary>Megabytes, as everywhere in Mesos.</summary>
    public double Mem { get; init; } = 8192;

    /// <summary>Megabytes.</summary>
    public double Disk { get; init; } = 10240;

    public (ulong First, ulong Last) Ports { get; init; } = (31000, 32000);
    /// <summary>Beside cpus, mem, disk and ports: gpus, statically reserved or revocable resources.</summary>
    public IReadOnlyList<Resource> More { get; init; } = [];

    public IReadOnlyList<Attribute> Attributes { get; init; } = [];
    public DomainInfo? Domain { get; init; }

    /// <summary>From the launch to TASK_RUNNING; TASK_STARTING comes at once.</summary>
    public TimeSpan StartDelay { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>From TASK_RUNNING to the first passed health check or check, of tasks that have one.</summary>
    public TimeSpan CheckDelay { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>From KILL to TASK_KILLED; never longer than the grace period.</summary>
    public TimeSpan KillDelay { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>How long it waits before it connects again.</summary>
    public TimeSpan ReconnectDelay { get; init; } = TimeSpan.FromSeconds(1);
}
