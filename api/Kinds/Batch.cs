using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

/// <summary>Work that ends: pods until enough of them have succeeded (batch/v1).</summary>
public sealed record Job : ApiObject
{
    public const string UidLabel = "batch.kubernetes.io/controller-uid";
    public const string NameLabel = "batch.kubernetes.io/job-name";

    /// <summary>Label and annotation of an indexed job's pods.</summary>
    public const string IndexLabel = "batch.kubernetes.io/job-completion-index";

    /// <summary>Holds a pod until the job's status has counted it.</summary>
    public const string TrackingFinalizer = "batch.kubernetes.io/job-tracking";

    public JobSpec Spec { get; init; } = new();
    public JobStatus Status { get; init; } = new();

    public static new Job Read(ReadOnlyMemory<byte> json) => ViewJson.Read<Job>(json);

    /// <summary>Complete or Failed: nothing more is done for it.</summary>
    public bool IsFinished => Status.Conditions.Any(x => x is { Type: "Complete" or "Failed", IsTrue: true });
}

public sealed record JobSpec
{
    public int Parallelism { get; init; } = 1;

    /// <summary>null = a work queue: done when one pod has succeeded and none is active.</summary>
    public int? Completions { get; init; }

    /// <summary>Seconds from the start.</summary>
    public long? ActiveDeadlineSeconds { get; init; }
    public int BackoffLimit { get; init; } = 6;
    public int? BackoffLimitPerIndex { get; init; }
    public int? MaxFailedIndexes { get; init; }
    public int? TtlSecondsAfterFinished { get; init; }
    public LabelSelectorSpec Selector { get; init; } = new();

    /// <summary>NonIndexed or Indexed.</summary>
    public string CompletionMode { get; init; } = "NonIndexed";
    public bool Suspend { get; init; }

    /// <summary>TerminatingOrFailed, or Failed: a pod is replaced only when it has ended.</summary>
    public string PodReplacementPolicy { get; init; } = "TerminatingOrFailed";
    public PodFailurePolicy? PodFailurePolicy { get; init; }
    public SuccessPolicy? SuccessPolicy { get; init; }
    public string ManagedBy { get; init; } = "";
    public PodTemplateSpec Template { get; init; } = new();

    public bool IsIndexed => CompletionMode == "Indexed";
}

public sealed record PodFailurePolicy
{
    public IReadOnlyList<PodFailurePolicyRule> Rules { get; init; } = [];
}

public sealed record PodFailurePolicyRule
{
    /// <summary>FailJob, FailIndex, Ignore or Count.</summary>
    public string Action { get; init; } = "";
    public ExitCodesRequirement? OnExitCodes { get; init; }
    public IReadOnlyList<PodConditionPattern> OnPodConditions { get; init; } = [];
}

public sealed record ExitCodesRequirement
{
    /// <summary>"" = any container.</summary>
    public string ContainerName { get; init; } = "";

    /// <summary>In or NotIn.</summary>
    public string Operator { get; init; } = "";
    public IReadOnlyList<int> Values { get; init; } = [];
}

public sealed record PodConditionPattern
{
    public string Type { get; init; } = "";
    public string Status { get; init; } = "True";
}

public sealed record SuccessPolicy
{
    public IReadOnlyList<SuccessPolicyRule> Rules { get; init; } = [];
}

public sealed record SuccessPolicyRule
{
    /// <summary>Such as <c>0,2-5</c>; "" = any.</summary>
    public string SucceededIndexes { get; init; } = "";
    public int? SucceededCount { get; init; }
}

public sealed record JobStatus
{
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
    public DateTimeOffset? StartTime { get; init; }
    public DateTimeOffset? CompletionTime { get; init; }
    public int Active { get; init; }
    public int? Ready { get; init; }
    public int? Terminating { get; init; }
    public int Succeeded { get; init; }
    public int Failed { get; init; }
    public string CompletedIndexes { get; init; } = "";

    /// <summary>null where the job has no backoffLimitPerIndex.</summary>
    public string? FailedIndexes { get; init; }
    public UncountedTerminatedPods? UncountedTerminatedPods { get; init; }
}

/// <summary>Uids of pods that have ended and are in no counter yet.</summary>
public sealed record UncountedTerminatedPods
{
    public IReadOnlyList<string> Succeeded { get; init; } = [];
    public IReadOnlyList<string> Failed { get; init; } = [];
}

/// <summary>Jobs by a time table (batch/v1).</summary>
public sealed record CronJob : ApiObject
{
    /// <summary>Annotation of its jobs: the time they were scheduled for.</summary>
    public const string ScheduledAnnotation = "batch.kubernetes.io/cronjob-scheduled-timestamp";

    public CronJobSpec Spec { get; init; } = new();
    public CronJobStatus Status { get; init; } = new();

    public static new CronJob Read(ReadOnlyMemory<byte> json) => ViewJson.Read<CronJob>(json);
}

public sealed record CronJobSpec
{
    public string Schedule { get; init; } = "";

    /// <summary>A name of the IANA data base; "" = UTC.</summary>
    public string TimeZone { get; init; } = "";
    public long? StartingDeadlineSeconds { get; init; }

    /// <summary>Allow, Forbid or Replace.</summary>
    public string ConcurrencyPolicy { get; init; } = "Allow";
    public bool Suspend { get; init; }
    public int? SuccessfulJobsHistoryLimit { get; init; }
    public int? FailedJobsHistoryLimit { get; init; }
}

public sealed record CronJobStatus
{
    public IReadOnlyList<ObjectReference> Active { get; init; } = [];
    public DateTimeOffset? LastScheduleTime { get; init; }
    public DateTimeOffset? LastSuccessfulTime { get; init; }
}
