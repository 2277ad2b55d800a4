using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// An agent's reservations and persistent volumes, kept on disk over its restarts. A volume is a directory that outlives the tasks that use
/// it; in their sandboxes it is a link, as of Mesos' <c>filesystem/posix</c> isolator. A destroyed volume's files are deleted.
/// </summary>
internal sealed class PersistentVolumes(WorkDirectory directory)
{
    private ToAgent.Types.Checkpoint? kept;

    /// <summary>As the master last said.</summary>
    public IReadOnlyList<Resource> Resources => Kept.Resources;

    private ToAgent.Types.Checkpoint Kept =>
        kept ??= File.Exists(directory.ResourcesFile) ? ToAgent.Types.Checkpoint.Parser.ParseFrom(File.ReadAllBytes(directory.ResourcesFile)) : new();

    /// <summary>Operations that made them and whose framework has not acknowledged that yet.</summary>
    public IReadOnlyList<Operation> Operations => Kept.Operations;

    /// <summary>The frameworks of <see cref="Operations"/>.</summary>
    public IReadOnlyList<FrameworkInfo> Frameworks => Kept.Frameworks;

    /// <summary>
    /// From now on there are these resources, and no others. The operations that led here are finished; they are kept beside earlier ones until
    /// they are acknowledged.
    /// </summary>
    /// <param name="newUuid">Ids of the operations' statuses.</param>
    /// <returns>Those operations, as they are now.</returns>
    public IReadOnlyList<Operation> Keep(ToAgent.Types.Checkpoint wanted, Func<ByteString> newUuid)
    {
        var (next, finished) = Checkpoints.Take(Kept, wanted, newUuid);
        Write(next);
        return finished;
    }

    /// <summary>The framework has the status of this operation.</summary>
    public void Acknowledge(ByteString operation) => Without(known => known.Uuid.Value.Equals(operation));

    /// <summary>The framework is gone and waits for nothing any more.</summary>
    public void Forget(FrameworkID framework) => Without(known => known.FrameworkId.Equals(framework));

    /// <summary>The agent is gone for good, and so are its volumes.</summary>
    public void Clear() => Write(new());

    private void Without(Func<Operation, bool> gone)
    {
        if (Kept.Operations.Any(gone))
            Write(Checkpoints.Without(Kept, gone));
    }

    private void Write(ToAgent.Types.Checkpoint next)
    {
        var before = Paths(Kept.Resources).ToHashSet(StringComparer.Ordinal);
        var after = Paths(next.Resources).ToList();
        foreach (var volume in after)
            Directory.CreateDirectory(volume);
        WorkDirectory.Write(directory.ResourcesFile, next);
        kept = next;
        foreach (var destroyed in before.Except(after, StringComparer.Ordinal).Where(Directory.Exists))
            Directory.Delete(destroyed, recursive: true);
    }

    /// <summary>Makes the volumes among a task's resources visible at their paths in its sandbox.</summary>
    public void LinkInto(string sandbox, IEnumerable<Resource> resources)
    {
        foreach (var volume in resources.Where(IsVolume))
        {
            var link = Path.Combine(sandbox, volume.Disk.Volume.ContainerPath);
            Directory.CreateDirectory(Path.GetDirectoryName(link)!);
            if (new System.IO.FileInfo(link).LinkTarget is null)
                File.CreateSymbolicLink(link, PathOf(volume));
        }
    }

    private IEnumerable<string> Paths(IEnumerable<Resource> resources) => resources.Where(IsVolume).Select(PathOf);

    private string PathOf(Resource volume)
    {
        var role = volume.Reservations is [.., var last] ? last.Role : OldRole(volume);
        return directory.Volume(role, volume.Disk.Persistence.Id);
    }

    private static bool IsVolume(Resource resource) => resource.Disk is { Persistence: not null, Volume: not null };

#pragma warning disable CS0612 // Frameworks without RESERVATION_REFINEMENT say it so.
    private static string OldRole(Resource volume) => volume.Role;
#pragma warning restore CS0612
}
