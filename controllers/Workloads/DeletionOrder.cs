using Declarative.Api.Kinds;

namespace Declarative.Controllers.Workloads;

/// <summary>
/// Which pods go first when a set shrinks (Kubernetes doc "ReplicaSet", Scaling a ReplicaSet): not placed, pending, not ready, lower deletion
/// cost, on a node with more replicas, ready for less time, restarted more often, newer. The name decides the rest, so that the order is total.
/// </summary>
internal static class DeletionOrder
{
    public static IEnumerable<Pod> First(IReadOnlyList<Pod> pods)
    {
        var perNode = pods.Where(x => x.Spec.NodeName.Length > 0).GroupBy(x => x.Spec.NodeName).ToDictionary(x => x.Key, x => x.Count());
        return pods
            .OrderBy(x => x.Spec.NodeName.Length > 0)
            .ThenBy(x => x.Status.Phase switch { "Pending" or "" => 0, "Unknown" => 1, _ => 2 })
            .ThenBy(x => x.IsReady)
            .ThenBy(x => x.Cost())
            .ThenByDescending(x => perNode.GetValueOrDefault(x.Spec.NodeName))
            .ThenByDescending(x => x.ReadySince() ?? DateTimeOffset.MinValue)
            .ThenByDescending(x => x.Restarts())
            .ThenByDescending(x => x.Metadata.CreationTimestamp ?? DateTimeOffset.MinValue)
            .ThenBy(x => x.Name, StringComparer.Ordinal);
    }
}
