using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Endpoints;

/// <summary>core/v1 Endpoints of a Service, as kube-controller-manager's endpoint controller writes them: pods that go away are left out.</summary>
internal static class EndpointsObjectPlan
{
    public const string ManagedByLabel = "endpoints.kubernetes.io/managed-by";
    private const string Manager = "endpoint-controller";
    private const string OverCapacity = "endpoints.kubernetes.io/over-capacity";

    /// <summary>More are left out, which annotation <c>endpoints.kubernetes.io/over-capacity</c> says (Kubernetes doc "Service", over-capacity endpoints).</summary>
    private const int AddressesMax = 1000;

    /// <param name="service">null = it is gone, and so is what we wrote.</param>
    /// <param name="slices">Those that we wrote for the Service.</param>
    public static Plan Compute(Service? service, IReadOnlyList<EndpointSlice> slices, Entry<ApiObject>? present)
    {
        if (service is null || service.Metadata.IsDeleting)
        {
            var isOurs = present is { Object.Metadata: { IsDeleting: false } metadata } && metadata.Labels.GetValueOrDefault(ManagedByLabel) == Manager;
            return isOurs ? new() { Changes = [Change.Delete(present!.Key, present.Uid)] } : Plan.Nothing;
        }
        if (!EndpointsPlan.IsOurs(service)) return Plan.Nothing;
        var key = ResourceKey.Of(Kind.Endpoints, service.Namespace, service.Name);
        var (subsets, isCut) = Subsets(slices);
        if (present is not null && IsSame(present, service, subsets, isCut)) return Plan.Nothing;
        var body = Body.Of(json =>
        {
            json.TypeMeta(Kind.Endpoints);
            json.Object("metadata", meta =>
            {
                meta.WriteString("name"u8, service.Name);
                meta.WriteString("namespace"u8, service.Namespace);
                meta.Object("labels", x =>
                {
                    var labels = Labels(service);
                    foreach (var gone in present?.Object.Metadata.Labels.Keys.Where(k => !labels.ContainsKey(k)) ?? []) x.WriteNull(gone);
                    foreach (var (name, value) in labels) x.WriteString(name, value);
                });
                if (isCut) meta.Map("annotations", [new(OverCapacity, "truncated")]);
                else if (present?.Object.Metadata.Annotations.ContainsKey(OverCapacity) == true) meta.Object("annotations", x => x.WriteNull(OverCapacity));
            });
            if (subsets.Count > 0)
            {
                json.WritePropertyName("subsets"u8);
                subsets.WriteTo(json);
            }
            else if (present is not null) json.WriteNull("subsets"u8);
        });
        return new() { Changes = [present is null ? Change.Create(key, body) : Change.Merge(key, body)] };
    }

    private static bool IsSame(Entry<ApiObject> present, Service service, JsonArray subsets, bool isCut)
    {
        var (labels, metadata) = (Labels(service), present.Object.Metadata);
        if (metadata.Labels.Count != labels.Count || !labels.All(x => metadata.Labels.GetValueOrDefault(x.Key) == x.Value)) return false;
        if (metadata.Annotations.ContainsKey(OverCapacity) != isCut) return false;
        var stored = JsonNode.Parse(present.Json.Span)?["subsets"] as JsonArray ?? [];
        return JsonNode.DeepEquals(stored, subsets);
    }

    private static SortedDictionary<string, string> Labels(Service service)
    {
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in service.Metadata.Labels) labels[key] = value;
        if (service.Spec.ClusterIP == "None") labels[EndpointsPlan.HeadlessLabel] = "";
        labels[ManagedByLabel] = Manager;
        return labels;
    }

    /// <summary>Addresses by their ports; those that are ready, and those that are not.</summary>
    private static (JsonArray Subsets, bool IsCut) Subsets(IReadOnlyList<EndpointSlice> slices)
    {
        var (subsets, left, isCut) = (new JsonArray(), AddressesMax, false);
        var groups = slices.Where(x => !x.Metadata.IsDeleting && x.AddressType == "IPv4").GroupBy(x => string.Join(',', x.Ports.Select(y => $"{y.Name}:{y.Port}/{y.Protocol}/{y.AppProtocol}")));
        foreach (var group in groups.OrderBy(x => x.Key, StringComparer.Ordinal))
        {
            var endpoints = group.SelectMany(x => x.Endpoints).Where(x => !x.Conditions.IsTerminating && x.Addresses.Count > 0)
                .OrderBy(x => x.Addresses[0], StringComparer.Ordinal).ThenBy(x => x.TargetRef?.Uid, StringComparer.Ordinal).ToList();
            // Where not all fit, those that are ready come first.
            isCut |= endpoints.Count > left;
            var kept = endpoints.OrderByDescending(x => x.Conditions.IsReady).Take(left).ToList();
            left -= kept.Count;
            if (kept.Count == 0) continue;
            var subset = new JsonObject();
            Add(subset, "addresses", kept.Where(x => x.Conditions.IsReady));
            Add(subset, "notReadyAddresses", kept.Where(x => !x.Conditions.IsReady));
            if (group.First().Ports is { Count: > 0 } ports) subset["ports"] = new JsonArray([.. ports.Select(Port)]);
            subsets.Add(subset);
        }
        return (subsets, isCut);
    }

    private static void Add(JsonObject subset, string name, IEnumerable<Endpoint> endpoints)
    {
        var addresses = new JsonArray([.. endpoints.Select(Address)]);
        if (addresses.Count > 0) subset[name] = addresses;
    }

    private static JsonObject Address(Endpoint endpoint)
    {
        var address = new JsonObject { ["ip"] = endpoint.Addresses[0] };
        if (endpoint.Hostname.Length > 0) address["hostname"] = endpoint.Hostname;
        if (endpoint.NodeName.Length > 0) address["nodeName"] = endpoint.NodeName;
        if (endpoint.TargetRef is { } pod) address["targetRef"] = new JsonObject { ["kind"] = pod.Kind, ["namespace"] = pod.Namespace, ["name"] = pod.Name, ["uid"] = pod.Uid };
        return address;
    }

    private static JsonObject Port(EndpointPort port)
    {
        var json = new JsonObject();
        if (port.Name.Length > 0) json["name"] = port.Name;
        json["port"] = port.Port;
        json["protocol"] = port.Protocol;
        if (port.AppProtocol.Length > 0) json["appProtocol"] = port.AppProtocol;
        return json;
    }
}
