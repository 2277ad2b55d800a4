using System.Globalization;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Nodes;

namespace Declarative.Controllers.Volumes;

/// <summary>
/// How a PersistentVolume says which persistent volume of which Mesos agent it is. The object is made before anything is asked of Mesos, and goes
/// after the agent's disk is plain again: in between it is the record of what is to be done.
/// </summary>
internal static class MesosVolume
{
    /// <summary>Of storage classes; whoever names it gets volumes from Placement.</summary>
    public const string Provisioner = "declarative.mesos/persistent-volume";

    /// <summary>spec.csi.driver of the volumes.</summary>
    public const string Driver = "declarative.mesos";

    /// <summary>The class of claims that name none, and one whose volumes stay when their claims go.</summary>
    public const string DefaultClass = "mesos";
    public const string RetainClass = "mesos-retain";

    /// <summary>Written by Placement on a claim: the node of the first pod that uses it (Kubernetes: delayed binding).</summary>
    public const string SelectedNode = "volume.kubernetes.io/selected-node";

    /// <summary>On a volume, written by Placement: <see cref="Asked"/> from before the first operation, <see cref="Created"/> from when Mesos has it.</summary>
    public const string State = "declarative.mesos/volume";
    public const string Asked = "asked";
    public const string Created = "created";

    /// <summary>On a volume, written by Placement: the id under which its agent has registered since; the volume's source is immutable.</summary>
    public const string MovedTo = "declarative.mesos/agent";

    /// <summary>On a volume, written by Placement: the id under which its agent has registered since and offered all that it has, but not the volume.</summary>
    public const string MissingOn = "declarative.mesos/missing-on";

    /// <summary>On a volume, written by the volume controller: the size that its claim wants it to have.</summary>
    public const string WantedSize = "declarative.mesos/wanted-size";

    /// <summary>On a volume, written by Placement: why it is not made, enlarged or destroyed yet.</summary>
    public const string Waits = "declarative.mesos/waits";

    /// <summary>Taken from a claim when no pod uses it, from a volume when no claim does, and by Placement when Mesos has it no more.</summary>
    public const string ClaimProtection = "kubernetes.io/pvc-protection";
    public const string VolumeProtection = "kubernetes.io/pv-protection";
    public const string Finalizer = "declarative.mesos/persistent-volume";

    /// <summary>Labels of the reservation under a volume.</summary>
    public const string FrameworkLabel = "declarative.mesos/framework";
    public const string ClaimLabel = "declarative.mesos/claim";

    private const string AgentAttribute = "agent";
    private const string NodeAttribute = "node";

    public static string NameOf(string claimUid) => "pvc-" + claimUid;

    /// <summary>
    /// The names that volumes of a claim have: the second and later ones where an earlier one cannot be given up yet, because its agent does not
    /// say what it has of it.
    /// </summary>
    public static IEnumerable<string> NamesOf(string claimUid) => Enumerable.Range(1, int.MaxValue).Select(n => n == 1 ? NameOf(claimUid) : string.Create(CultureInfo.InvariantCulture, $"{NameOf(claimUid)}-{n}"));

    /// <summary>The node that a volume was made for; "" = it names none.</summary>
    public static string NodeOf(PersistentVolume volume) => volume.Spec.Csi?.VolumeAttributes.GetValueOrDefault(NodeAttribute) ?? "";

    public static bool IsOurs(PersistentVolume volume) => volume.Spec.Csi?.Driver == Driver;

    /// <summary>Mesos may have something of it.</summary>
    public static bool WasAsked(PersistentVolume volume) => volume.Metadata.Annotations.ContainsKey(State);

    public static bool IsCreated(PersistentVolume volume) => volume.Metadata.Annotations.GetValueOrDefault(State) == Created;

    /// <summary>The Mesos agent that has it or is to have it.</summary>
    public static string AgentOf(PersistentVolume volume) => volume.Metadata.Annotations.GetValueOrDefault(MovedTo) ?? volume.Spec.Csi?.VolumeAttributes.GetValueOrDefault(AgentAttribute) ?? "";

    /// <summary>
    /// Whether the agent that has the volume has left the cluster, or has come back without it; null = that is not known. A machine that registers
    /// under another agent id keeps its volumes (Mesos checkpoints them apart from the id), so they are not lost where the node is there as another
    /// agent, unless that was seen not to have them: its work directory was wiped.
    /// </summary>
    /// <param name="ofAgent">The Node of the volume's agent.</param>
    /// <param name="byName">The Node that the volume was made for, as it is now.</param>
    public static bool? IsLost(PersistentVolume volume, Node? ofAgent, Node? byName)
    {
        if (byName is not null && NodePlan.AgentId(byName) is { Length: > 0 } present && present != AgentOf(volume) && !NodePlan.IsGone(byName)) return present == MissingOnOf(volume);
        return ofAgent is null ? null : NodePlan.IsGone(ofAgent);
    }

    /// <summary>The agent id under which its machine was seen not to have it; null = none.</summary>
    public static string? MissingOnOf(PersistentVolume volume) => volume.Metadata.Annotations.GetValueOrDefault(MissingOn);

    /// <summary>How a volume was lost, for whoever asks for it.</summary>
    /// <param name="byName">The Node that the volume was made for, as it is now: what was not found under an id that is gone says nothing of it.</param>
    public static string LossOf(PersistentVolume volume, Node? byName) => byName is not null && !NodePlan.IsGone(byName) && MissingOnOf(volume) is { } agent && agent == NodePlan.AgentId(byName) && agent != AgentOf(volume)
        ? $"the machine of Mesos agent {AgentOf(volume)} has registered as agent {agent} without PersistentVolume {volume.Name}: its work directory was wiped. Data on the volume is lost"
        : $"Mesos agent {AgentOf(volume)}, which has PersistentVolume {volume.Name}, has left the cluster. The volume is back when its machine registers again and keeps the agent's work directory";

    public static Quantity WantedOf(PersistentVolume volume) =>
        volume.Metadata.Annotations.TryGetValue(WantedSize, out var text) && Quantity.TryParse(text, out var wanted) ? wanted : volume.Storage;

    public static IEnumerable<KeyValuePair<string, string>> Attributes(string agentId, string node) => [new(AgentAttribute, agentId), new(NodeAttribute, node)];

    /// <summary>What is wrong with the claim for Mesos' volumes; null = nothing.</summary>
    public static string? Fault(PersistentVolumeClaim claim)
    {
        if (claim.Spec.VolumeMode == "Block") return "volumeMode Block is not supported: a Mesos persistent volume is a directory (Filesystem)";
        var mode = claim.Spec.AccessModes.FirstOrDefault(x => x is not ("ReadWriteOnce" or "ReadWriteOncePod" or Shared));
        return mode is null ? null : string.Create(CultureInfo.InvariantCulture, $"access mode {mode} is not supported: a Mesos persistent volume is used by one pod at a time (ReadWriteOnce, ReadWriteOncePod), or by several pods of its agent (ReadWriteMany)");
    }

    /// <summary>The access mode of volumes that are shared persistent volumes at Mesos: several pods on the agent use them at the same time.</summary>
    public const string Shared = "ReadWriteMany";

    public static bool IsShared(PersistentVolume volume) => volume.Spec.AccessModes.Contains(Shared);
}
