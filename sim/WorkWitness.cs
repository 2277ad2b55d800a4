using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.Mesos.Protocol;

namespace Declarative.Sim;

/// <summary>
/// What is promised of StatefulSets and Jobs, seen at every revision that reaches the disk and at the agents' tasks: an ordinal has one pod at a
/// time, an ordered set's pods come one after the other, and a job has no more successes than it asks for.
/// </summary>
internal sealed class WorkWitness(World world, Witness witness, Tally tally)
{
    /// <summary>That a pod is ready may be believed for so long after it is not any more, by time-outs and restarts of the controller.</summary>
    private static readonly TimeSpan ReadyLagMax = TimeSpan.FromSeconds(90);

    /// <summary>By uid of each pod of a set: whose ordinal it is. It stays when the pod has gone: its task may not have.</summary>
    private readonly Dictionary<string, string> _ordinals = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TimeSpan> _readyAt = new(StringComparer.Ordinal);
    private readonly HashSet<string> _forced = new(StringComparer.Ordinal);
    private readonly HashSet<string> _ended = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SortedDictionary<string, string>> _successes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (int Succeeded, int Failed)> _counted = new(StringComparer.Ordinal);

    public void PodSeen(Pod pod, bool isNew)
    {
        if (pod.Metadata.Controller is not { } owner) return;
        if (owner.Kind == "StatefulSet") SetPodSeen(pod, owner.Name, isNew);
        else if (owner.Kind == "Job") JobPodSeen(pod, owner, isNew);
    }

    /// <summary>Whoever deletes by force does not wait for the task's end: what follows may run beside it.</summary>
    public void Forced(string podUid) => _forced.Add(podUid);

    public void JobSeen(Job job)
    {
        var before = _counted.GetValueOrDefault(job.Uid);
        var now = (job.Status.Succeeded, job.Status.Failed);
        if (now.Succeeded < before.Succeeded || now.Failed < before.Failed)
            witness.Violated("a job's account does not go back", string.Create(CultureInfo.InvariantCulture, $"{job.Name}: from {before.Succeeded} succeeded and {before.Failed} failed to {now.Succeeded} and {now.Failed}"));
        _counted[job.Uid] = now;
        if (job.Spec.Completions is { } completions && now.Succeeded > completions)
            witness.Violated("no more pods of a job succeed than it asks for", string.Create(CultureInfo.InvariantCulture, $"{job.Name} ({job.Uid}) counts {now.Succeeded} of {completions}"));
    }

    /// <summary>Of two pods that had an ordinal one after the other, the first has ended when the second runs.</summary>
    public void LookAtTasks(IEnumerable<(string Agent, string Task, TaskState State)> tasks)
    {
        var alive = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (_, task, state) in tasks)
        {
            var uid = Witness.PodOf(task);
            if (Witness.IsOver(state) || !_ordinals.TryGetValue(uid, out var ordinal) || _forced.Contains(uid)) continue;
            if (!alive.TryAdd(ordinal, uid) && alive[ordinal] != uid) witness.Violated("an ordinal has one pod", $"{ordinal}: {alive[ordinal]} and {uid} run");
        }
    }

    private void SetPodSeen(Pod pod, string set, bool isNew)
    {
        var ordinal = $"{pod.Namespace}/{pod.Name}";
        _ordinals[pod.Uid] = ordinal;
        if (isNew)
        {
            tally.Add("action set makes an ordinal");
            if (IsOrdered(pod.Namespace, set) && int.TryParse(pod.Name.AsSpan(set.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                for (var before = 0; before < number; before++)
                {
                    var name = string.Create(CultureInfo.InvariantCulture, $"{pod.Namespace}/{set}-{before}");
                    if (!_readyAt.TryGetValue(name, out var at) || world.Elapsed - at > ReadyLagMax) witness.Violated("an ordered set's pods come one after the other", $"{ordinal} is made before {name} is ready");
                }
            }
        }
        if (pod.IsReady && !pod.Metadata.IsDeleting) _readyAt[ordinal] = TimeSpan.MaxValue;
        else if (_readyAt.TryGetValue(ordinal, out var since) && since == TimeSpan.MaxValue) _readyAt[ordinal] = world.Elapsed;
    }

    /// <summary>A pod has gone. The name of a set's pod is free then for the next one, so its task must have ended.</summary>
    public void PodGone(string uid, IEnumerable<(string Agent, string Task, TaskState State)> tasks)
    {
        if (!_ordinals.TryGetValue(uid, out var ordinal)) return;
        if (!_forced.Contains(uid) && tasks.Any(x => Witness.PodOf(x.Task) == uid && !Witness.IsOver(x.State))) witness.Violated("an ordinal has one pod", $"{ordinal} ({uid}) is gone and its task runs");
        if (_readyAt.TryGetValue(ordinal, out var since) && since == TimeSpan.MaxValue) _readyAt[ordinal] = world.Elapsed;
    }

    private bool IsOrdered(string ns, string set) => witness.Stored(new(Kind.StatefulSet, ns, set)) is { } json && StatefulSet.Read(json).Spec.IsOrdered;

    /// <summary>A pod that is not wanted any more, and is let go or deleted for that, may still end well: it is not the job's.</summary>
    private void JobPodSeen(Pod pod, Declarative.Api.Objects.OwnerReference owner, bool isNew)
    {
        if (witness.Stored(new(Kind.Job, pod.Namespace, owner.Name)) is not { } json || Job.Read(json) is not { } job || job.Uid != owner.Uid) return;
        if (isNew && job.IsFinished) witness.Violated("a finished job makes no pods", $"{pod.Name} ({pod.Uid})");
        if (!pod.IsFinished || !_ended.Add(pod.Uid) || pod.Status.Phase != "Succeeded" || pod.Metadata.IsDeleting || !pod.Metadata.Finalizers.Contains(Job.TrackingFinalizer)) return;
        tally.Add("action job has a success");
        if (!_successes.TryGetValue(job.Uid, out var successes)) _successes.Add(job.Uid, successes = new(StringComparer.Ordinal));
        // Without indexes each success is one of its own.
        var part = pod.Metadata.Labels.GetValueOrDefault(Job.IndexLabel) ?? pod.Uid;
        if (!successes.TryAdd(part, pod.Uid)) witness.Violated("no more pods of a job succeed than it asks for", $"{job.Name} ({job.Uid}): index {part} by {successes[part]} and {pod.Uid}");
        else if (successes.Count > job.Spec.Completions) witness.Violated("no more pods of a job succeed than it asks for", string.Create(CultureInfo.InvariantCulture, $"{job.Name} ({job.Uid}): {successes.Count} of {job.Spec.Completions}"));
    }
}
