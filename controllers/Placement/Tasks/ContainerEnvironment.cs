using System.Globalization;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>
/// A container's environment: first what Mesos' users know (MESOS_TASK_ID, PORT, PORT0 …, PORT_NAME, HOST), then envFrom, then env, later
/// names over earlier ones. Values are resolved from ConfigMaps, Secrets and the pod's own fields.
/// </summary>
internal sealed class ContainerEnvironment
{
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);
    private readonly List<string> _order = [];

    public IReadOnlyDictionary<string, string> Values => _values;

    public IEnumerable<KeyValuePair<string, string>> InOrder => _order.Select(x => new KeyValuePair<string, string>(x, _values[x]));

    /// <summary>References that lead nowhere; the pod waits until they do.</summary>
    public List<string> Missing { get; } = [];

    public static ContainerEnvironment Of(Pod pod, Container container, TaskContext context)
    {
        var environment = new ContainerEnvironment();
        environment.AddPlatform(pod, container, context);
        foreach (var from in container.EnvFrom) environment.AddAll(from, context.Sources);
        foreach (var variable in container.Env)
        {
            var value = variable.ValueFrom is { } source ? environment.Resolve(variable.Name, source, pod, container, context) : Expansion.Expand(variable.Value, environment._values);
            if (value is not null) environment.Set(variable.Name, value);
        }
        return environment;
    }

    private void AddPlatform(Pod pod, Container container, TaskContext context)
    {
        Set("MESOS_TASK_ID", new PodTask(pod.Uid, context.Attempt, pod.Spec.Containers.Count > 1 ? container.Name : "").TaskId);
        Set("HOSTNAME", pod.Spec.Hostname.Length > 0 ? pod.Spec.Hostname : pod.Name);
        Set("HOST", context.HostAddress);
        var index = 0;
        foreach (var port in container.Ports)
        {
            var host = context.HostPort(container.Name, port.Number).ToString(CultureInfo.InvariantCulture);
            if (index == 0) Set("PORT", host);
            Set("PORT" + index.ToString(CultureInfo.InvariantCulture), host);
            Set("PORT_" + port.Number.ToString(CultureInfo.InvariantCulture), host);
            if (port.Name.Length > 0) Set("PORT_" + Upper(port.Name), host);
            index++;
        }
        if (index > 0) Set("PORTS", string.Join(',', container.Ports.Select(x => context.HostPort(container.Name, x.Number))));
    }

    private void AddAll(EnvFromSource from, EnvSources sources)
    {
        if (from.ConfigMapRef is { } map)
        {
            if (sources.ConfigMaps.GetValueOrDefault(map.Name) is { } found)
            {
                foreach (var (key, value) in found.Data) Set(from.Prefix + key, value);
            }
            else if (!map.Optional) Missing.Add($"configmap \"{map.Name}\" not found");
        }
        if (from.SecretRef is { } secret)
        {
            if (sources.Secrets.GetValueOrDefault(secret.Name) is { } found)
            {
                foreach (var (key, value) in found.Data) Set(from.Prefix + key, Encoding.UTF8.GetString(value));
            }
            else if (!secret.Optional) Missing.Add($"secret \"{secret.Name}\" not found");
        }
    }

    private string? Resolve(string variable, EnvVarSource source, Pod pod, Container container, TaskContext context)
    {
        if (source.ConfigMapKeyRef is { } map)
        {
            var found = context.Sources.ConfigMaps.GetValueOrDefault(map.Name);
            return Key("configmap", map, found is not null, found is not null && found.Data.TryGetValue(map.Key, out var value) ? value : null);
        }
        if (source.SecretKeyRef is { } secret)
        {
            var found = context.Sources.Secrets.GetValueOrDefault(secret.Name);
            return Key("secret", secret, found is not null, found is not null && found.Data.TryGetValue(secret.Key, out var value) ? Encoding.UTF8.GetString(value) : null);
        }
        if (source.FieldRef is { } field)
        {
            var value = FieldValue.Of(pod, field.FieldPath, context);
            if (value is null) Missing.Add($"env {variable}: fieldPath \"{field.FieldPath}\" is not supported");
            return value;
        }
        if (source.ResourceFieldRef is { } resource)
        {
            var value = FieldValue.Of(pod, container, resource);
            if (value is null) Missing.Add($"env {variable}: resource \"{resource.Resource}\" of container \"{resource.ContainerName}\" is not supported");
            return value;
        }
        return "";
    }

    private string? Key(string kind, KeySelector selector, bool exists, string? value)
    {
        if (value is not null || selector.Optional) return value;
        Missing.Add(exists ? $"couldn't find key {selector.Key} in {kind} {selector.Name}" : $"{kind} \"{selector.Name}\" not found");
        return null;
    }

    private void Set(string name, string value)
    {
        if (!_values.TryAdd(name, value)) _values[name] = value;
        else _order.Add(name);
    }

    private static string Upper(string name) => name.ToUpperInvariant().Replace('-', '_');
}

/// <summary>Values of the downward API (Kubernetes doc "Downward API").</summary>
internal static class FieldValue
{
    public static string? Of(Pod pod, string path, TaskContext context) => path switch
    {
        "metadata.name" => pod.Name,
        "metadata.namespace" => pod.Namespace,
        "metadata.uid" => pod.Uid,
        "spec.nodeName" => context.NodeName,
        "spec.serviceAccountName" => pod.Spec.ServiceAccountName,
        "status.hostIP" or "status.podIP" or "status.hostIPs" or "status.podIPs" => context.HostAddress,
        _ when Subscript(path, "metadata.labels") is { } key => pod.Metadata.Labels.GetValueOrDefault(key, ""),
        _ when Subscript(path, "metadata.annotations") is { } key => pod.Metadata.Annotations.GetValueOrDefault(key, ""),
        _ => null,
    };

    public static string? Of(Pod pod, Container container, ResourceFieldRef reference)
    {
        var of = reference.ContainerName.Length == 0 ? container : pod.Spec.Containers.FirstOrDefault(x => x.Name == reference.ContainerName);
        var dot = reference.Resource.IndexOf('.', StringComparison.Ordinal);
        if (of is null || dot < 0) return null;
        var name = reference.Resource[(dot + 1)..];
        var amounts = reference.Resource[..dot] switch { "requests" => of.Resources.Requests, "limits" => of.Resources.Limits, _ => null };
        if (amounts is null || name is not ("cpu" or "memory" or "ephemeral-storage")) return null;
        var milli = amounts.TryGetValue(name, out var amount) ? amount.Milli
            : of.Resources.Limits.TryGetValue(name, out var limit) ? limit.Milli
            : name == "cpu" ? Matching.Demand.DefaultCpus : 0;
        var divisor = reference.Divisor is { Milli: > 0 } given ? given.Milli : 1000;
        return ((milli + divisor - 1) / divisor).ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>The key of <c>metadata.labels['key']</c>.</summary>
    private static string? Subscript(string path, string of) =>
        path.StartsWith(of + "['", StringComparison.Ordinal) && path.EndsWith("']", StringComparison.Ordinal) ? path[(of.Length + 2)..^2] : null;
}
