using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Services get a cluster IP and, where their type asks for it, node ports: unique in the cluster, kept over updates.</summary>
internal sealed class ServiceStrategy : Strategy
{
    private static readonly string[] Types = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];

    public ServiceStrategy() => HasStatus = true;

    public override bool HasGeneration => false;
    public override int NameCharsMax => Api.Limits.LabelCharsMax;
    public override IReadOnlyList<string> SelectableFields => ["spec.clusterIP", "spec.type"];

    public override string? NameError(string name) => Names.DnsLabel1035Error(name);

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        spec.Default("type", "ClusterIP");
        spec.Default("sessionAffinity", "None");
        var type = spec.Text("type");
        if (type != "ExternalName")
        {
            spec.Default("internalTrafficPolicy", "Cluster");
            spec.Default("ipFamilyPolicy", "SingleStack");
            spec.Default("ipFamilies", new JsonArray("IPv4"));
        }
        if (type is "NodePort" or "LoadBalancer") spec.Default("externalTrafficPolicy", "Cluster");
        if (type == "LoadBalancer") spec.Default("allocateLoadBalancerNodePorts", true);
        foreach (var node in spec.List("ports") ?? [])
        {
            if (node is not JsonObject port) continue;
            port.Default("protocol", "TCP");
            if (port["targetPort"] is null && port.Number("port") is { } number) port["targetPort"] = number;
        }
        json.Default("status", new JsonObject { ["loadBalancer"] = new JsonObject() });
    }

    /// <summary>What was allocated stays where the new object does not say otherwise.</summary>
    public override void PrepareForUpdate(JsonObject json, JsonObject old, WriteContext context)
    {
        var (spec, before) = (json.Need("spec"), old.Need("spec"));
        ServiceValidation.DropOfOldType(spec, before);
        if (spec.Text("type") == "ExternalName") return;
        if (spec.Text("clusterIP").Length == 0 && before.Text("clusterIP").Length > 0)
        {
            spec["clusterIP"] = before.Text("clusterIP");
            Canonical.CopyMember(before, spec, "clusterIPs");
        }
        if (spec.Text("type") is not ("NodePort" or "LoadBalancer")) return;
        foreach (var node in spec.List("ports") ?? [])
        {
            if (node is not JsonObject port || port.Number("nodePort") is > 0) continue;
            var same = (before.List("ports") ?? []).OfType<JsonObject>().FirstOrDefault(x => x.Number("port") == port.Number("port") && x.Text("protocol") == port.Text("protocol"));
            if (same?.Number("nodePort") is { } kept) port["nodePort"] = kept;
        }
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        var type = spec.Text("type");
        PodValidation.OneOf(type, Types, "spec.type", causes);
        PodValidation.OneOf(spec.Text("sessionAffinity"), ["None", "ClientIP"], "spec.sessionAffinity", causes);
        if (old is null || !JsonNode.DeepEquals(spec, old["spec"])) ServiceValidation.Spec(spec, causes);
        if (type == "ExternalName")
        {
            if (spec.Text("externalName").Length == 0) causes.Add(Metadata.Required("spec.externalName"));
            return;
        }
        var clusterIp = spec.Text("clusterIP");
        if (clusterIp.Length > 0 && clusterIp != "None" && !System.Net.IPAddress.TryParse(clusterIp, out _))
        {
            causes.Add(Metadata.Invalid("spec.clusterIP", clusterIp, "must be an IP address, \"None\" or empty"));
        }
        if (old?.Object("spec")?.Text("clusterIP") is { Length: > 0 } before && old.Object("spec")?.Text("type") != "ExternalName" && before != clusterIp)
        {
            causes.Add(Metadata.InvalidJson("spec.clusterIPs[0]", new JsonArray(clusterIp), "may not change once set"));
        }
        if (clusterIp == "None" && type is "NodePort" or "LoadBalancer" && clusterIp == "None")
        {
            causes.Add(Metadata.Invalid("spec.clusterIP", "None", $"may not be set to 'None' for {type} services"));
        }
        if (old?.Object("spec") is { } was && was.Text("type") == "LoadBalancer" && type == "LoadBalancer" && was.Text("loadBalancerClass") != spec.Text("loadBalancerClass"))
        {
            causes.Add(Metadata.Invalid("spec.loadBalancerClass", spec.Text("loadBalancerClass"), "may not change once set"));
        }
        Ports(spec, clusterIp == "None", causes);
    }

    public override void Allocate(JsonObject json, JsonObject? old, WriteContext context) => context.Services.Take(json, old);

    public override Func<bool>? Holds(JsonObject json, WriteContext context) => context.Log.IsShared ? () => context.Services.AreFree(json) : null;

    public override void Release(JsonObject json, WriteContext context) => context.Services.Release(Metadata.Uid(json));

    private static void Ports(JsonObject spec, bool headless, List<StatusCause> causes)
    {
        var ports = spec.List("ports");
        if (ports is not { Count: > 0 })
        {
            if (!headless) causes.Add(Metadata.Required("spec.ports"));
            return;
        }
        var names = new HashSet<string>(StringComparer.Ordinal);
        var numbers = new HashSet<(long, string)>();
        for (var i = 0; i < ports.Count; i++)
        {
            if (ports[i] is not JsonObject port) continue;
            var at = $"spec.ports[{i}]";
            var number = port.Number("port") ?? 0;
            if (number is < 1 or > 65535) causes.Add(Metadata.Invalid($"{at}.port", number, "must be between 1 and 65535, inclusive"));
            if (port.Number("targetPort") is { } target and (< 1 or > 65535)) causes.Add(Metadata.Invalid($"{at}.targetPort", target, "must be between 1 and 65535, inclusive"));
            if (port.Text("targetPort") is { Length: > 0 } named && PodValidation.PortNameError(named) is { } nameError) causes.Add(Metadata.Invalid($"{at}.targetPort", named, nameError));
            PodValidation.OneOf(port.Text("protocol"), ["TCP", "UDP", "SCTP"], $"{at}.protocol", causes);
            var name = port.Text("name");
            if (name.Length == 0 && ports.Count > 1) causes.Add(Metadata.Required($"{at}.name", "needed where there is more than one port"));
            if (name.Length > 0 && Names.LabelError(name) is { } error) causes.Add(Metadata.Invalid($"{at}.name", name, error));
            if (name.Length > 0 && !names.Add(name)) causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{name}\"", $"{at}.name"));
            if (!numbers.Add((number, port.Text("protocol")))) causes.Add(new("FieldValueDuplicate", $"Duplicate value: {port.Text("protocol")} {number}", at));
        }
    }
}
