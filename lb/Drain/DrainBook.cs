using Declarative.Api.Kinds;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Drain;

/// <summary>
/// The pods that go away: every one that a slice marks as terminating, and every one that is in no slice any more but still has requests
/// in flight here. Used by the loop that applies the changes alone.
/// </summary>
internal sealed class DrainBook
{
    private readonly HashSet<Destination> _marked = [];
    private readonly HashSet<Destination> _left = [];

    public bool IsEmpty => _marked.Count + _left.Count == 0;

    public void Apply(RouteChanges changes)
    {
        foreach (var destination in changes.Closed) _marked.Add(destination);
        foreach (var destination in changes.Reopened) _marked.Remove(destination);
        foreach (var destination in changes.Gone)
        {
            _marked.Remove(destination);
            if (destination.InFlight > 0) _left.Add(destination);
        }
    }

    /// <summary>One line per pod, in the order of uids: its requests and connections over all Services. A pod without uid is nobody's to wait for.</summary>
    public IReadOnlyList<DrainingPod> Report()
    {
        _left.RemoveWhere(x => x.InFlight == 0);
        if (IsEmpty) return [];
        var pods = new SortedDictionary<string, DrainingPod>(StringComparer.Ordinal);
        foreach (var destination in _marked.Concat(_left).Where(x => x.PodUid.Length > 0))
        {
            var so = pods.GetValueOrDefault(destination.PodUid) ?? new() { PodUID = destination.PodUid, Address = destination.Address };
            pods[destination.PodUid] = so with { InFlight = so.InFlight + destination.InFlight };
        }
        return [.. pods.Values];
    }
}
