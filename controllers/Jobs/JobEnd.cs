using Declarative.Api.Kinds;

namespace Declarative.Controllers.Jobs;

/// <summary>Why a job ends: by success (SuccessCriteriaMet, then Complete) or not (FailureTarget, then Failed).</summary>
internal sealed record JobEnd(bool IsSuccess, string Reason, string Message)
{
    /// <summary>The condition of the decision, which stands until all pods have ended.</summary>
    public string Interim => IsSuccess ? "SuccessCriteriaMet" : "FailureTarget";

    public string Final => IsSuccess ? "Complete" : "Failed";

    /// <summary>The decision, once made, stays. In the order of Kubernetes' job controller.</summary>
    /// <param name="active">Pods that are not on their way out.</param>
    /// <param name="deadlineIn">How long until spec.activeDeadlineSeconds is over, for a job that it does not end now.</param>
    public static JobEnd? Of(Job job, JobCount count, IReadOnlyList<Pod> active, DateTimeOffset now, out TimeSpan? deadlineIn)
    {
        deadlineIn = null;
        var spec = job.Spec;
        foreach (var condition in job.Status.Conditions)
        {
            if (condition is { Type: "SuccessCriteriaMet", IsTrue: true }) return new(true, condition.Reason, condition.Message);
            if (condition is { Type: "FailureTarget", IsTrue: true }) return new(false, condition.Reason, condition.Message);
        }
        if (count.FailJob.Length > 0) return new(false, "PodFailurePolicy", count.FailJob);
        if (count.Failed > spec.BackoffLimit || RestartsExceed(job, active)) return new(false, "BackoffLimitExceeded", "Job has reached the specified backoff limit");
        if (spec.ActiveDeadlineSeconds is { } seconds && job.Status.StartTime is { } start && !spec.Suspend)
        {
            var left = start.AddSeconds(seconds) - now;
            if (left <= TimeSpan.Zero) return new(false, "DeadlineExceeded", "Job was active longer than specified deadline");
            deadlineIn = left;
        }
        if (spec.BackoffLimitPerIndex is not null && spec.IsIndexed)
        {
            if (spec.MaxFailedIndexes is { } most && count.FailedIndexes.Count > most) return new(false, "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
            if (count.FailedIndexes.Count > 0 && count.FailedIndexes.Count + count.Succeeded >= spec.Completions) return new(false, "FailedIndexes", "Job has failed indexes");
        }
        if (spec.SuccessPolicy is { } policy && spec.IsIndexed && Rule(job, policy, count.Completed) is { } rule)
        {
            return new(true, "SuccessPolicy", $"Matched rules at index {rule}");
        }
        var done = spec.Completions is { } wanted ? count.Succeeded >= wanted : count.Succeeded > 0 && active.Count == 0;
        return done && !job.Metadata.IsDeleting ? new(true, "CompletionsReached", "Reached expected number of succeeded pods") : null;
    }

    /// <summary>With OnFailure containers restart in their pod, and their restarts count against the limit.</summary>
    private static bool RestartsExceed(Job job, IReadOnlyList<Pod> active)
    {
        if (job.Spec.Template.Spec.RestartPolicy != "OnFailure") return false;
        var restarts = active.Sum(x => x.Status.ContainerStatuses.Sum(y => y.RestartCount));
        return job.Spec.BackoffLimit == 0 ? restarts > 0 : restarts >= job.Spec.BackoffLimit;
    }

    private static string? Rule(Job job, SuccessPolicy policy, IndexSet completed)
    {
        for (var i = 0; i < policy.Rules.Count; i++)
        {
            var rule = policy.Rules[i];
            var among = rule.SucceededIndexes.Length == 0 ? null : IndexSet.Parse(rule.SucceededIndexes, job.Spec.Completions ?? 0);
            var met = among is null ? completed.Count : among.Indexes.Count(completed.Contains);
            if (met >= (rule.SucceededCount ?? among?.Count ?? int.MaxValue)) return i.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }
        return null;
    }
}
