using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Jobs;

/// <summary>
/// Runs a job's pods until enough have succeeded (Kubernetes doc "Jobs"). The status comes first, then the pods that it has counted are let go,
/// then pods are deleted or made: whatever a crash leaves out, the next plan finds.
/// </summary>
internal static class JobPlan
{
    /// <summary>Pods created or deleted in one plan, as Kubernetes bounds it.</summary>
    public const int BurstPodsMax = 500;

    private const string Suspended = "Suspended";
    private const string OurName = "kubernetes.io/job-controller";

    /// <param name="owned">Pods that name this job as their controller.</param>
    /// <param name="orphans">Pods of the namespace without a controller.</param>
    /// <param name="isCurrent">Whether the pods were seen as late as the job was written.</param>
    public static Plan Compute(Job job, TemplateJson template, IReadOnlyList<Pod> owned, IReadOnlyList<Pod> orphans, bool isCurrent, DateTimeOffset now)
    {
        if (job.Spec.ManagedBy is not ("" or OurName)) return Plan.Nothing;
        if (job.IsFinished) return Finished(job, owned, now);
        var claim = Ownership.Claim(Kind.Job, job, job.Spec.Selector.ToSelector(), Kind.Pod, owned, orphans, Job.TrackingFinalizer);
        // What is adopted or let go comes back through the view, and everything is decided by it.
        if (claim.Changes.Count > 0) return new() { Changes = claim.Changes };
        var pods = claim.Mine;
        List<Pod> active = [.. pods.Where(x => x.IsActive())];
        var terminating = pods.Count(x => x.Metadata.IsDeleting && !x.IsFinished);
        var count = new JobCount(job, pods, isCurrent);
        var end = JobEnd.Of(job, count, active, now, out var lookAgainIn);
        var isComplete = end is { Reason: "CompletionsReached" };
        var pending = new List<Change>();
        if (job.Metadata.IsDeleting)
        {
            // Its pods go by garbage collection, and nobody will read the account.
            foreach (var pod in pods.Where(JobPods.IsHeld)) pending.Add(JobPods.Release(pod));
        }
        else if (end is not null)
        {
            // What is too much has not failed; what an end cuts short has.
            if (!isComplete) count.NoteRest();
            pending.AddRange(active.SelectMany(x => isComplete ? Withdraw(x) : [JobPods.Remove(x)]));
        }
        else
        {
            pending.AddRange(Wanted(job, template, pods, active, terminating, count, now, ref lookAgainIn));
        }
        var isOver = end is not null && active.Count == 0 && terminating == 0 && count.UncountedSucceeded.Count + count.UncountedFailed.Count == 0 && !job.Metadata.IsDeleting;
        var events = new List<EventNote>();
        var status = Status(job, active, terminating, count, end, isOver, now, events);
        if (!isCurrent && count.UncountedSucceeded.Count + count.UncountedFailed.Count > 0) lookAgainIn = Sooner(lookAgainIn, TimeSpan.FromSeconds(1));
        if (isOver && job.Spec.TtlSecondsAfterFinished is { } ttl) lookAgainIn = TimeSpan.FromSeconds(ttl);
        return new()
        {
            Changes = [.. status is null ? [] : (Change[])[status], .. job.Metadata.IsDeleting ? [] : count.Release.Concat(count.Unreleased).Select(JobPods.Release), .. pending],
            Events = events,
            LookAgainIn = lookAgainIn,
            Tell = applied => Told(job, applied),
            OnRefused = applied => applied.Change is Create
                ? new() { Events = [EventNote.Warning(Body.Reference(Kind.Job, job), "FailedCreate", $"Error creating: {applied.Error!.Message}")] } : Plan.Nothing,
        };
    }

    /// <summary>Pods that nobody waits for any more are let go, and the job itself goes when its time is up.</summary>
    private static Plan Finished(Job job, IReadOnlyList<Pod> owned, DateTimeOffset now)
    {
        List<Change> changes = [.. owned.Where(JobPods.IsHeld).Select(JobPods.Release)];
        if (job.Spec.TtlSecondsAfterFinished is not { } ttl || job.Metadata.IsDeleting) return new() { Changes = changes };
        var finished = job.Status.Conditions.First(x => x is { Type: "Complete" or "Failed", IsTrue: true }).LastTransitionTime ?? now;
        var left = finished.AddSeconds(ttl) - now;
        if (left > TimeSpan.Zero) return new() { Changes = changes, LookAgainIn = left };
        changes.Add(new Delete(ResourceKey.Of(Kind.Job, job.Namespace, job.Name), new() { Uid = job.Uid, Propagation = Propagation.Foreground }));
        return new() { Changes = changes };
    }

    /// <summary>The deletions or creations that lead to the number of active pods that is wanted.</summary>
    private static IEnumerable<Change> Wanted(
        Job job, TemplateJson template, IReadOnlyList<Pod> pods, List<Pod> active, int terminating, JobCount count, DateTimeOffset now, ref TimeSpan? lookAgainIn)
    {
        var spec = job.Spec;
        if (spec.Suspend) return active.Take(BurstPodsMax).SelectMany(Withdraw);
        var wanted = spec.Completions is not { } completions ? count.Succeeded > 0 ? active.Count : spec.Parallelism
            : Math.Max(0, Math.Min(spec.Parallelism, completions - count.Succeeded - (spec.BackoffLimitPerIndex is null ? 0 : count.FailedIndexes.Count)));
        if (spec.Completions is null && count.Succeeded > 0) wanted = Math.Min(wanted, spec.Parallelism);
        var surplus = Surplus(job, active, count, wanted);
        if (surplus.Count > 0) return surplus.Take(BurstPodsMax).SelectMany(Withdraw);
        var missing = Math.Min(wanted - active.Count - (JobPods.OnlyEnded(job) ? terminating : 0), BurstPodsMax);
        if (missing <= 0) return [];
        if (spec.BackoffLimitPerIndex is null)
        {
            var wait = RecreationDelay.OfJob(job, pods, now);
            if (wait > TimeSpan.Zero)
            {
                lookAgainIn = Sooner(lookAgainIn, wait);
                return [];
            }
        }
        return spec.IsIndexed ? ForIndexes(job, template, pods, active, count, missing, now, ref lookAgainIn) : Enumerable.Range(0, missing).Select(_ => JobPods.Make(job, template, null, 0));
    }

    private static List<Create> ForIndexes(
        Job job, TemplateJson template, IReadOnlyList<Pod> pods, List<Pod> active, JobCount count, int missing, DateTimeOffset now, ref TimeSpan? lookAgainIn)
    {
        var perIndex = job.Spec.BackoffLimitPerIndex is not null;
        var taken = (JobPods.OnlyEnded(job) || perIndex ? pods.Where(x => !x.IsFinished) : active).Select(JobPods.Index).OfType<int>().ToHashSet();
        var made = new List<Create>();
        for (var index = 0; index < job.Spec.Completions && made.Count < missing; index++)
        {
            if (taken.Contains(index) || count.Completed.Contains(index) || count.FailedIndexes.Contains(index)) continue;
            var failures = 0;
            if (perIndex)
            {
                var last = pods.Where(x => x.Index() == index && x.HasFailed(job)).OrderByDescending(JobPods.IndexFailures).ThenByDescending(x => x.FinishedAt(now)).FirstOrDefault();
                var ignored = last is not null && FailureRules.Of(job, last).Action == FailureAction.Ignore;
                failures = last is null ? 0 : last.IndexFailures() + (ignored ? 0 : 1);
                var wait = ignored ? TimeSpan.Zero : RecreationDelay.OfIndex(last, now);
                if (wait > TimeSpan.Zero)
                {
                    lookAgainIn = Sooner(lookAgainIn, wait);
                    continue;
                }
            }
            made.Add(JobPods.Make(job, template, index, failures));
        }
        return made;
    }

    /// <summary>Pods of indexes that are done, out of range or there twice go first, then those that cost least.</summary>
    private static List<Pod> Surplus(Job job, List<Pod> active, JobCount count, int wanted)
    {
        var surplus = new List<Pod>();
        var rest = active;
        if (job.Spec.IsIndexed)
        {
            var seen = new HashSet<int>();
            rest = [];
            foreach (var pod in active.OrderByDescending(x => x.IsReady).ThenBy(x => x.Metadata.CreationTimestamp).ThenBy(x => x.Name, StringComparer.Ordinal))
            {
                var isWanted = pod.Index() is { } index && index < job.Spec.Completions && !count.Completed.Contains(index) && !count.FailedIndexes.Contains(index) && seen.Add(index);
                (isWanted ? rest : surplus).Add(pod);
            }
        }
        surplus.AddRange(DeletionOrder.First(rest).Take(Math.Max(0, rest.Count - wanted)));
        return surplus;
    }

    /// <summary>A pod that is not wanted any more is let go first: it did not fail.</summary>
    private static IEnumerable<Change> Withdraw(Pod pod) => pod.IsHeld() ? [JobPods.Release(pod), JobPods.Remove(pod)] : [JobPods.Remove(pod)];

    private static Patch? Status(
        Job job, List<Pod> active, int terminating, JobCount count, JobEnd? end, bool isOver, DateTimeOffset now, List<EventNote> events)
    {
        var old = job.Status;
        var about = Body.Reference(Kind.Job, job);
        var conditions = old.Conditions;
        var start = old.StartTime;
        if (end is not null)
        {
            conditions = conditions.With(end.Interim, "True", end.Reason, end.Message, now, hasUpdateTime: false);
            if (isOver)
            {
                conditions = conditions.With(end.Final, "True", end.Reason, end.Message, now, hasUpdateTime: false);
                events.Add(end.IsSuccess ? EventNote.Normal(about, "Completed", "Job completed") : EventNote.Warning(about, end.Reason, end.Message));
            }
        }
        else if (job.Spec.Suspend)
        {
            if (conditions.Find(Suspended) is not { IsTrue: true }) events.Add(EventNote.Normal(about, "Suspended", "Job suspended"));
            conditions = conditions.With(Suspended, "True", "JobSuspended", "Job suspended", now, hasUpdateTime: false);
            start = null;
        }
        else if (conditions.Find(Suspended) is { IsTrue: true })
        {
            conditions = conditions.With(Suspended, "False", "JobResumed", "Job resumed", now, hasUpdateTime: false);
            events.Add(EventNote.Normal(about, "Resumed", "Job resumed"));
            start = now;
        }
        if (!job.Spec.Suspend) start ??= now;
        var ready = active.Count(x => x.IsReady);
        var completed = job.Spec.IsIndexed ? count.Completed.ToString() : "";
        var failed = job.Spec.BackoffLimitPerIndex is null ? null : count.FailedIndexes.ToString();
        if (old.Active == active.Count && old.Ready == ready && old.Terminating == terminating && old.Succeeded == count.CountedSucceeded && old.Failed == count.CountedFailed
            && old.StartTime == start && old.CompletedIndexes == completed && old.FailedIndexes == failed && ReferenceEquals(conditions, old.Conditions)
            && Same(old.UncountedTerminatedPods?.Succeeded, count.UncountedSucceeded) && Same(old.UncountedTerminatedPods?.Failed, count.UncountedFailed)) return null;
        return Change.Merge(ResourceKey.Of(Kind.Job, job.Namespace, job.Name), Body.Of(json =>
        {
            // The account is right for this revision only.
            json.Object("metadata", meta => meta.WriteString("resourceVersion"u8, job.Metadata.ResourceVersion));
            json.Object("status", status =>
            {
                status.NumberOrNull("active", active.Count);
                status.WriteNumber("ready"u8, ready);
                status.WriteNumber("terminating"u8, terminating);
                status.NumberOrNull("succeeded", count.CountedSucceeded);
                status.NumberOrNull("failed", count.CountedFailed);
                if (completed.Length > 0) status.WriteString("completedIndexes"u8, completed);
                else status.WriteNull("completedIndexes"u8);
                if (failed is not null) status.WriteString("failedIndexes"u8, failed);
                status.Object("uncountedTerminatedPods", x =>
                {
                    Uids(x, "succeeded", count.UncountedSucceeded);
                    Uids(x, "failed", count.UncountedFailed);
                });
                if (start is { } since) status.WriteString("startTime"u8, Body.Time(since));
                else status.WriteNull("startTime"u8);
                if (isOver && end!.IsSuccess) status.WriteString("completionTime"u8, Body.Time(now));
                if (!ReferenceEquals(conditions, old.Conditions)) status.Conditions(conditions);
            });
        }), "status");

        static bool Same(IReadOnlyList<string>? a, List<string> b) => (a ?? []).SequenceEqual(b);

        static void Uids(System.Text.Json.Utf8JsonWriter json, string name, List<string> uids)
        {
            if (uids.Count == 0) json.WriteNull(name);
            else json.Strings(name, uids);
        }
    }

    private static EventNote? Told(Job job, Applied applied) => applied.Change switch
    {
        Create => EventNote.Normal(Body.Reference(Kind.Job, job), "SuccessfulCreate", $"Created pod: {applied.Written!.Key.Name}"),
        Delete { Key.Kind.Name: "Pod" } => EventNote.Normal(Body.Reference(Kind.Job, job), "SuccessfulDelete", $"Deleted pod: {applied.Change.Key.Name}"),
        _ => null,
    };

    private static TimeSpan Sooner(TimeSpan? a, TimeSpan b) => a is { } other && other < b ? other : b;
}
