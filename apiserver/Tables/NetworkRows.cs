using System.Text.Json;

namespace Declarative.ApiServer.Tables;

internal static class NetworkRows
{
    private const int ShownMax = 3;
    public const string ServiceColumns = "Type|Cluster-IP|External-IP|Port(s)|Age|*Selector";
    public const string EndpointsColumns = "Endpoints|Age";
    public const string SliceColumns = "AddressType|Ports|Endpoints|Age";
    public const string IngressColumns = "Class|Hosts|Address|Ports|Age";
    public const string IngressClassColumns = "Controller|Parameters|Age";
    public const string PolicyColumns = "Pod-Selector|Age";
    public const string TrafficColumns = "Role|#Observed|#Draining|#In Flight|Renewed|Age";

    public static Cell[] Service(JsonElement o)
    {
        var spec = o.At("spec");
        var ports = string.Join(',', spec.Items("ports").Select(x =>
            x.Number("nodePort") > 0 ? $"{x.Number("port")}:{x.Number("nodePort")}/{x.Text("protocol", "TCP")}" : $"{x.Number("port")}/{x.Text("protocol", "TCP")}"));
        return [spec.Text("type", "ClusterIP"), spec.Text("clusterIP").OrNone(), External(o), ports.OrNone(), o.Created(), spec.Pairs("selector")];
    }

    private static string External(JsonElement o)
    {
        var spec = o.At("spec");
        var external = spec.Items("externalIPs").Select(x => x.ToString()).ToList();
        switch (spec.Text("type"))
        {
            case "ExternalName":
                return spec.Text("externalName");
            case "LoadBalancer":
                var balanced = Addresses(o).Concat(external).ToList();
                return balanced.Count == 0 ? "<pending>" : string.Join(',', balanced);
            default:
                return string.Join(',', external).OrNone();
        }
    }

    public static Cell[] Endpoints(JsonElement o)
    {
        var all = o.Items("subsets").SelectMany(subset => subset.Count("ports") == 0
            ? subset.Items("addresses").Select(x => x.Text("ip"))
            : subset.Items("ports").SelectMany(port => subset.Items("addresses").Select(x => $"{x.Text("ip")}:{port.Number("port")}")));
        return [Some(all), o.Created()];
    }

    public static Cell[] Slice(JsonElement o)
    {
        var ports = o.Count("ports") == 0 ? "<unset>" : Some(o.Items("ports").Select(x => x.At("port").ValueKind == JsonValueKind.Number ? x.Text("port") : x.Text("name", "*")));
        var addresses = o.Count("endpoints") == 0 ? "<unset>" : Some(o.Items("endpoints").SelectMany(x => x.Items("addresses")).Select(x => x.ToString()));
        return [o.Text("addressType"), ports, addresses, o.Created()];
    }

    public static Cell[] Ingress(JsonElement o)
    {
        var spec = o.At("spec");
        var hosts = Some(spec.Items("rules").Select(x => x.Text("host", "*")));
        return
        [
            spec.Text("ingressClassName", o.At("metadata", "annotations").Text("kubernetes.io/ingress.class")).OrNone(),
            hosts == Json.None ? "*" : hosts, string.Join(',', Addresses(o)), spec.Count("tls") > 0 ? "80, 443" : "80", o.Created(),
        ];
    }

    public static Cell[] IngressClass(JsonElement o)
    {
        var parameters = o.At("spec", "parameters");
        var text = parameters.ValueKind != JsonValueKind.Object ? Json.None
            : $"{parameters.Text("kind")}{(parameters.Text("apiGroup") is { Length: > 0 } group ? "." + group : "")}/{parameters.Text("name")}";
        return [o.At("spec").Text("controller"), text, o.Created()];
    }

    public static Cell[] Policy(JsonElement o) => [o.At("spec").Selector("podSelector"), o.Created()];

    public static Cell[] Traffic(JsonElement o)
    {
        var (spec, status) = (o.At("spec"), o.At("status"));
        return
        [
            spec.Text("role"), status.Number("observedRevision"), status.Count("draining"), status.Items("draining").Sum(x => x.Number("inFlight")),
            Cell.Since(spec.Time("renewTime")), o.Created(),
        ];
    }

    private static IEnumerable<string> Addresses(JsonElement o) =>
        o.At("status", "loadBalancer").Items("ingress").Select(x => x.Text("ip", x.Text("hostname"))).Where(x => x.Length > 0);

    /// <summary>The first few, and how many more there are.</summary>
    private static string Some(IEnumerable<string> all)
    {
        var list = all.ToList();
        if (list.Count == 0) return Json.None;
        var text = string.Join(',', list.Take(ShownMax));
        return list.Count > ShownMax ? $"{text} + {list.Count - ShownMax} more..." : text;
    }
}
