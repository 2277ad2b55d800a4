using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.StatefulSets;

/// <summary>The steps over a set's pods: fill the ordinals, remove those beyond, then bring old revisions up to date.</summary>
internal sealed class StatefulSteps
{
    private readonly StatefulSet _set;
    private readonly ReadOnlyMemory<byte> _json;
    private readonly StoredRevision _current;
    private readonly StoredRevision _update;
    private readonly Func<string, ApiObject?> _claim;
    private readonly DateTimeOffset _now;
    private readonly SortedDictionary<int, Pod?> _wanted = [];
    private readonly List<(int Ordinal, Pod Pod)> _beyond = [];

    public StatefulSteps(
        StatefulSet set, ReadOnlyMemory<byte> json, IReadOnlyList<Pod> pods, StoredRevision current, StoredRevision update, Func<string, ApiObject?> claim, DateTimeOffset now)
    {
        (_set, _json, _current, _update, _claim, _now) = (set, json, current, update, claim, now);
        for (var i = 0; i < set.Spec.Replicas; i++) _wanted[set.Spec.Ordinals.Start + i] = null;
        foreach (var pod in pods)
        {
            if (StatefulPods.Ordinal(set, pod) is not { } ordinal) continue;
            if (_wanted.ContainsKey(ordinal)) _wanted[ordinal] = pod;
            else _beyond.Add((ordinal, pod));
        }
        _beyond.Sort((a, b) => b.Ordinal.CompareTo(a.Ordinal));
    }

    public List<Change> Changes { get; } = [];

    public void Run()
    {
        if (Fill() && Shrink() && _set.Spec.UpdateStrategy.Type == "RollingUpdate") Update();
    }

    /// <summary>False: the later steps wait.</summary>
    private bool Fill()
    {
        var complete = true;
        foreach (var (ordinal, pod) in _wanted)
        {
            if (pod is null) Make(ordinal);
            else if (pod.IsFinished && !pod.Metadata.IsDeleting) Changes.Add(Remove(pod)); // made again when it is gone
            else
            {
                // A claim that was lost while its pod waits for a place is made again.
                if (pod.Status.Phase is "Pending" or "" && !pod.Metadata.IsDeleting) Changes.AddRange(StatefulPods.MissingClaims(_set, _json, ordinal, _claim));
                if (IsAvailable(pod)) continue;
            }
            complete = false;
            if (_set.Spec.IsOrdered) return false;
        }
        return complete || !_set.Spec.IsOrdered;
    }

    private bool Shrink()
    {
        foreach (var (ordinal, pod) in _beyond)
        {
            if (!pod.Metadata.IsDeleting)
            {
                Changes.AddRange(StatefulPods.GiveClaims(_set, pod, ordinal, _claim));
                Changes.Add(Remove(pod));
            }
            if (_set.Spec.IsOrdered) return false;
        }
        return true;
    }

    /// <summary>From the highest ordinal down to the partition, as many at once as may be down.</summary>
    private void Update()
    {
        var rolling = _set.Spec.UpdateStrategy.RollingUpdate;
        var most = rolling?.MaxUnavailable is { } amount ? Math.Max(1, amount.Of(_set.Spec.Replicas, roundUp: false)) : 1;
        var down = _wanted.Values.Count(x => x is null || !IsAvailable(x));
        foreach (var (ordinal, pod) in _wanted.Reverse())
        {
            if (ordinal < _set.Spec.Ordinals.Start + (rolling?.Partition ?? 0)) return;
            if (pod is null) return;
            if (pod.Revision() == _update.Name || pod.Metadata.IsDeleting)
            {
                if (!IsAvailable(pod) && most == 1) return;
                continue;
            }
            // One that is down anyway costs nothing more.
            var isDown = !IsAvailable(pod);
            if (!isDown && down >= most) return;
            Changes.Add(Remove(pod));
            if (!isDown) down++;
            if (most == 1) return;
        }
    }

    private void Make(int ordinal)
    {
        // A claim that is on its way out would go with the pod on top of it.
        if (_set.Spec.VolumeClaimTemplates.Any(x => _claim(StatefulPods.ClaimName(_set, x.Name, ordinal)) is { Metadata.IsDeleting: true })) return;
        Changes.AddRange(StatefulPods.MissingClaims(_set, _json, ordinal, _claim));
        Changes.Add(StatefulPods.Make(_set, RevisionOf(ordinal), ordinal));
    }

    /// <summary>Below the partition, a pod that is made anew is of the revision that it had.</summary>
    private StoredRevision RevisionOf(int ordinal)
    {
        if (_set.Spec.UpdateStrategy.Type != "RollingUpdate") return _update;
        var below = _set.Spec.UpdateStrategy.RollingUpdate is { } rolling ? rolling.Partition : _set.Status.CurrentReplicas;
        return ordinal < _set.Spec.Ordinals.Start + below ? _current : _update;
    }

    private bool IsAvailable(Pod pod) => pod.Status.Phase == "Running" && !pod.Metadata.IsDeleting && pod.IsAvailable(_set.Spec.MinReadySeconds, _now, out _);

    private static Delete Remove(Pod pod) => Change.Delete(ResourceKey.Of(Kind.Pod, pod.Namespace, pod.Name), pod.Uid);
}
