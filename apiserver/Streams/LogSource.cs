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
        var container = ContainerTask.Choose(view, request.Container).Name;
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
        return new(await ContainerTask.AgentOf(api, view, stop), ContainerTask.IdOf(view, task, attempt, container), container, state?.State is not { Running: not null } and not { Terminated: not null });
    }

    /// <summary>The agent has no sandbox of this task.</summary>
    public ApiException NotThere(string pod, bool previous) =>
        previous ? Status.BadRequest($"previous terminated container \"{Container}\" in pod \"{pod}\" not found: the agent does not keep its output any more")
        : IsWaiting ? Status.BadRequest($"container \"{Container}\" in pod \"{pod}\" is waiting to start: its task has not reached the agent yet")
        : new(new(404, StatusReason.NotFound, $"the output of container \"{Container}\" in pod \"{pod}\" is gone: the agent does not keep the sandbox of task {Task} any more"));
}
