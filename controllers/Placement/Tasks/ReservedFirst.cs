using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>
/// Tasks are built with plain resources; where an agent offers some that are reserved for the role, these are named in their place as far as they
/// go, so that what is unreserved is left to others.
/// </summary>
internal sealed class ReservedFirst
{
    private readonly List<(Resource Kind, long Milli, RangeSet Ranges)> _left;

    /// <param name="reserved">As offered.</param>
    public ReservedFirst(IEnumerable<Resource> reserved) => _left = [.. reserved.Select(x => (x, Milli.Of(x.Scalar?.Value ?? 0), RangeSet.Of(x.Ranges)))];

    public void Apply(Operation launch)
    {
        foreach (var task in launch.Launch?.TaskInfos ?? launch.LaunchGroup.TaskGroup.Tasks) Apply(task.Resources);
        if (launch.LaunchGroup is { } group) Apply(group.Executor.Resources);
    }

    private void Apply(Google.Protobuf.Collections.RepeatedField<Resource> resources)
    {
        List<Resource> named = [];
        foreach (var resource in resources)
        {
            if (resource.Reservations.Count > 0) named.Add(resource);
            else named.AddRange(resource.Type == Value.Types.Type.Ranges ? OfRanges(resource) : OfScalar(resource));
        }
        resources.Clear();
        resources.Add(named);
    }

    private IEnumerable<Resource> OfScalar(Resource wanted)
    {
        var need = Milli.Of(wanted.Scalar.Value);
        for (var i = 0; i < _left.Count && need > 0; i++)
        {
            var (kind, milli, ranges) = _left[i];
            if (kind.Name != wanted.Name || milli == 0) continue;
            var taken = Math.Min(need, milli);
            _left[i] = (kind, milli - taken, ranges);
            need -= taken;
            yield return Part(kind, x => x.Scalar = new() { Value = Milli.ToDouble(taken) });
        }
        if (need > 0) yield return Part(wanted, x => x.Scalar = new() { Value = Milli.ToDouble(need) });
    }

    private IEnumerable<Resource> OfRanges(Resource wanted)
    {
        var need = RangeSet.Of(wanted.Ranges);
        for (var i = 0; i < _left.Count && !need.IsEmpty; i++)
        {
            var (kind, milli, ranges) = _left[i];
            if (kind.Name != wanted.Name) continue;
            var rest = need.Subtract(ranges);
            var taken = need.Subtract(rest);
            if (taken.IsEmpty) continue;
            _left[i] = (kind, milli, ranges.Subtract(taken));
            need = rest;
            yield return Part(kind, x => x.Ranges = taken.ToProtocol());
        }
        if (!need.IsEmpty) yield return Part(wanted, x => x.Ranges = need.ToProtocol());
    }

    private static Resource Part(Resource kind, Action<Resource> set)
    {
        var part = kind.Clone();
        part.AllocationInfo = null;
        set(part);
        return part;
    }
}
