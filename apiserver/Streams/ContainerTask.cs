using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Streams;

/// <summary>A pod's running container as a Mesos task on its agent.</summary>
/// <param name="Host">The agent's address as its Node tells it; there the task's ports are.</param>
internal sealed record ContainerTask(Pod Pod, Container Container, TaskAnnotation Task, Uri Agent, string Id)
{
    public string Host => Agent.Host;

    /// <summary>Throws 400 where the container does not run, 404 without the pod, 503 without its agent.</summary>
    public static async Task<ContainerTask> Find(IApi api, ResourceKey key, string container, CancellationToken stop)
    {
        var pod = Pod.Read((await api.Get(key, stop: stop)).Json);
        var chosen = Choose(pod, container);
        if (pod.Task is not { } task || pod.Spec.NodeName.Length == 0) throw Status.BadRequest($"pod \"{key.Name}\" does not have a host assigned: no agent has been found for it");
        var state = pod.Status.ContainerStatuses.FirstOrDefault(x => x.Name == chosen.Name)?.State;
        if (state is not { Running: not null })
        {
            var why = state?.Terminated is { } ended ? $"it has ended ({ended.Reason}, exit code {ended.ExitCode})"
                : state?.Waiting?.Reason is { Length: > 0 } reason ? $"it is waiting ({reason})" : "its task has not started yet";
            throw Status.BadRequest($"container \"{chosen.Name}\" in pod \"{key.Name}\" is not running: {why}");
        }
        return new(pod, chosen, task, await AgentOf(api, pod, stop), IdOf(pod, task, task.Attempt, chosen.Name));
    }

    /// <summary>Throws 400 where the pod has no such container, or several and none is named.</summary>
    public static Container Choose(Pod pod, string wanted)
    {
        if (wanted.Length == 0 && pod.Spec.Containers is [var only]) return only;
        var names = string.Join(' ', pod.Spec.Containers.Select(x => x.Name));
        if (wanted.Length == 0) throw Status.BadRequest($"a container name must be specified for pod {pod.Name}, choose one of: [{names}]");
        return pod.Spec.Containers.FirstOrDefault(x => x.Name == wanted) ?? throw Status.BadRequest($"container {wanted} is not valid for pod {pod.Name}: it has [{names}]");
    }

    /// <summary><c>podUID.attempt</c>, in pods of several containers <c>podUID.attempt.container</c>.</summary>
    public static string IdOf(Pod pod, TaskAnnotation task, int attempt, string container)
    {
        var id = $"{task.Id[..(task.Id.LastIndexOf('.') + 1)]}{attempt.ToString(CultureInfo.InvariantCulture)}";
        return pod.Spec.Containers.Count > 1 ? id + "." + container : id;
    }

    /// <summary>The API of the agent that runs the pod. Throws 503.</summary>
    public static async Task<Uri> AgentOf(IApi api, Pod pod, CancellationToken stop)
    {
        try
        {
            return AgentOf(Node.Read((await api.Get(new(Kind.Node, "", pod.Spec.NodeName), stop: stop)).Json));
        }
        catch (ApiException gone) when (gone.IsNotFound)
        {
            throw Status.Unavailable($"node \"{pod.Spec.NodeName}\" of pod \"{pod.Name}\" is not known any more: its agent has left the cluster");
        }
    }

    /// <summary>Throws 503 where the Node does not tell it.</summary>
    public static Uri AgentOf(Node node)
    {
        var address = node.Status.Addresses.FirstOrDefault(x => x.Type == "InternalIP")?.Address;
        var port = node.Status.DaemonEndpoints.KubeletEndpoint.Port;
        if (string.IsNullOrEmpty(address) || port == 0)
        {
            throw Status.Unavailable($"node \"{node.Name}\" does not tell the address of its agent's API (status.addresses InternalIP, status.daemonEndpoints.kubeletEndpoint.Port)");
        }
        return new UriBuilder(Uri.UriSchemeHttp, address, port).Uri;
    }
}
