using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Addresses and ports of Endpoints (Kubernetes: ValidateEndpoints); loopback addresses are allowed.</summary>
internal sealed class EndpointsStrategy : Strategy
{
    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (old is not null && JsonNode.DeepEquals(json["subsets"], old["subsets"])) return;
        var subsets = json.List("subsets") ?? [];
        for (var i = 0; i < subsets.Count; i++)
        {
            if (subsets[i] is JsonObject subset) Subset(new(subset, $"subsets[{i}]", causes));
        }
    }

    private static void Subset(Part subset)
    {
        var addresses = subset.Items("addresses").Concat(subset.Items("notReadyAddresses")).ToList();
        if (addresses.Count == 0) subset.Causes.Add(Metadata.Required(subset.Path, "must specify `addresses` or `notReadyAddresses`"));
        foreach (var address in addresses)
        {
            if (Forms.AddressError(address.Text("ip")) is { } error) address.Invalid("ip", error);
            address.Form("hostname", Names.LabelError);
            address.Form("nodeName", Names.SubdomainError);
        }
        var ports = subset.Items("ports").ToList();
        foreach (var port in ports)
        {
            if (ports.Count > 1) port.Needs("name");
            port.Form("name", Names.LabelError);
            if (port.Number("port") is not (>= 1 and <= 65535)) port.Invalid("port", "must be between 1 and 65535, inclusive");
            port.OneOf("protocol", "TCP", "UDP", "SCTP");
            port.Form("appProtocol", Names.QualifiedNameError);
        }
    }
}

/// <summary>Addresses and ports of EndpointSlices (Kubernetes: pkg/apis/discovery/validation); loopback addresses are allowed.</summary>
internal static class EndpointSliceValidation
{
    private const int AddressesMax = 100;

    public static void Slice(JsonObject json, List<StatusCause> causes)
    {
        var endpoints = json.List("endpoints") ?? [];
        for (var i = 0; i < endpoints.Count; i++)
        {
            if (endpoints[i] is JsonObject endpoint) Endpoint(new(endpoint, $"endpoints[{i}]", causes), json.Text("addressType"));
        }
        var (ports, names) = (json.List("ports") ?? [], new HashSet<string>(StringComparer.Ordinal));
        for (var i = 0; i < ports.Count; i++)
        {
            if (ports[i] is not JsonObject json1) continue;
            var port = new Part(json1, $"ports[{i}]", causes);
            port.Form("name", Names.LabelError);
            if (!names.Add(port.Text("name"))) causes.Add(Rules.Duplicate(port.At("name"), port.Text("name")));
            port.OneOf("protocol", "TCP", "UDP", "SCTP");
            port.Form("appProtocol", Names.QualifiedNameError);
        }
    }

    private static void Endpoint(Part endpoint, string type)
    {
        var addresses = endpoint.Texts("addresses").ToList();
        if (addresses.Count == 0) endpoint.Needs("addresses", "must contain at least 1 address");
        if (addresses.Count > AddressesMax) endpoint.Causes.Add(new("FieldValueTooMany", $"Too many: {addresses.Count}: must have at most {AddressesMax} items", endpoint.At("addresses")));
        foreach (var (address, at) in addresses)
        {
            var wrong = type switch
            {
                "IPv4" => IsOf(address, AddressFamily.InterNetwork) ? null : "must be a valid IPv4 address",
                "IPv6" => IsOf(address, AddressFamily.InterNetworkV6) ? null : "must be a valid IPv6 address",
                "FQDN" => Names.SubdomainError(address.EndsWith('.') ? address[..^1] : address),
                _ => null,
            };
            if (wrong is not null) endpoint.Causes.Add(Metadata.Invalid(at, address, wrong));
        }
        endpoint.Form("hostname", Names.LabelError);
        endpoint.Form("nodeName", Names.SubdomainError);
    }

    private static bool IsOf(string text, AddressFamily family) => Forms.IsAddress(text) && IPAddress.Parse(text).AddressFamily == family;
}
