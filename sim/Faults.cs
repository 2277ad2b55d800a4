namespace Declarative.Sim;

/// <summary>What goes wrong in a simulated world, and how often. Every kind is counted; a campaign in which one never occurred proves nothing about it.</summary>
public enum Fault
{
    /// <summary>A write is answered with 409 though nobody else wrote.</summary>
    Conflict,

    /// <summary>A write is done and its answer lost.</summary>
    LostAnswer,

    /// <summary>A call is refused with 503.</summary>
    Unavailable,

    /// <summary>A watch ends in the middle.</summary>
    WatchDropped,

    /// <summary>A watch can not be resumed: 410.</summary>
    WatchExpired,

    /// <summary>The journal's disk refuses a batch.</summary>
    JournalRefused,

    /// <summary>The API server dies and starts again from its journal.</summary>
    ApiServerCrash,

    /// <summary>A part stops without a farewell and a new instance begins.</summary>
    PartCrash,

    /// <summary>The scheduler's stream breaks.</summary>
    MasterStreamLost,

    /// <summary>A scheduler call never reaches the master.</summary>
    MasterCallLost,

    /// <summary>An acknowledgement never reaches the master: the agent repeats the update.</summary>
    AcknowledgementLost,

    /// <summary>A status update arrives twice.</summary>
    UpdateRepeated,

    /// <summary>An offer is withdrawn before it is used.</summary>
    OfferRescinded,

    /// <summary>Placement stops without a farewell, and another subscribes as the same framework.</summary>
    FrameworkFailover,

    /// <summary>The master dies and starts again with its registry.</summary>
    MasterCrash,

    /// <summary>An agent is away for less than the master's patience and comes back with its tasks.</summary>
    AgentPause,

    /// <summary>An agent is away for longer than the master's patience and comes back with its tasks.</summary>
    AgentPartition,

    /// <summary>A machine is lost with everything on it, and a new one takes its place.</summary>
    AgentLost,
    TaskExit,
    TaskUnhealthy,
    ReadinessLost,
}

/// <summary>What users do meanwhile.</summary>
public enum UserAction
{
    ScaleUp,
    ScaleDown,
    Rollout,
    DeletePod,
    ForceDeletePod,
    DeleteDeployment,
    DeleteNamespace,
    Create,
    CordonNode,
    UncordonNode,
    DeleteClaim,
    GrowClaim,

    /// <summary>More work of low priority than there is room for beside the rest.</summary>
    FillWithBatch,
    EndBatch,
    ScaleSet,
    RollOutSet,
    DeleteSet,
    CreateJob,
    ScaleJob,
    SuspendJob,
    ResumeJob,
    DeleteJob,
}

/// <summary>Counts by name, in a fixed order.</summary>
public sealed class Tally
{
    private readonly SortedDictionary<string, long> _counts = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, long> Counts => _counts;

    public void Add(string name, long count = 1) => _counts[name] = _counts.GetValueOrDefault(name) + count;

    public void Add(Tally other)
    {
        foreach (var (name, count) in other._counts) Add(name, count);
    }

    public long Of(string name) => _counts.GetValueOrDefault(name);
}
