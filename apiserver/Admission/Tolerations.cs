using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission;

/// <summary>
/// Kubernetes' admission plugin DefaultTolerationSeconds: a pod that does not say how long it stays on a node that is not ready or not
/// reachable stays 5 minutes.
/// </summary>
internal static class Tolerations
{
    private const int Seconds = 300;
    private static readonly string[] Taints = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

    public static void Default(AdmissionRequest request)
    {
        if (request is not { Operation: "CREATE" or "UPDATE", Subresource: "", Object: { } pod } || !request.Key.Kind.Equals(Kind.Pod)) return;
        var spec = pod.Need("spec");
        var given = (spec.List("tolerations") ?? []).OfType<JsonObject>().Where(x => x.Text("effect") is "" or "NoExecute").Select(x => x.Text("key")).ToList();
        foreach (var taint in Taints)
        {
            // A toleration without a key is for all of them.
            if (given.Contains(taint) || given.Contains("")) continue;
            if (spec.List("tolerations") is not { } list) spec["tolerations"] = list = [];
            list.Add(new JsonObject { ["key"] = taint, ["operator"] = "Exists", ["effect"] = "NoExecute", ["tolerationSeconds"] = Seconds });
        }
    }
}
