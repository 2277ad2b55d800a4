using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Cli.Verbs;

/// <summary>The pods that a workload or Service selects.</summary>
internal static class PodsOf
{
    /// <summary>Ready ones first, then running ones, then the oldest: in the order in which somebody wants to look at them.</summary>
    public static async Task<IReadOnlyList<Pod>> Select(Session session, Kind kind, string name, CancellationToken stop)
    {
        var stored = await session.Api.Get(session.Key(kind, name), stop: stop);
        var selector = kind == Kind.Service ? LabelSelector.Of(Service.Read(stored.Json).Spec.Selector)
            : kind == Kind.Deployment ? Deployment.Read(stored.Json).Spec.Selector.ToSelector()
            : kind == Kind.ReplicaSet ? ReplicaSet.Read(stored.Json).Spec.Selector.ToSelector()
            : throw new UsageException($"{KindNames.Of(kind, name)} selects no pods; expected a pod, deployment, replicaset or service");
        var pods = await session.Api.List(new(Kind.Pod, session.Namespace) { Labels = selector }, stop);
        return [.. pods.Items.Select(x => Pod.Read(x.Json)).OrderByDescending(x => x.IsReady).ThenByDescending(x => x.Status.Phase == "Running").ThenBy(x => x.Metadata.CreationTimestamp).ThenBy(x => x.Name, StringComparer.Ordinal)];
    }
}
