using Declarative.Api.Kinds;
using Declarative.Client.Informers;

namespace Declarative.Lb.Drain;

/// <summary>
/// The pods that any slice marks as terminating. A pod may stand in other slices as ready meanwhile: in one that it is being moved out of because its
/// host port has changed, or in one of another Service that is written a moment later. What Placement waits for is the highest revision of the
/// slices that mark it (architecture.md, decision 12), so from that revision on it takes no request by any of them. Safe for any thread.
/// </summary>
internal sealed class LeavingPods
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _marks = new(StringComparer.Ordinal);

    /// <summary>Asked for every endpoint of every Service; mostly no pod is leaving.</summary>
    private volatile bool _any;

    public bool Contains(string uid)
    {
        if (!_any) return false;
        lock (_lock) return _marks.ContainsKey(uid);
    }

    /// <summary>The uids that have become leaving or stopped being so by this change.</summary>
    public IReadOnlyList<string> Apply(Change<EndpointSlice> change)
    {
        List<string>? turned = null;
        lock (_lock)
        {
            foreach (var uid in Marked(change.New))
            {
                if (Add(uid, 1) == 1) (turned ??= []).Add(uid);
            }
            foreach (var uid in Marked(change.Old))
            {
                if (Add(uid, -1) == 0) (turned ??= []).Add(uid);
            }
            _any = _marks.Count > 0;
        }
        return turned ?? (IReadOnlyList<string>)[];
    }

    private int Add(string uid, int by)
    {
        var count = _marks.GetValueOrDefault(uid) + by;
        if (count == 0) _marks.Remove(uid);
        else _marks[uid] = count;
        return count;
    }

    private static IEnumerable<string> Marked(EndpointSlice? slice) =>
        slice?.Endpoints.Where(x => x.Conditions.IsTerminating && x.TargetRef is { Uid.Length: > 0 }).Select(x => x.TargetRef!.Uid) ?? [];
}
