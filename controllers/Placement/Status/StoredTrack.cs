using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Status;

/// <summary>What a pod's stored status says about an attempt: the beginning of its track after a restart of Placement.</summary>
internal static class StoredTrack
{
    public static AttemptTrack Read(Pod pod, int attempt) => new(attempt, [.. pod.Spec.Containers.Select(x => Read(pod, x, attempt))]);

    private static ContainerTrack Read(Pod pod, Container container, int attempt)
    {
        var stored = pod.Status.ContainerStatuses.FirstOrDefault(x => x.Name == container.Name);
        if (stored is null || stored.RestartCount != attempt) return new();
        var ended = stored.State.Terminated ?? (stored.State.Waiting?.Reason == "CrashLoopBackOff" ? stored.LastState.Terminated : null);
        var id = stored.ContainerID.StartsWith("mesos://", StringComparison.Ordinal) ? stored.ContainerID["mesos://".Length..] : "";
        if (ended is not null)
        {
            return new()
            {
                State = ended.ExitCode == 0 ? TaskState.TaskFinished : TaskState.TaskFailed,
                StartedAt = ended.StartedAt,
                FinishedAt = ended.FinishedAt,
                ContainerId = id,
                Ip = pod.Status.PodIP,
                Stored = ended,
            };
        }
        if (stored.State.Running is not { } running) return new();
        return new()
        {
            State = TaskState.TaskRunning,
            StartedAt = running.StartedAt,
            ContainerId = id,
            Ip = pod.Status.PodIP,
            Healthy = stored.Started == true && container.StartupProbe is not null ? true : null,
            Readiness = new(stored.Ready ? true : null, default, stored.Ready),
        };
    }
}
