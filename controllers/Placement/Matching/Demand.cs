using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>One declared port of a container. <paramref name="HostPort"/> 0 = any port of the offer.</summary>
internal readonly record struct PortDemand(string Container, int Number, int HostPort, string Name, string Protocol)
{
    /// <summary>The key in <see cref="TaskAnnotation.Ports"/>.</summary>
    public string Key { get; } = $"{Container}/{Number}";
}

/// <summary>What a pod takes out of an offer.</summary>
internal sealed record Demand(Amounts Total, IReadOnlyList<PortDemand> Ports, string Image)
{
    /// <summary>Ports that it asks for by number, and how many others.</summary>
    public int[] HostPorts { get; } = [.. Ports.Where(x => x.HostPort > 0).Select(x => x.HostPort)];
    public int AnyPorts { get; } = Ports.Count(x => x.HostPort == 0);

    /// <summary>A container without requests: enough for a small process, and never nothing, as Mesos refuses tasks without resources.</summary>
    public const long DefaultCpus = 100;
    public const long DefaultMem = 32_000;

    /// <summary>Kubernetes' name of what Mesos calls gpus.</summary>
    public const string GpuName = "nvidia.com/gpu";

    /// <summary>What Mesos' default executor of a task group asks for; without disk the master refuses the group.</summary>
    public static Amounts GroupExecutor { get; } = new(100, 32_000, 16_000);

    public static Demand Of(PodSpec pod)
    {
        var total = pod.Containers.Count > 1 ? GroupExecutor : default;
        List<PortDemand>? ports = null;
        var image = "";
        foreach (var container in pod.Containers)
        {
            total += Of(container);
            if (image.Length == 0) image = container.Image;
            foreach (var port in container.Ports)
            {
                ports ??= [];
                // The same number for TCP and UDP is one host port.
                if (!ports.Exists(x => x.Container == container.Name && x.Number == port.Number))
                {
                    ports.Add(new(container.Name, port.Number, port.HostPort, port.Name, port.Protocol));
                }
            }
        }
        return new(total, ports ?? [], image);
    }

    public static Amounts Of(Container container)
    {
        var resources = container.Resources;
        return new(
            Request(resources, "cpu") is { } cpu ? Math.Max(cpu.Milli, 10) : DefaultCpus, // Mesos' least is 0.01
            Request(resources, "memory") is { } memory ? Math.Max(Amounts.MiB(memory.Value), 32) : DefaultMem,
            Request(resources, "ephemeral-storage") is { } disk ? Amounts.MiB(disk.Value) : 0,
            Request(resources, GpuName) is { } gpus ? gpus.Milli : 0);
    }

    /// <summary>A limit without a request is the request too (Kubernetes doc "Resource Management for Pods and Containers").</summary>
    private static Quantity? Request(ResourceRequirements resources, string name) =>
        resources.Requests.TryGetValue(name, out var request) && request > Quantity.Zero ? request
        : resources.Limits.TryGetValue(name, out var limit) && limit > Quantity.Zero ? limit
        : null;
}
