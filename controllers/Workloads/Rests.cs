using System.Collections.Concurrent;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Workloads;

/// <summary>
/// How long workloads of many pods are left alone between two looks at all of them. A look that has taken a new generation up, or changed more than
/// a status, is followed by the next one at once: a rest there would pace roll-outs. Thread-safe.
/// </summary>
internal sealed class Rests
{
    private const int MillisecondsMax = 500;

    private readonly ConcurrentDictionary<ObjectName, bool> _busy = new();

    /// <param name="isNew">The plan is the first of its object's generation.</param>
    public Plan Note(ObjectName key, Plan plan, bool isNew)
    {
        if (isNew || plan.Changes.Any(x => x is not Patch { Subresource: "status" })) _busy[key] = true;
        return plan;
    }

    /// <summary>The rest after the plan that was noted last: 0.5 ms for each replica, nothing below ten.</summary>
    public TimeSpan After(ObjectName key, int replicas) =>
        _busy.TryRemove(key, out _) || replicas < 10 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Math.Min(replicas / 2.0, MillisecondsMax));
}
