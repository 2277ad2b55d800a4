using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>The rules of a pod spec (Kubernetes: ValidatePodSpec), with one deliberate difference: a container without image is a plain process.</summary>
internal static class PodValidation
{
    private static readonly string[] RestartPolicies = ["Always", "OnFailure", "Never"];
    private static readonly string[] Protocols = ["TCP", "UDP", "SCTP"];

    /// <param name="spec">The pod spec, defaults filled in.</param>
    /// <param name="path">Its field path.</param>
    /// <param name="causes">Takes what is wrong.</param>
    /// <param name="claims">Names of a StatefulSet's claim templates, which are volumes of its pods.</param>
    public static void Spec(JsonObject spec, string path, List<StatusCause> causes, params IEnumerable<string> claims)
    {
        var part = new Part(spec, path, causes);
        var names = new HashSet<string>(StringComparer.Ordinal);
        var volumes = VolumeValidation.Volumes(part, claims);
        if (spec.List("containers") is not { Count: > 0 } containers)
        {
            causes.Add(Metadata.Required($"{path}.containers", "a pod has at least one container"));
            containers = [];
        }
        Containers(containers, $"{path}.containers", names, causes);
        Containers(spec.List("initContainers") ?? [], $"{path}.initContainers", names, causes);
        foreach (var list in (ReadOnlySpan<string>)["containers", "initContainers"])
        {
            foreach (var container in part.Items(list))
            {
                ContainerValidation.Container(container, isInit: list == "initContainers", spec.Number("terminationGracePeriodSeconds") ?? 0);
                EnvValidation.Container(container);
                VolumeValidation.Mounts(container, volumes);
                ResourceValidation.Container(container);
                SecurityValidation.Container(container);
            }
        }
        OneOf(spec.Text("restartPolicy"), RestartPolicies, $"{path}.restartPolicy", causes);
        if (spec.Number("terminationGracePeriodSeconds") is < 0 and var grace) causes.Add(Metadata.Invalid($"{path}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0"));
        HostPorts(containers, path, causes);
        HostValidation.Spec(part);
        SecurityValidation.Pod(part);
        SchedulingValidation.Spec(part);
    }

    /// <summary>What depends on more than the field itself; the others are rows of no-effect.tsv.</summary>
    public static void Warn(JsonObject spec, string path, ICollection<string> warnings)
    {
        if (spec.List("initContainers") is { Count: > 0 }) warnings.Add($"{path}.initContainers: not supported: the pod will not start, because a Mesos task or task group has no init containers");
        var containers = spec.List("containers") ?? [];
        for (var i = 0; i < containers.Count; i++)
        {
            if (containers[i] is not JsonObject container) continue;
            var at = $"{path}.containers[{i}]";
            foreach (var name in (ReadOnlySpan<string>)["livenessProbe", "readinessProbe", "startupProbe"])
            {
                if (container.Object(name) is { } probe) WarnProbe(container, probe, $"{at}.{name}", warnings);
            }
        }
    }

    /// <summary>What a Mesos check can not say (architecture.md, decision 6).</summary>
    private static void WarnProbe(JsonObject container, JsonObject probe, string at, ICollection<string> warnings)
    {
        if (probe.Object("grpc") is not null) warnings.Add($"{at}.grpc: stored, but is not run: Mesos has no gRPC checks; use httpGet, tcpSocket or exec");
        foreach (var name in (ReadOnlySpan<string>)["httpGet", "tcpSocket"])
        {
            if (probe.Object(name) is not { } handler) continue;
            if (handler.Text("host").Length > 0) warnings.Add($"{at}.{name}.host: has no effect: checks go to the task's own address");
            if (handler.List("httpHeaders") is { Count: > 0 }) warnings.Add($"{at}.{name}.httpHeaders: has no effect: a Mesos check sends none");
            if (handler.Text("port") is { Length: > 0 } port && !(container.List("ports") ?? []).OfType<JsonObject>().Any(x => x.Text("name") == port))
            {
                var nearest = Names.Nearest(port, (container.List("ports") ?? []).OfType<JsonObject>().Select(x => x.Text("name"))) is { } near ? $"; did you mean \"{near}\"?" : "";
                warnings.Add($"{at}.{name}.port: no port of this container is named \"{port}\", so the probe is not run{nearest}");
            }
        }
    }

    private static void Containers(JsonArray containers, string path, HashSet<string> names, List<StatusCause> causes)
    {
        for (var i = 0; i < containers.Count; i++)
        {
            if (containers[i] is not JsonObject container) continue;
            var at = $"{path}[{i}]";
            var name = container.Text("name");
            if (name.Length == 0) causes.Add(Metadata.Required($"{at}.name"));
            else if (Names.LabelError(name) is { } error) causes.Add(Metadata.Invalid($"{at}.name", name, error));
            else if (!names.Add(name)) causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{name}\"", $"{at}.name"));
            if (container.Text("image").Length == 0 && container.List("command") is not { Count: > 0 } && container.List("args") is not { Count: > 0 })
            {
                causes.Add(Metadata.Required($"{at}.command", "a container without image is a plain process and needs command or args; or give an image"));
            }
            Ports(container, at, causes);
            Env(container, at, causes);
            Resources(container, at, causes);
            foreach (var probe in (ReadOnlySpan<string>)["livenessProbe", "readinessProbe", "startupProbe"])
            {
                if (container.Object(probe) is { } value) Probe(value, $"{at}.{probe}", probe, causes);
            }
        }
    }

    private static void Ports(JsonObject container, string at, List<StatusCause> causes)
    {
        var ports = container.List("ports") ?? [];
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < ports.Count; i++)
        {
            if (ports[i] is not JsonObject port) continue;
            var number = port.Number("containerPort") ?? 0;
            if (number is < 1 or > 65535) causes.Add(Metadata.Invalid($"{at}.ports[{i}].containerPort", number, "must be between 1 and 65535, inclusive"));
            if (port.Number("hostPort") is { } host and (< 1 or > 65535)) causes.Add(Metadata.Invalid($"{at}.ports[{i}].hostPort", host, "must be between 1 and 65535, inclusive"));
            OneOf(port.Text("protocol"), Protocols, $"{at}.ports[{i}].protocol", causes);
            if (port.Text("name") is not { Length: > 0 } name) continue;
            if (PortNameError(name) is { } error) causes.Add(Metadata.Invalid($"{at}.ports[{i}].name", name, error));
            else if (!names.Add(name)) causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{name}\"", $"{at}.ports[{i}].name"));
        }
    }

    private static void HostPorts(JsonArray containers, string path, List<StatusCause> causes)
    {
        var taken = new HashSet<(long, string)>();
        for (var c = 0; c < containers.Count; c++)
        {
            var ports = (containers[c] as JsonObject)?.List("ports") ?? [];
            for (var i = 0; i < ports.Count; i++)
            {
                if (ports[i] is not JsonObject port || port.Number("hostPort") is not { } host) continue;
                if (!taken.Add((host, port.Text("protocol")))) causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{port.Text("protocol")}/{port.Text("hostIP")}/{host}\"", $"{path}.containers[{c}].ports[{i}].hostPort"));
            }
        }
    }

    private static void Env(JsonObject container, string at, List<StatusCause> causes)
    {
        var env = container.List("env") ?? [];
        for (var i = 0; i < env.Count; i++)
        {
            if (env[i] is not JsonObject variable) continue;
            var name = variable.Text("name");
            if (name.Length == 0) causes.Add(Metadata.Required($"{at}.env[{i}].name"));
            else if (name.Contains('=', StringComparison.Ordinal) || name.Any(c => c is < '!' or > '~')) causes.Add(Metadata.Invalid($"{at}.env[{i}].name", name, "a valid environment variable name consists of printable ASCII characters other than '='"));
            if (variable.Text("value").Length > 0 && variable.Object("valueFrom") is not null) causes.Add(Metadata.Invalid($"{at}.env[{i}].valueFrom", "", "may not be specified when `value` is not empty"));
        }
    }

    private static void Resources(JsonObject container, string at, List<StatusCause> causes)
    {
        var requests = container.Object("resources")?.Object("requests");
        var limits = container.Object("resources")?.Object("limits");
        foreach (var (list, values) in new[] { ("requests", requests), ("limits", limits) })
        {
            foreach (var (name, value) in values ?? [])
            {
                if (Read(value) is { Milli: < 0 } negative) causes.Add(Metadata.Invalid($"{at}.resources.{list}[{name}]", negative.ToString(), "must be greater than or equal to 0"));
            }
        }
        foreach (var (name, value) in requests ?? [])
        {
            if (limits?[name] is { } limit && Read(value) is { } request && Read(limit) is { } most && request > most)
            {
                causes.Add(Metadata.Invalid($"{at}.resources.requests", request.ToString(), $"must be less than or equal to {name} limit of {most}"));
            }
        }

        static Quantity? Read(JsonNode? node) => node is not null && Quantity.TryParse(node.ToString(), out var quantity) ? quantity : null;
    }

    private static void Probe(JsonObject probe, string at, string which, List<StatusCause> causes)
    {
        var handlers = new[] { "exec", "httpGet", "tcpSocket", "grpc" }.Count(x => probe.Object(x) is not null);
        if (handlers == 0) causes.Add(Metadata.Required(at, "must specify a handler type: one of exec, httpGet, tcpSocket, grpc"));
        if (handlers > 1) causes.Add(new("FieldValueForbidden", "Forbidden: may not specify more than 1 handler type", at));
        foreach (var (name, least) in new[] { ("initialDelaySeconds", 0), ("timeoutSeconds", 1), ("periodSeconds", 1), ("successThreshold", 1), ("failureThreshold", 1) })
        {
            if (probe.Number(name) is { } value && value < least) causes.Add(Metadata.Invalid($"{at}.{name}", value, $"must be greater than or equal to {least}"));
        }
        if (which != "readinessProbe" && probe.Number("successThreshold") is > 1 and var successes) causes.Add(Metadata.Invalid($"{at}.successThreshold", successes, "must be 1"));
        foreach (var name in (ReadOnlySpan<string>)["httpGet", "tcpSocket"])
        {
            if (probe.Object(name) is not { } handler) continue;
            if (handler["port"] is null) causes.Add(Metadata.Required($"{at}.{name}.port"));
            else if (handler.Number("port") is { } port and (< 1 or > 65535)) causes.Add(Metadata.Invalid($"{at}.{name}.port", port, "must be between 1 and 65535, inclusive"));
        }
    }

    /// <summary>IANA service name (RFC 6335 section 5.1): at most 15 of a-z, 0-9 and '-', with at least one letter.</summary>
    public static string? PortNameError(string name)
    {
        if (name.Length > 15) return "must be no more than 15 characters";
        if (Names.LabelError(name) is not null || name.Contains("--", StringComparison.Ordinal)) return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), not at an end and not two in a row";
        return name.Any(char.IsAsciiLetter) ? null : "must contain at least one letter (a-z)";
    }

    public static void OneOf(string value, string[] allowed, string at, List<StatusCause> causes)
    {
        if (value.Length == 0 || allowed.Contains(value)) return;
        var nearest = Names.Nearest(value, allowed) is { } near ? $"; did you mean \"{near}\"?" : "";
        causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{value}\": supported values: {string.Join(", ", allowed.Select(x => $"\"{x}\""))}{nearest}", at));
    }
}
