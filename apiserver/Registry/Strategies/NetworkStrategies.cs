using System.Net;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Ingresses (Kubernetes: pkg/apis/networking/validation).</summary>
internal sealed class IngressStrategy : Strategy
{
    public IngressStrategy() => HasStatus = true;

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        var rules = spec.List("rules") ?? [];
        if (rules.Count == 0 && spec.Object("defaultBackend") is null) causes.Add(Metadata.Invalid("spec", "", "either `defaultBackend` or `rules` must be specified"));
        if (spec.Object("defaultBackend") is { } fallback) Backend(fallback, "spec.defaultBackend", causes);
        for (var i = 0; i < rules.Count; i++)
        {
            if (rules[i] is not JsonObject rule) continue;
            Host(rule.Text("host"), $"spec.rules[{i}].host", causes);
            if (rule.Object("http") is not { } http) continue;
            var paths = http.List("paths") ?? [];
            if (paths.Count == 0) causes.Add(Metadata.Required($"spec.rules[{i}].http.paths"));
            for (var p = 0; p < paths.Count; p++)
            {
                if (paths[p] is JsonObject path) Path(path, $"spec.rules[{i}].http.paths[{p}]", causes);
            }
        }
        if (spec.Text("ingressClassName") is { Length: > 0 } name && Names.SubdomainError(name) is { } error) causes.Add(Metadata.Invalid("spec.ingressClassName", name, error));
    }

    private static void Path(JsonObject path, string at, List<StatusCause> causes)
    {
        var (type, text) = (path.Text("pathType"), path.Text("path"));
        if (type.Length == 0) causes.Add(Metadata.Required($"{at}.pathType", "pathType must be specified"));
        PodValidation.OneOf(type, ["Exact", "ImplementationSpecific", "Prefix"], $"{at}.pathType", causes);
        if (type is "Exact" or "Prefix" && !text.StartsWith('/')) causes.Add(Metadata.Invalid($"{at}.path", text, "must be an absolute path"));
        foreach (var bad in (ReadOnlySpan<string>)["//", "/./", "/../", "%2f", "%2F"])
        {
            if (type is "Exact" or "Prefix" && text.Contains(bad, StringComparison.Ordinal)) causes.Add(Metadata.Invalid($"{at}.path", text, $"must not contain '{bad}'"));
        }
        if (path.Object("backend") is { } backend) Backend(backend, $"{at}.backend", causes);
        else causes.Add(Metadata.Required($"{at}.backend"));
    }

    private static void Backend(JsonObject backend, string at, List<StatusCause> causes)
    {
        if (backend.Object("resource") is not null)
        {
            if (backend.Object("service") is not null) causes.Add(Metadata.Invalid(at, "", "cannot set both resource and service backends"));
            return;
        }
        if (backend.Object("service") is not { } service)
        {
            causes.Add(Metadata.Required(at, "resource or service backend is required"));
            return;
        }
        if (service.Text("name").Length == 0) causes.Add(Metadata.Required($"{at}.service.name"));
        else if (Names.DnsLabel1035Error(service.Text("name")) is { } error) causes.Add(Metadata.Invalid($"{at}.service.name", service.Text("name"), error));
        var (name, number) = (service.Object("port")?.Text("name") ?? "", service.Object("port")?.Number("number") ?? 0);
        if (name.Length == 0 && number == 0) causes.Add(Metadata.Required($"{at}.service.port", "port name or number is required"));
        else if (name.Length > 0 && number != 0) causes.Add(Metadata.Invalid($"{at}.service.port", name, "cannot set both port name & port number"));
        else if (name.Length > 0 && PodValidation.PortNameError(name) is { } nameError) causes.Add(Metadata.Invalid($"{at}.service.port.name", name, nameError));
        else if (name.Length == 0 && number is < 1 or > 65535) causes.Add(Metadata.Invalid($"{at}.service.port.number", number, "must be between 1 and 65535, inclusive"));
    }

    private static void Host(string host, string at, List<StatusCause> causes)
    {
        if (host.Length == 0) return;
        if (IPAddress.TryParse(host, out _) && host.Any(c => c is '.' or ':')) causes.Add(Metadata.Invalid(at, host, "must be a DNS name, not an IP address"));
        else if (Names.SubdomainError(host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host) is { } error) causes.Add(Metadata.Invalid(at, host, error));
    }
}

internal sealed class IngressClassStrategy : Strategy
{
    public override bool HasGeneration => true;

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        if (spec.Text("controller").Length == 0) causes.Add(Metadata.Required("spec.controller"));
        Rules.Immutable(spec, old?.Object("spec"), "spec", causes, "controller");
    }
}

internal sealed class NetworkPolicyStrategy : Strategy
{
    public override bool HasGeneration => true;

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        if (spec.List("policyTypes") is not { Count: > 0 })
        {
            spec["policyTypes"] = spec.List("egress") is { Count: > 0 } ? new JsonArray("Ingress", "Egress") : new JsonArray("Ingress");
        }
        foreach (var direction in (ReadOnlySpan<string>)["ingress", "egress"])
        {
            foreach (var port in (spec.List(direction) ?? []).OfType<JsonObject>().SelectMany(x => x.List("ports") ?? []).OfType<JsonObject>()) port.Default("protocol", "TCP");
        }
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (old is null || !JsonNode.DeepEquals(json["spec"], old["spec"])) NetworkPolicyValidation.Spec(new(json.Need("spec"), "spec", causes));
        var types = json.Need("spec").List("policyTypes") ?? [];
        for (var i = 0; i < types.Count; i++) PodValidation.OneOf(Rules.Text(types[i]), ["Egress", "Ingress"], $"spec.policyTypes[{i}]", causes);
    }
}
