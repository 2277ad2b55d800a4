using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.DaemonSets;

/// <summary>The making of a DaemonSet's pods, each pinned to its node by node affinity as Kubernetes does it.</summary>
internal static class DaemonPods
{
    public static string Hash(this Pod pod) => pod.Metadata.Labels.GetValueOrDefault(Revisions.PodLabel, "");

    public static Create Make(DaemonSet set, StoredRevision revision, string node)
    {
        var draft = revision.Template.Draft(set.Namespace, Kind.DaemonSet, set).NamedLike(set.Name + "-").Label(Revisions.PodLabel, revision.Hash);
        Pin(draft.Spec, node);
        Tolerate(draft.Spec);
        return Change.Create(ResourceKey.Of(Kind.Pod, set.Namespace, ""), draft.ToJson());
    }

    public static Delete Remove(Pod pod) => Change.Delete(ResourceKey.Of(Kind.Pod, pod.Namespace, pod.Name), pod.Uid);

    /// <summary>What the template requires of its node was decided when the node was chosen: only the name is left.</summary>
    private static void Pin(JsonObject spec, string node)
    {
        var affinity = PodDraft.Need(PodDraft.Need(spec, "affinity"), "nodeAffinity");
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = new JsonObject
        {
            ["nodeSelectorTerms"] = new JsonArray(new JsonObject
            {
                ["matchFields"] = new JsonArray(new JsonObject { ["key"] = "metadata.name", ["operator"] = "In", ["values"] = new JsonArray(node) }),
            }),
        };
    }

    private static void Tolerate(JsonObject spec)
    {
        if (spec["tolerations"] is not JsonArray list) spec["tolerations"] = list = [];
        foreach (var toleration in NodeFit.Tolerations)
        {
            if (list.Any(x => (string?)x?["key"] == toleration.Key && (string?)x?["operator"] == toleration.Operator && (string?)x?["effect"] == toleration.Effect)) continue;
            list.Add(new JsonObject { ["key"] = toleration.Key, ["operator"] = toleration.Operator, ["effect"] = toleration.Effect });
        }
    }
}
