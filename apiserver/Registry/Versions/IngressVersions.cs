using System.Text.Json.Nodes;

namespace Declarative.ApiServer.Registry.Versions;

/// <summary>networking.k8s.io/v1beta1 names a backend's service and port side by side, and the backend of all else <c>backend</c> (Kubernetes: pkg/apis/networking/v1beta1 conversion).</summary>
internal static class IngressVersions
{
    public static void ToV1(JsonObject json)
    {
        if (json.Object("spec") is not { } spec) return;
        Rename(spec, "backend", "defaultBackend");
        foreach (var path in Paths(spec)) path.Default("pathType", "ImplementationSpecific");
        foreach (var backend in Backends(spec, "defaultBackend"))
        {
            backend.Remove("serviceName", out var name);
            backend.Remove("servicePort", out var port);
            if (name is null && port is null) continue;
            var service = new JsonObject();
            if (name is not null) service["name"] = name;
            if (port is JsonValue number) service["port"] = number.TryGetValue<string>(out _) ? new JsonObject { ["name"] = port } : new JsonObject { ["number"] = port };
            backend["service"] = service;
        }
    }

    public static void ToV1Beta1(JsonObject json)
    {
        if (json.Object("spec") is not { } spec) return;
        Rename(spec, "defaultBackend", "backend");
        foreach (var backend in Backends(spec, "backend"))
        {
            if (!backend.Remove("service", out var node) || node is not JsonObject service) continue;
            if (service["name"] is { } name) backend["serviceName"] = name.DeepClone();
            if ((service.Object("port")?["number"] ?? service.Object("port")?["name"]) is { } port) backend["servicePort"] = port.DeepClone();
        }
    }

    private static void Rename(JsonObject spec, string from, string to)
    {
        if (spec.Remove(from, out var backend)) spec[to] = backend;
    }

    private static IEnumerable<JsonObject> Backends(JsonObject spec, string ofAllElse) =>
        Paths(spec).Select(x => x.Object("backend")).Append(spec.Object(ofAllElse)).OfType<JsonObject>();

    private static IEnumerable<JsonObject> Paths(JsonObject spec) =>
        (spec.List("rules") ?? []).OfType<JsonObject>().SelectMany(x => x.Object("http")?.List("paths") ?? []).OfType<JsonObject>();
}
