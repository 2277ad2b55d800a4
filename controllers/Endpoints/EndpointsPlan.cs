using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Endpoints;

/// <summary>
/// The slices of one Service: every selected pod that has an address and has not finished, with its real host ports. One slice has one set of
/// ports, so pods are grouped by theirs.
/// </summary>
internal static class EndpointsPlan
{
    public const string HeadlessLabel = "service.kubernetes.io/headless";

    /// <summary>Services whose slices are not ours: without a selector, or names of something elsewhere.</summary>
    public static bool IsOurs(Service service) => service.Spec.Selector.Count > 0 && service.Spec.Type != "ExternalName";

    public static bool Selects(Service service, IReadOnlyDictionary<string, string> labels)
    {
        foreach (var (key, value) in service.Spec.Selector)
        {
            if (!labels.TryGetValue(key, out var has) || has != value) return false;
        }
        return service.Spec.Selector.Count > 0;
    }

    /// <param name="service">null = it is gone, and so are its slices.</param>
    /// <param name="pods">The selected pods in the order of their names.</param>
    /// <param name="slices">The slices of the Service that carry our managed-by label, in the order of their names.</param>
    public static Plan Compute(Service? service, IReadOnlyList<Pod> pods, IReadOnlyList<EndpointSlice> slices)
    {
        var live = slices.Where(x => !x.Metadata.IsDeleting).ToList();
        if (service is null || service.Metadata.IsDeleting) return new() { Changes = [.. live.Select(Remove)] };
        if (!IsOurs(service)) return Plan.Nothing;

        var writes = new List<Change>();
        var removals = new List<Change>();
        // A pod that goes away and stands in no slice takes requests from nobody. To name it now would give balancers and DNS something to wait for
        // that Placement may not have waited for: it has perhaps looked already.
        var standing = live.SelectMany(x => x.Endpoints).Select(x => x.TargetRef?.Uid ?? "").ToHashSet(StringComparer.Ordinal);
        var wanted = pods.Where(x => HasEndpoint(x) && (!x.Metadata.IsDeleting || standing.Contains(x.Uid))).Select(pod => (Ports: PodPorts.Of(service, pod), Pod: pod)).GroupBy(x => PortsText(x.Ports)).ToList();
        foreach (var group in wanted)
        {
            var same = live.Where(x => x.AddressType == "IPv4" && PortsText(x.Ports) == group.Key).ToList();
            foreach (var slice in SliceSet.Pack([.. group.Select(x => Of(service, x.Pod))], same))
            {
                if (slice.Endpoints.Count == 0) continue;
                if (slice.Existing is null) writes.Add(Create(service, group.First().Ports, slice.Endpoints));
                else if (!IsSame(service, slice.Existing, slice.Endpoints)) writes.Add(Patch(service, slice.Existing, slice.Endpoints));
                if (slice.Existing is not null) live.Remove(slice.Existing);
            }
        }
        // What is left has no endpoint any more. New slices stand before old ones go, so that a pod that moves is always in one.
        removals.AddRange(live.Select(Remove));
        return new() { Changes = [.. writes, .. removals] };
    }

    private static bool HasEndpoint(Pod pod) => pod.Status.PodIP.Length > 0 && !pod.IsFinished;

    private static Endpoint Of(Service service, Pod pod)
    {
        var terminating = pod.Metadata.IsDeleting;
        return new()
        {
            Addresses = [pod.Status.PodIP],
            Conditions = new() { Ready = service.Spec.PublishNotReadyAddresses || (pod.IsReady && !terminating), Serving = pod.IsReady, Terminating = terminating },
            Hostname = pod.Spec.Hostname.Length > 0 && pod.Spec.Subdomain == service.Name ? pod.Spec.Hostname : "",
            NodeName = pod.Spec.NodeName,
            TargetRef = new() { Kind = Kind.Pod.Name, Namespace = pod.Namespace, Name = pod.Name, Uid = pod.Uid },
        };
    }

    private static bool IsSame(Service service, EndpointSlice slice, List<Endpoint> endpoints)
    {
        if (slice.Endpoints.Count != endpoints.Count) return false;
        for (var i = 0; i < endpoints.Count; i++)
        {
            var (a, b) = (slice.Endpoints[i], endpoints[i]);
            if (a.Conditions != b.Conditions || a.Hostname != b.Hostname || a.NodeName != b.NodeName || a.TargetRef != b.TargetRef
                || !a.Addresses.SequenceEqual(b.Addresses)) return false;
        }
        var labels = Labels(service);
        return slice.Metadata.Labels.Count == labels.Count && labels.All(x => slice.Metadata.Labels.TryGetValue(x.Key, out var value) && value == x.Value);
    }

    private static SortedDictionary<string, string> Labels(Service service)
    {
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in service.Metadata.Labels) labels[key] = value;
        if (service.Spec.ClusterIP == "None") labels[HeadlessLabel] = "";
        labels[EndpointSlice.ServiceNameLabel] = service.Name;
        labels[EndpointSlice.ManagedByLabel] = EndpointSlice.OurManager;
        return labels;
    }

    private static Create Create(Service service, IReadOnlyList<EndpointPort> ports, List<Endpoint> endpoints) => Change.Create(
        ResourceKey.Of(Kind.EndpointSlice, service.Namespace, ""), Body.Of(json =>
        {
            json.TypeMeta(Kind.EndpointSlice);
            json.Object("metadata", meta =>
            {
                meta.WriteString("generateName"u8, service.Name + "-");
                meta.WriteString("namespace"u8, service.Namespace);
                meta.Map("labels", Labels(service));
                meta.Owner(Kind.Service, service);
            });
            json.WriteString("addressType"u8, "IPv4"u8);
            Write(json, endpoints);
            json.Array("ports", ports, port =>
            {
                json.WriteStartObject();
                json.WriteString("name"u8, port.Name);
                json.WriteNumber("port"u8, port.Port);
                json.WriteString("protocol"u8, port.Protocol);
                if (port.AppProtocol.Length > 0) json.WriteString("appProtocol"u8, port.AppProtocol);
                json.WriteEndObject();
            });
        }));

    private static Patch Patch(Service service, EndpointSlice slice, List<Endpoint> endpoints) => Change.Merge(
        ResourceKey.Of(Kind.EndpointSlice, slice.Namespace, slice.Name), Body.Of(json =>
        {
            json.Object("metadata", meta =>
            {
                meta.WriteString("resourceVersion"u8, slice.Metadata.ResourceVersion);
                var labels = Labels(service);
                meta.Object("labels", x =>
                {
                    foreach (var gone in slice.Metadata.Labels.Keys.Where(k => !labels.ContainsKey(k)).Order(StringComparer.Ordinal)) x.WriteNull(gone);
                    foreach (var (key, value) in labels) x.WriteString(key, value);
                });
            });
            Write(json, endpoints);
        }));

    private static void Write(Utf8JsonWriter json, List<Endpoint> endpoints) => json.Array("endpoints", endpoints, x =>
    {
        json.WriteStartObject();
        json.Strings("addresses", x.Addresses);
        json.Object("conditions", c =>
        {
            c.WriteBoolean("ready"u8, x.Conditions.IsReady);
            c.WriteBoolean("serving"u8, x.Conditions.IsServing);
            c.WriteBoolean("terminating"u8, x.Conditions.IsTerminating);
        });
        if (x.Hostname.Length > 0) json.WriteString("hostname"u8, x.Hostname);
        if (x.NodeName.Length > 0) json.WriteString("nodeName"u8, x.NodeName);
        json.Object("targetRef", r =>
        {
            r.WriteString("kind"u8, x.TargetRef!.Kind);
            r.WriteString("namespace"u8, x.TargetRef.Namespace);
            r.WriteString("name"u8, x.TargetRef.Name);
            r.WriteString("uid"u8, x.TargetRef.Uid);
        });
        json.WriteEndObject();
    });

    private static Delete Remove(EndpointSlice slice) => Change.Delete(ResourceKey.Of(Kind.EndpointSlice, slice.Namespace, slice.Name), slice.Uid);

    private static string PortsText(IEnumerable<EndpointPort> ports) => string.Join(',', ports.Select(x => $"{x.Name}:{x.Port}/{x.Protocol}/{x.AppProtocol}"));
}
