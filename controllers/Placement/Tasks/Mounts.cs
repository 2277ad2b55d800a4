using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Volumes;
using Declarative.Mesos.Protocol;
using MesosVolume = Declarative.Mesos.Protocol.Volume;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>
/// The persistent volumes of a container: each is a resource of its task, at the mountPath below the sandbox, since Mesos takes relative paths alone;
/// a container with an image has it at the mountPath itself as well.
/// </summary>
/// <remarks>Source: Mesos' documents "Persistent volumes" (container_path) and "Container volumes" (SANDBOX_PATH).</remarks>
internal static class Mounts
{
    /// <summary>Adds them to the task. What cannot be mounted is returned in words.</summary>
    /// <param name="offered">The volumes by the pod's claims.</param>
    public static IEnumerable<string> Add(Pod pod, Container container, IReadOnlyDictionary<string, Resource> offered, TaskInfo task)
    {
        foreach (var source in pod.Spec.Volumes)
        {
            if (source.PersistentVolumeClaim is not { } claim) continue;
            var mounts = container.VolumeMounts.Where(x => x.Name == source.Name).ToList();
            if (mounts.Count == 0) continue;
            if (Fault(pod, container, source.Name, claim.ClaimName, claim.ReadOnly, mounts) is { } fault)
            {
                yield return fault;
                continue;
            }
            if (!offered.TryGetValue(claim.ClaimName, out var volume))
            {
                yield return $"the volume of claim {claim.ClaimName} is not among what the agent offers";
                continue;
            }
            var path = Relative(mounts[0].MountPath);
            task.Resources.Add(VolumeResources.At(volume, path));
            if (container.Image.Length == 0) continue;
            task.Container.Volumes.Add(new MesosVolume
            {
                ContainerPath = mounts[0].MountPath,
                Mode = mounts[0].ReadOnly || claim.ReadOnly ? MesosVolume.Types.Mode.Ro : MesosVolume.Types.Mode.Rw,
                Source = new() { Type = MesosVolume.Types.Source.Types.Type.SandboxPath, SandboxPath = new() { Type = MesosVolume.Types.Source.Types.SandboxPath.Types.Type.Self, Path = path } },
            });
        }
    }

    /// <summary>A mountPath below the sandbox: <c>/var/lib/data</c> is <c>var/lib/data</c>.</summary>
    public static string Relative(string mountPath) => string.Join('/', mountPath.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(x => x != "."));

    private static string? Fault(Pod pod, Container container, string name, string claim, bool isReadOnly, List<VolumeMount> mounts)
    {
        if (mounts.Count > 1) return $"container {container.Name} mounts volume {name} (claim {claim}) {mounts.Count} times: once is possible";
        if (pod.Spec.Containers.FirstOrDefault(x => x.Name != container.Name && x.VolumeMounts.Any(y => y.Name == name)) is { } other)
        {
            return $"volume {name} (claim {claim}) is mounted by containers {container.Name} and {other.Name}: a Mesos persistent volume belongs to one task";
        }
        if (mounts[0].SubPath.Length > 0) return $"subPath {mounts[0].SubPath} of volume {name} (claim {claim}) is not supported: mount the whole volume";
        if (container.Image.Length == 0 && (mounts[0].ReadOnly || isReadOnly))
        {
            return $"readOnly of volume {name} (claim {claim}) is not supported in container {container.Name}, which has no image: Mesos mounts persistent volumes writable";
        }
        return Relative(mounts[0].MountPath) is "" || mounts[0].MountPath.Split('/').Contains("..") ? $"mountPath {mounts[0].MountPath} of volume {name} (claim {claim}): expected a path below the root, without .." : null;
    }
}
