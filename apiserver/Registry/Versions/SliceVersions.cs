using System.Text.Json.Nodes;

namespace Declarative.ApiServer.Registry.Versions;

/// <summary>discovery.k8s.io/v1beta1 says in an endpoint's topology what v1 says in zone and nodeName (Kubernetes: pkg/apis/discovery/v1beta1 conversion).</summary>
internal static class SliceVersions
{
    private const string HostnameLabel = "kubernetes.io/hostname";
    private const string ZoneLabel = "topology.kubernetes.io/zone";

    public static void ToV1(JsonObject json)
    {
        foreach (var endpoint in Endpoints(json))
        {
            if (!endpoint.Remove("topology", out var node) || node is not JsonObject topology) continue;
            if (topology.Text(HostnameLabel) is { Length: > 0 } host) endpoint.Default("nodeName", host);
            if (topology.Text(ZoneLabel) is { Length: > 0 } zone) endpoint["zone"] = zone;
            topology.Remove(HostnameLabel);
            topology.Remove(ZoneLabel);
            if (topology.Count > 0) endpoint["deprecatedTopology"] = topology;
        }
    }

    public static void ToV1Beta1(JsonObject json)
    {
        foreach (var endpoint in Endpoints(json))
        {
            endpoint.Remove("deprecatedTopology", out var kept);
            var topology = kept as JsonObject ?? [];
            if (endpoint.Text("nodeName") is { Length: > 0 } host) topology[HostnameLabel] = host;
            if (endpoint.Text("zone") is { Length: > 0 } zone) topology[ZoneLabel] = zone;
            endpoint.Remove("zone");
            if (topology.Count > 0) endpoint["topology"] = topology;
        }
    }

    private static IEnumerable<JsonObject> Endpoints(JsonObject json) => (json.List("endpoints") ?? []).OfType<JsonObject>();
}
