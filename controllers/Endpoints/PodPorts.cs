using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.Endpoints;

/// <summary>Where a pod can be reached for the ports of a Service: at the host ports that its placement was given.</summary>
internal static class PodPorts
{
    /// <summary>
    /// targetPort (a number, or the name of a declared port) is resolved through the port that a container declares to the real host port
    /// (architecture.md, decision 5). A number that no container declares is taken as it is. A port that the pod does not have is left out.
    /// </summary>
    public static IReadOnlyList<EndpointPort> Of(Service service, Pod pod)
    {
        var task = pod.Task;
        var ports = new List<EndpointPort>(service.Spec.Ports.Count);
        foreach (var port in service.Spec.Ports)
        {
            if (Number(port, pod, task) is { } number) ports.Add(new() { Name = port.Name, Port = number, Protocol = port.Protocol, AppProtocol = port.AppProtocol });
        }
        return ports;
    }

    private static int? Number(ServicePort port, Pod pod, TaskAnnotation? task)
    {
        IntOrString target = port.TargetPort ?? port.Port;
        foreach (var container in pod.Spec.Containers)
        {
            foreach (var declared in container.Ports)
            {
                if (declared.Protocol != port.Protocol) continue;
                if (target.IsText ? declared.Name != target.Text : declared.Number != target.Int) continue;
                if (task?.HostPort(container.Name, declared.Number) is > 0 and var given) return given;
                return declared.HostPort > 0 ? declared.HostPort : declared.Number;
            }
        }
        return target.IsText ? null : target.Int;
    }
}
