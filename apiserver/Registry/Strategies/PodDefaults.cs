using System.Text.Json.Nodes;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>The defaults of a pod spec (Kubernetes: pkg/apis/core/v1 defaults), in pods and in templates.</summary>
internal static class PodDefaults
{
    public static void Apply(JsonObject spec)
    {
        spec.Default("restartPolicy", "Always");
        spec.Default("dnsPolicy", "ClusterFirst");
        spec.Default("schedulerName", "default-scheduler");
        spec.Default("terminationGracePeriodSeconds", 30);
        spec.Default("securityContext", new JsonObject());
        var hostNetwork = spec.Flag("hostNetwork");
        foreach (var list in (ReadOnlySpan<string>)["initContainers", "containers"])
        {
            foreach (var node in spec.List(list) ?? [])
            {
                if (node is JsonObject container) Container(container, hostNetwork);
            }
        }
        foreach (var node in spec.List("volumes") ?? [])
        {
            if (node is not JsonObject volume) continue;
            foreach (var name in (ReadOnlySpan<string>)["secret", "configMap", "downwardAPI", "projected"]) volume.Object(name)?.Default("defaultMode", 420);
        }
    }

    private static void Container(JsonObject container, bool hostNetwork)
    {
        container.Default("terminationMessagePath", "/dev/termination-log");
        container.Default("terminationMessagePolicy", "File");
        if (container.Text("image") is { Length: > 0 } image)
        {
            var tag = image.LastIndexOf(':') > image.LastIndexOf('/') ? image[(image.LastIndexOf(':') + 1)..] : "latest";
            container.Default("imagePullPolicy", tag == "latest" && !image.Contains('@', StringComparison.Ordinal) ? "Always" : "IfNotPresent");
        }
        container.Default("resources", new JsonObject());
        foreach (var node in container.List("ports") ?? [])
        {
            if (node is not JsonObject port) continue;
            port.Default("protocol", "TCP");
            if (hostNetwork && port.Number("containerPort") is { } number) port.Default("hostPort", number);
        }
        foreach (var node in container.List("env") ?? [])
        {
            (node as JsonObject)?.Object("valueFrom")?.Object("fieldRef")?.Default("apiVersion", "v1");
        }
        foreach (var name in (ReadOnlySpan<string>)["livenessProbe", "readinessProbe", "startupProbe"])
        {
            if (container.Object(name) is { } probe) Probe(probe);
        }
        if (container.Object("resources") is { } resources && resources.Object("limits") is { } limits)
        {
            foreach (var (name, value) in limits)
            {
                if (value is not null) resources.Need("requests").Default(name, value.DeepClone());
            }
        }
    }

    private static void Probe(JsonObject probe)
    {
        probe.Default("timeoutSeconds", 1);
        probe.Default("periodSeconds", 10);
        probe.Default("successThreshold", 1);
        probe.Default("failureThreshold", 3);
        // kubectl describe reads it without asking whether it is there.
        probe.Object("grpc")?.Default("service", "");
        if (probe.Object("httpGet") is { } get)
        {
            get.Default("path", "/");
            get.Default("scheme", "HTTP");
        }
    }

    /// <summary>Guaranteed: every container has equal cpu and memory requests and limits; BestEffort: none has any; else Burstable.</summary>
    public static string QosClass(JsonObject spec)
    {
        var (any, guaranteed) = (false, true);
        foreach (var node in spec.List("containers") ?? [])
        {
            if (node is not JsonObject container) continue;
            var requests = container.Object("resources")?.Object("requests");
            var limits = container.Object("resources")?.Object("limits");
            foreach (var name in (ReadOnlySpan<string>)["cpu", "memory"])
            {
                any |= requests?[name] is not null || limits?[name] is not null;
                guaranteed &= limits?[name] is not null && JsonNode.DeepEquals(requests?[name], limits[name]);
            }
        }
        return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
    }
}
