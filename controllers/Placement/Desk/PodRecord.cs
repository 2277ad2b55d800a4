using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Status;
using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Controllers.Placement.Desk;

internal enum LaunchPhase
{
    /// <summary>No intent is stored for the pod.</summary>
    None,

    /// <summary>The intent of <see cref="PodRecord.Attempt"/> is on its way to the API server.</summary>
    Intending,

    /// <summary>The intent is stored and has surely not been sent to the master.</summary>
    Held,

    /// <summary>ACCEPT was sent, or may have been: only Mesos knows.</summary>
    Sent,

    /// <summary>All tasks of the attempt have ended.</summary>
    Ended,
}

/// <summary>A status update that the agent repeats until it is acknowledged.</summary>
internal readonly record struct Acknowledgement(string TaskId, AgentID Agent, ByteString Uuid);

/// <summary>All that the desk knows of one pod. Mutable; touched by the desk's loop alone.</summary>
internal sealed class PodRecord(ResourceKey key, string uid)
{
    public ResourceKey Key { get; } = key;
    public string Uid { get; } = uid;
    public required Pod Pod { get; set; }
    public long Revision { get; set; }

    /// <summary>The object is gone from the API; the record stays while a task may live.</summary>
    public bool Gone { get; set; }

    public LaunchPhase Phase { get; set; }

    /// <summary>The attempt whose intent is stored (or being stored); −1 before the first.</summary>
    public int Attempt { get; set; } = -1;
    public string Agent { get; set; } = "";

    /// <summary>The Mesos role in which it waits, or waited last; "" before.</summary>
    public string Role { get; set; } = "";

    /// <summary>Until when its Namespace is waited for, which may name its role; null before.</summary>
    public DateTimeOffset? NamespaceDue { get; set; }

    /// <summary>The claims that it names.</summary>
    public IReadOnlyList<string> Claims { get; set; } = [];
    public IReadOnlyDictionary<string, int> Ports { get; set; } = new Dictionary<string, int>();
    public AttemptTrack? Track { get; set; }
    public DateTimeOffset? SentAt { get; set; }

    /// <summary>When to ask for a launch of which nothing was heard.</summary>
    public DateTimeOffset? SilentUntil { get; set; }

    /// <summary>The node that the desk has chosen; "" where the pod's own spec says it.</summary>
    public string Node { get; set; } = "";
    public Verdict Verdict { get; set; }

    /// <summary>What it takes of its agent while placed.</summary>
    public Amounts Taken { get; set; }
    public int TakenPriority { get; set; }

    /// <summary>Restarts by back-off since the last reset, and restarts of tasks that never ran.</summary>
    public int Failures { get; set; }
    public int Drops { get; set; }
    public DateTimeOffset? RestartAt { get; set; }
    public TimeSpan Backoff { get; set; }

    /// <summary>Until when the pod waits for room on its agent.</summary>
    public DateTimeOffset? PinnedUntil { get; set; }

    public WaitingPod? Waiting { get; set; }
    public long Order { get; init; }
    public bool IsWaiting { get; set; }
    public DateTimeOffset WaitingSince { get; set; }
    public string? ConfigError { get; set; }
    public DateTimeOffset? RetryAt { get; set; }
    public string? Unschedulable { get; set; }
    public string? Why { get; set; }
    public DateTimeOffset WhyNext { get; set; }

    /// <summary>The node where room is made for it by preemption; "" = none.</summary>
    public string Nominated { get; set; } = "";

    /// <summary>Those that make the room and have not been told yet.</summary>
    public List<PodRecord> Victims { get; } = [];
    public int Preemptions { get; set; }
    public DateTimeOffset PreemptNext { get; set; }

    /// <summary>Until when room that is there by our own account is expected to be offered.</summary>
    public DateTimeOffset AccountTrustedUntil { get; set; }

    /// <summary>It is to make room for another pod.</summary>
    public Displacement? Displaced { get; set; }

    public List<Acknowledgement> Acknowledgements { get; } = [];

    /// <summary>The pod as it stands says what this input makes of it, now and later; null where it may not.</summary>
    public (Pod Pod, StatusInput Input)? Stands { get; set; }
    public bool Writing { get; set; }
    public bool Dirty { get; set; }
    public int WriteFailures { get; set; }

    /// <summary>Asked of Mesos by explicit reconciliation, and not answered yet.</summary>
    public bool AwaitsAnswer { get; set; }

    /// <summary>Since when the master cannot see the task.</summary>
    public DateTimeOffset? UnreachableSince { get; set; }

    public DateTimeOffset? DeletionSeen { get; set; }
    public long DeletionRevision { get; set; }

    /// <summary>The pod's slices, read after endpoints had seen its deletion (R of decision 12); null before.</summary>
    public SliceView? Slices { get; set; }
    public string WaitsFor { get; set; } = "";
    public bool DrainDone { get; set; }
    public DateTimeOffset? KilledAt { get; set; }
    public TimeSpan KillGrace { get; set; }
    public bool Deleting { get; set; }
    public bool Deleted { get; set; }

    /// <summary>A task of the pod may run now or later.</summary>
    public bool MayLive => Phase is LaunchPhase.Sent;
}
