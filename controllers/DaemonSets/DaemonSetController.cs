using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.DaemonSets;

/// <summary>DaemonSet and Nodes → Pods and ControllerRevisions.</summary>
internal static class DaemonSetController
{
    public const string Name = "daemonset-controller";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var sets = new Informer<DaemonSet>(api, Kind.DaemonSet, DaemonSet.Read, time, random) { KeepJson = true, Logger = logger };
        var nodes = new Informer<Node>(api, Kind.Node, Node.Read, time, random) { Logger = logger };
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = logger }
            .AddIndex(Ownership.ByController, Ownership.ControllerUid)
            .AddIndex(Ownership.Orphans, Ownership.OrphanNamespace);
        var revisions = new Informer<ControllerRevision>(api, Kind.ControllerRevision, ControllerRevision.Read, time, random) { KeepJson = true, Logger = logger }
            .AddIndex(Ownership.ByController, Ownership.ControllerUid);
        var controller = new Controller<ObjectName>(Name, api, time, (key, _) => new(Compute(key)))
        {
            Views = [sets, nodes, pods, revisions],
            Events = new(api, Name, time, random) { Logger = logger },
            Logger = logger,
        };
        sets.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        nodes.OnChange(change =>
        {
            // Heartbeats and amounts move no daemon.
            if (change is { Old: { } old, New: { } now } && Places(old) == Places(now)) return;
            foreach (var set in sets.List()) controller.Queue.Add(ObjectName.Of(set));
        });
        revisions.OnChange(change =>
        {
            if (change.Object.Metadata.Controller is { Kind: "DaemonSet" } owner) controller.Queue.Add(new(change.Object.Namespace, owner.Name));
        });
        pods.OnChange(change =>
        {
            foreach (var pod in new[] { change.Old, change.New })
            {
                if (pod is null) continue;
                if (pod.Metadata.Controller is { Kind: "DaemonSet" } owner) controller.Queue.Add(new(pod.Namespace, owner.Name));
                else if (pod.Metadata.Controller is null && !pod.Metadata.IsDeleting)
                {
                    foreach (var set in sets.ListNamespace(pod.Namespace))
                    {
                        if (set.Spec.Selector.ToSelector().Matches(pod.Metadata.Labels)) controller.Queue.Add(ObjectName.Of(set));
                    }
                }
            }
        });
        return controller.Run(stop);

        Plan Compute(ObjectName key)
        {
            if (sets.Entry(key.Namespace, key.Name) is not { } entry) return Plan.Nothing;
            return DaemonSetPlan.Compute(
                entry.Object, TemplateJson.Of(entry.Json), nodes.List(), pods.ByIndex(Ownership.ByController, entry.Uid), pods.ByIndex(Ownership.Orphans, key.Namespace),
                [.. revisions.EntriesByIndex(Ownership.ByController, entry.Uid).Select(StoredRevision.Of)], name => revisions.Get(key.Namespace, name) is not null, time.GetUtcNow());
        }
    }

    /// <summary>What decides whether a daemon runs on a node.</summary>
    private static string Places(Node node) =>
        string.Join('\n', [.. node.Metadata.Labels.OrderBy(x => x.Key, StringComparer.Ordinal).Select(x => $"{x.Key}={x.Value}"), .. node.Spec.Taints.Select(x => $"{x.Key}={x.Value}:{x.Effect}")]);
}
