using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Tasks;
using MesosStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Controllers.Placement.Status;

/// <summary>One attempt of a pod: its containers' tracks in the order of the spec. Immutable.</summary>
internal sealed record AttemptTrack(int Attempt, IReadOnlyList<ContainerTrack> Containers)
{
    public static AttemptTrack New(Pod pod, int attempt) => new(attempt, [.. pod.Spec.Containers.Select(_ => new ContainerTrack())]);

    /// <summary>Every task has ended. An empty pod never has.</summary>
    public bool IsEnded => Containers.Count > 0 && Containers.All(x => x.IsTerminal);

    public bool HasStarted => Containers.Any(x => x.StartedAt is not null);

    public AttemptTrack After(Pod pod, PodTask task, MesosStatus status, DateTimeOffset now)
    {
        var containers = Containers.ToArray();
        for (var i = 0; i < containers.Length; i++)
        {
            // A command task has no container in its id.
            if (task.Container.Length == 0 || pod.Spec.Containers[i].Name == task.Container) containers[i] = containers[i].After(status, pod.Spec.Containers[i], now);
        }
        return this with { Containers = containers };
    }

    public string Ip => Containers.FirstOrDefault(x => x.Ip.Length > 0)?.Ip ?? "";
}
