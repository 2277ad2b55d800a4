using Declarative.Api;
using Declarative.Api.Kinds;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;

namespace Declarative.Sim;

/// <summary>
/// What is promised of persistent volumes, seen at the scheduler calls and at what the agents keep: a volume is made once and for a PersistentVolume
/// that stands, is on one agent, vanishes only when nobody wants it any more, and a claim's pod runs where its volume is and with it.
/// </summary>
/// <param name="volumes">What agents keep now: agent id and persistence id.</param>
/// <param name="agents">Ids of the agents there are: with a lost machine its volumes are lost.</param>
internal sealed class VolumeWitness(Witness witness, Func<IEnumerable<(string AgentId, string Volume)>> volumes, Func<IEnumerable<string>> agents)
{
    private readonly SortedDictionary<string, string> _agentOf = new(StringComparer.Ordinal);

    /// <summary>An operation of an ACCEPT on its way to the master.</summary>
    public void Called(Operation operation)
    {
        foreach (var volume in operation.Create?.Volumes ?? [])
        {
            if (Volume(volume.Disk.Persistence.Id) is null) witness.Violated("a volume is made for a PersistentVolume", volume.Disk.Persistence.Id);
        }
        foreach (var volume in operation.Destroy?.Volumes ?? [])
        {
            if (!MayGo(volume.Disk.Persistence.Id, out var why)) witness.Violated("a volume is destroyed only when nobody wants it", $"{volume.Disk.Persistence.Id}: {why}");
        }
        foreach (var task in operation.Launch?.TaskInfos ?? []) Launching(task);
    }

    /// <summary>Holds what agents keep against what they kept before.</summary>
    public void Look()
    {
        var now = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (agent, volume) in volumes())
        {
            if (volume.Length > 0 && !now.TryAdd(volume, agent)) witness.Violated("a volume is on one agent", $"{volume} is on {now[volume]} and {agent}");
        }
        var present = agents().ToHashSet(StringComparer.Ordinal);
        foreach (var (volume, agent) in _agentOf)
        {
            if (!present.Contains(agent)) continue;
            if (now.TryGetValue(volume, out var at))
            {
                if (at != agent) witness.Violated("a volume is on one agent", $"{volume} was on {agent} and is on {at}");
            }
            else if (!MayGo(volume, out var why))
            {
                witness.Violated("no volume is lost", $"{volume} of {agent}: {why}");
            }
        }
        _agentOf.Clear();
        foreach (var (volume, agent) in now) _agentOf.Add(volume, agent);
    }

    private void Launching(Mesos.Protocol.TaskInfo task)
    {
        if (witness.PodOfTask(task.TaskId.Value) is not { } pod) return;
        foreach (var source in pod.Spec.Volumes)
        {
            if (source.PersistentVolumeClaim is not { } of || witness.Stored(new(Kind.PersistentVolumeClaim, pod.Namespace, of.ClaimName)) is not { } json) continue;
            var volume = Volume(PersistentVolumeClaim.Read(json).Spec.VolumeName);
            var agent = volume?.Spec.Csi?.VolumeAttributes.GetValueOrDefault("agent");
            if (agent != task.AgentId.Value) witness.Violated("a claim's pod runs where its volume is", $"{pod.Name} on {task.AgentId.Value}, the volume of claim {of.ClaimName} is on {agent ?? "none"}");
            if (!task.Resources.Any(x => x.Disk?.Persistence?.Id == volume?.Spec.Csi?.VolumeHandle)) witness.Violated("a claim's pod has its volume", $"{pod.Name} is launched without claim {of.ClaimName}");
        }
    }

    /// <summary>It was never known, or is marked as one that goes, and its claim is gone.</summary>
    private bool MayGo(string id, out string why)
    {
        why = "";
        if (Volume(id) is not { } volume) return true;
        if (!volume.Metadata.IsDeleting) why = "the PersistentVolume is not deleted";
        else if (volume.Spec.PersistentVolumeReclaimPolicy != "Delete") why = "it is to be retained";
        else if (volume.Spec.ClaimRef is { } claim && witness.Stored(new(Kind.PersistentVolumeClaim, claim.Namespace, claim.Name)) is { } json && PersistentVolumeClaim.Read(json) is var stored && stored.Uid == claim.Uid && stored.Spec.VolumeName == id) why = "its claim is bound to it";
        return why.Length == 0;
    }

    private PersistentVolume? Volume(string name) => witness.Stored(new(Kind.PersistentVolume, "", name)) is { } json ? PersistentVolume.Read(json) : null;
}
