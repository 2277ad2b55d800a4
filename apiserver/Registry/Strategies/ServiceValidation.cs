using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>What a Service says beside its ports and cluster IP (Kubernetes: ValidateService, validateServiceExternalTrafficPolicy, ValidateServiceClusterIPsRelatedFields).</summary>
internal static class ServiceValidation
{
    /// <summary>One day (Kubernetes: MaxClientIPServiceAffinitySeconds).</summary>
    private const long AffinitySecondsMax = 86_400;

    /// <summary>What only some types of services have, so that it goes when the type changes (Kubernetes: dropTypeDependentFields).</summary>
    private static readonly (string Field, string[] Types)[] OfType =
    [
        ("externalTrafficPolicy", ["NodePort", "LoadBalancer"]),
        ("allocateLoadBalancerNodePorts", ["LoadBalancer"]),
        ("loadBalancerClass", ["LoadBalancer"]),
    ];

    public static void Spec(JsonObject json, List<StatusCause> causes)
    {
        var spec = new Part(json, "spec", causes);
        var type = spec.Text("type");
        spec.Labels("selector");
        if (spec.Child("sessionAffinityConfig")?.Child("clientIP") is { } client && spec.Text("sessionAffinity") == "ClientIP" && client.Number("timeoutSeconds") is <= 0 or > AffinitySecondsMax)
        {
            client.Invalid("timeoutSeconds", $"must be greater than 0 and less than {AffinitySecondsMax}");
        }
        foreach (var (address, at) in spec.Texts("externalIPs"))
        {
            if (Forms.AddressError(address) is { } error) causes.Add(Metadata.Invalid(at, address, error));
            else if (address is "0.0.0.0" or "::") causes.Add(Metadata.Invalid(at, address, "may not be unspecified (0.0.0.0 or ::)"));
        }
        if (spec.Texts("loadBalancerSourceRanges").Any() && type != "LoadBalancer") spec.Forbidden("loadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'");
        foreach (var (range, at) in spec.Texts("loadBalancerSourceRanges"))
        {
            if (Forms.NetworkError(range.Trim()) is { } error) causes.Add(Metadata.Invalid(at, range, error));
        }
        NodePorts(spec, type);
        Traffic(spec, type);
        Families(spec);
        if (type == "ExternalName") spec.Form("externalName", x => Names.SubdomainError(x.EndsWith('.') ? x[..^1] : x));
    }

    /// <summary>On update: what the old type had and the new one has not is dropped where the user did not touch it.</summary>
    public static void DropOfOldType(JsonObject spec, JsonObject before)
    {
        var type = spec.Text("type");
        if (type == before.Text("type")) return;
        foreach (var (field, types) in OfType)
        {
            if (!types.Contains(type) && JsonNode.DeepEquals(spec[field], before[field])) spec.Remove(field);
        }
        if (type is "NodePort" or "LoadBalancer") return;
        var taken = (before.List("ports") ?? []).OfType<JsonObject>().Select(x => x.Number("nodePort")).ToHashSet();
        foreach (var port in (spec.List("ports") ?? []).OfType<JsonObject>())
        {
            if (taken.Contains(port.Number("nodePort"))) port.Remove("nodePort");
        }
    }

    private static void NodePorts(Part spec, string type)
    {
        var taken = new HashSet<(long, string)>();
        foreach (var port in spec.Items("ports"))
        {
            port.Form("appProtocol", Names.QualifiedNameError);
            if (port.Number("nodePort") is not { } number || number == 0) continue;
            if (type == "ClusterIP") port.Forbidden("nodePort", "may not be used when `type` is 'ClusterIP'");
            if (!taken.Add((number, port.Text("protocol")))) port.Causes.Add(Rules.Duplicate(port.At("nodePort"), Rules.Text(port.Json["nodePort"])));
        }
    }

    private static void Traffic(Part spec, string type)
    {
        var reachable = type is "NodePort" or "LoadBalancer" || type == "ClusterIP" && spec.Texts("externalIPs").Any();
        if (!reachable && spec.Text("externalTrafficPolicy").Length > 0) spec.Invalid("externalTrafficPolicy", "may only be set for externally-accessible services");
        spec.OneOf("externalTrafficPolicy", "Cluster", "Local");
        spec.OneOf("internalTrafficPolicy", "Cluster", "Local");
        spec.OneOf("trafficDistribution", "PreferClose");
        if (spec.Number("healthCheckNodePort") is > 0 && (type != "LoadBalancer" || spec.Text("externalTrafficPolicy") != "Local"))
        {
            spec.Invalid("healthCheckNodePort", "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
        }
        if (type == "LoadBalancer") return;
        if (spec.Has("allocateLoadBalancerNodePorts")) spec.Forbidden("allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'");
        if (spec.Has("loadBalancerClass")) spec.Forbidden("loadBalancerClass", "may only be used when `type` is 'LoadBalancer'");
    }

    private static void Families(Part spec)
    {
        spec.OneOf("ipFamilyPolicy", "PreferDualStack", "RequireDualStack", "SingleStack");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (family, at) in spec.Texts("ipFamilies"))
        {
            PodValidation.OneOf(family, ["IPv4", "IPv6"], at, spec.Causes);
            if (!seen.Add(family)) spec.Causes.Add(Rules.Duplicate(at, family));
        }
        if (spec.Texts("clusterIPs").FirstOrDefault() is { Value: { } first, At: var firstAt } && spec.Text("clusterIP").Length > 0 && first != spec.Text("clusterIP"))
        {
            spec.Causes.Add(Metadata.Invalid(firstAt, first, "first value must match `clusterIP`"));
        }
    }
}
