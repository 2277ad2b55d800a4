using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Streams;

/// <summary>Where the output of one container's attempt lies: the agent's API and the Mesos task.</summary>
/// <param name="Task">The task id: <c>podUID.attempt</c>, in pods of several containers <c>podUID.attempt.container</c>.</param>
/// <param name="IsWaiting">Nothing has been heard of the task yet.</param>
internal sealed record LogSource(Uri Agent, string Task, string Container, bool IsWaiting)
{
    /// <summary>Throws 400 where the pod has no such output (yet), 404 without the pod, 503 without its agent.</summary>
    public static async Task<LogSource> Find(IApi api, ResourceKey pod, LogRequest request, CancellationToken stop)
    {
        var view = Pod.Read((await api.Get(pod, stop: stop)).Json);
        var container = Choose(view, request.Container);
        var state = view.Status.ContainerStatuses.FirstOrDefault(x => x.Name == container);
        if (view.Task is not { } task || view.Spec.NodeName.Length == 0)
        {
            var why = state?.State.Waiting?.Reason is { Length: > 0 } reason ? reason : view.Spec.NodeName.Length == 0 ? "no agent has been found for it" : "ContainerCreating";
            throw Status.BadRequest($"container \"{container}\" in pod \"{pod.Name}\" is waiting to start: {why}");
        }
        var attempt = task.Attempt;
        if (request.Previous)
        {
            if (attempt == 0) throw Status.BadRequest($"previous terminated container \"{container}\" in pod \"{pod.Name}\" not found");
            attempt--;
        }
        var id = $"{task.Id[..(task.Id.LastIndexOf('.') + 1)]}{attempt.ToString(CultureInfo.InvariantCulture)}";
        if (view.Spec.Containers.Count > 1) id += "." + container;
        return new(await AgentOf(api, view, stop), id, container, state?.State is not { Running: not null } and not { Terminated: not null });
    }

    /// <summary>The agent has no sandbox of this task.</summary>
    public ApiException NotThere(string pod, bool previous) =>
        previous ? Status.BadRequest($"previous terminated container \"{Container}\" in pod \"{pod}\" not found: the agent does not keep its output any more")
        : IsWaiting ? Status.BadRequest($"container \"{Container}\" in pod \"{pod}\" is waiting to start: its task has not reached the agent yet")
        : new(new(404, StatusReason.NotFound, $"the output of container \"{Container}\" in pod \"{pod}\" is gone: the agent does not keep the sandbox of task {Task} any more"));

    private static string Choose(Pod pod, string wanted)
    {
        var names = pod.Spec.Containers.Select(x => x.Name).ToList();
        if (wanted.Length == 0)
        {
            return names is [var only] ? only
                : throw Status.BadRequest($"a container name must be specified for pod {pod.Name}, choose one of: [{string.Join(' ', names)}]");
        }
        return names.Contains(wanted) ? wanted : throw Status.BadRequest($"container {wanted} is not valid for pod {pod.Name}: it has [{string.Join(' ', names)}]");
    }

    private static async Task<Uri> AgentOf(IApi api, Pod pod, CancellationToken stop)
    {
        Node node;
        try
        {
            node = Node.Read((await api.Get(new(Kind.Node, "", pod.Spec.NodeName), stop: stop)).Json);
        }
        catch (ApiException gone) when (gone.IsNotFound)
        {
            throw Status.Unavailable($"node \"{pod.Spec.NodeName}\" of pod \"{pod.Name}\" is not known any more: its agent has left the cluster");
        }
        var address = node.Status.Addresses.FirstOrDefault(x => x.Type == "InternalIP")?.Address;
        var port = node.Status.DaemonEndpoints.KubeletEndpoint.Port;
        if (string.IsNullOrEmpty(address) || port == 0)
        {
            throw Status.Unavailable($"node \"{node.Name}\" does not tell the address of its agent's API (status.addresses InternalIP, status.daemonEndpoints.kubeletEndpoint.Port)");
        }
        return new UriBuilder(Uri.UriSchemeHttp, address, port).Uri;
    }
}
