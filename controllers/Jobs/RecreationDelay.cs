using Declarative.Api.Kinds;
using Declarative.Client;

namespace Declarative.Controllers.Jobs;

/// <summary>
/// How long a failed pod's replacement waits: 10 s, doubled with each failure since the last success, at most 10 min (Kubernetes doc "Jobs",
/// Pod backoff failure policy). It follows from the pods that are there, so that a restart of the controller forgets nothing.
/// </summary>
internal static class RecreationDelay
{
    public static readonly TimeSpan First = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan Max = TimeSpan.FromMinutes(10);

    /// <param name="ended">Pods of the job that have succeeded or failed.</param>
    public static TimeSpan OfJob(Job job, IEnumerable<Pod> ended, DateTimeOffset now)
    {
        var failures = 0;
        DateTimeOffset? last = null;
        foreach (var pod in ended.OrderByDescending(x => x.FinishedAt(now)).ThenBy(x => x.Name, StringComparer.Ordinal))
        {
            if (pod.Status.Phase == "Succeeded") break;
            // A pod that somebody deleted did not fail by itself, and one that the policy ignores did not fail.
            if (pod.Status.Phase != "Failed" || FailureRules.Of(job, pod).Action == FailureAction.Ignore) continue;
            last ??= pod.FinishedAt(now);
            failures++;
        }
        return Left(failures, last, now);
    }

    public static TimeSpan OfIndex(Pod? lastFailed, DateTimeOffset now) =>
        lastFailed is null ? TimeSpan.Zero : Left(lastFailed.IndexFailures() + 1, lastFailed.FinishedAt(now), now);

    private static TimeSpan Left(int failures, DateTimeOffset? last, DateTimeOffset now)
    {
        if (failures == 0 || last is not { } since) return TimeSpan.Zero;
        var left = since + Backoff.Exponential(First, Max, failures - 1) - now;
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}
