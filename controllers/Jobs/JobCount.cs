using Declarative.Api.Kinds;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Jobs;

/// <summary>
/// The exact account of a job's ended pods. A pod is held by a finalizer until its uid stands in status.uncountedTerminatedPods; it moves into the
/// counter only when it is seen without the finalizer. So no pod is counted twice, and none is lost, wherever the controller ends
/// (Kubernetes doc "Jobs", Job tracking with finalizers). Successes of an indexed job are counted by their index.
/// </summary>
internal sealed class JobCount
{
    /// <summary>Uids that one status may add, so that it stays small.</summary>
    public const int UncountedMax = 500;

    private readonly Job _job;
    private readonly IReadOnlyList<Pod> _pods;
    private readonly HashSet<string> _noted = new(StringComparer.Ordinal);

    /// <param name="isCurrent">Whether the pods were seen as late as the job was written: only then does a missing pod mean that it was released.</param>
    public JobCount(Job job, IReadOnlyList<Pod> pods, bool isCurrent)
    {
        (_job, _pods) = (job, pods);
        var end = job.Spec.Completions ?? 0;
        Completed = IndexSet.Parse(job.Status.CompletedIndexes, end);
        FailedIndexes = IndexSet.Parse(job.Status.FailedIndexes, end);
        (CountedSucceeded, CountedFailed) = (job.Status.Succeeded, job.Status.Failed);
        var held = pods.Where(JobPods.IsHeld).Select(x => x.Uid).ToHashSet(StringComparer.Ordinal);
        foreach (var uid in job.Status.UncountedTerminatedPods?.Succeeded ?? []) Keep(uid, UncountedSucceeded, () => CountedSucceeded++);
        foreach (var uid in job.Status.UncountedTerminatedPods?.Failed ?? []) Keep(uid, UncountedFailed, () => CountedFailed++);
        foreach (var pod in pods)
        {
            if (!pod.IsHeld() || _noted.Contains(pod.Uid)) continue;
            if (pod.Status.Phase == "Succeeded") NoteSuccess(pod);
            else if (pod.HasFailed(job)) NoteFailure(pod);
        }
        if (job.Spec.IsIndexed) CountedSucceeded = Completed.Count;

        void Keep(string uid, List<string> list, Action count)
        {
            if (isCurrent && !held.Contains(uid))
            {
                count();
                return;
            }
            list.Add(uid);
            _noted.Add(uid);
        }
    }

    public IndexSet Completed { get; }
    public IndexSet FailedIndexes { get; }
    public List<string> UncountedSucceeded { get; } = [];
    public List<string> UncountedFailed { get; } = [];

    /// <summary>What the status' counters say: pods that nothing holds any more.</summary>
    public int CountedSucceeded { get; private set; }
    public int CountedFailed { get; private set; }

    public int Succeeded => _job.Spec.IsIndexed ? Completed.Count : CountedSucceeded + UncountedSucceeded.Count;

    public int Failed => CountedFailed + UncountedFailed.Count;

    /// <summary>What the policy says to fail the job for; "" = nothing.</summary>
    public string FailJob { get; private set; } = "";

    /// <summary>Pods whose end stands in the status with this plan.</summary>
    public List<Pod> Release { get; } = [];

    /// <summary>The job is over, so what still runs counts as failed.</summary>
    public void NoteRest()
    {
        foreach (var pod in _pods)
        {
            if (pod.IsHeld() && !Release.Contains(pod)) NoteFailure(pod, isOver: true);
        }
    }

    /// <summary>Noted pods of earlier plans whose release was not achieved.</summary>
    public IEnumerable<Pod> Unreleased => _pods.Where(x => x.IsHeld() && _noted.Contains(x.Uid) && !Release.Contains(x));

    private void NoteSuccess(Pod pod)
    {
        if (_job.Spec.IsIndexed)
        {
            if (pod.Index() is { } index && index < _job.Spec.Completions) Completed.Add(index);
            Release.Add(pod);
        }
        else if (UncountedSucceeded.Count < UncountedMax)
        {
            UncountedSucceeded.Add(pod.Uid);
            Release.Add(pod);
        }
    }

    private void NoteFailure(Pod pod, bool isOver = false)
    {
        var verdict = FailureRules.Of(_job, pod);
        if (verdict.Action == FailureAction.FailJob && FailJob.Length == 0) FailJob = verdict.Message;
        if (_job.Spec.IsIndexed && !(pod.Index() < _job.Spec.Completions))
        {
            Release.Add(pod);
            return;
        }
        if (_job.Spec.BackoffLimitPerIndex is { } limit && pod.Index() is { } index)
        {
            var ignored = verdict.Action == FailureAction.Ignore;
            if (verdict.Action == FailureAction.FailIndex || (!ignored && pod.IndexFailures() + 1 > limit && !isOver)) FailedIndexes.Add(index);
            // The last failure of an index tells how often it failed: it stays until its successor carries the number on.
            if (!isOver && !_job.Metadata.IsDeleting && !FailedIndexes.Contains(index) && !Completed.Contains(index) && !HasSuccessor(pod, index, ignored)) return;
        }
        if (_noted.Contains(pod.Uid) || verdict.Action == FailureAction.Ignore)
        {
            Release.Add(pod);
        }
        else if (UncountedFailed.Count < UncountedMax)
        {
            UncountedFailed.Add(pod.Uid);
            Release.Add(pod);
        }
    }

    private bool HasSuccessor(Pod pod, int index, bool ignored) =>
        _pods.Any(x => x.Uid != pod.Uid && x.Index() == index && (x.IndexFailures() > pod.IndexFailures() || (ignored && x.IsActive() && x.IndexFailures() == pod.IndexFailures())));
}
