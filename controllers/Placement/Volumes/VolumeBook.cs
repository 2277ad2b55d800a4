using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Volumes;

namespace Declarative.Controllers.Placement.Volumes;

/// <summary>Claims, volumes and storage classes as they are stored now, and what they mean for a pod. Not synchronised: it belongs to the desk's loop.</summary>
internal sealed class VolumeBook
{
    private readonly Dictionary<string, PersistentVolumeClaim> _claims = new(StringComparer.Ordinal);
    private readonly Dictionary<string, PersistentVolume> _volumes = new(StringComparer.Ordinal);

    /// <summary>Names of the volumes made for a claim, by its uid, and of those on a node, by its name.</summary>
    private readonly Dictionary<string, SortedSet<string>> _ofClaim = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SortedSet<string>> _ofNode = new(StringComparer.Ordinal);
    private readonly Dictionary<string, StorageClass> _classes = new(StringComparer.Ordinal);

    /// <summary>Claims whose node is being written, by <c>namespace/name</c>.</summary>
    public HashSet<string> Selecting { get; } = new(StringComparer.Ordinal);

    public static string Key(string ns, string claim) => $"{ns}/{claim}";

    /// <summary>The claims that a pod names, each once.</summary>
    public static IReadOnlyList<string> ClaimsOf(Pod pod)
    {
        List<string>? claims = null;
        foreach (var volume in pod.Spec.Volumes)
        {
            if (volume.PersistentVolumeClaim is not { ClaimName.Length: > 0 } source) continue;
            claims ??= [];
            if (!claims.Contains(source.ClaimName)) claims.Add(source.ClaimName);
        }
        return claims ?? (IReadOnlyList<string>)[];
    }

    public PersistentVolumeClaim? Claim(string ns, string name) => _claims.GetValueOrDefault(Key(ns, name));

    /// <summary>The volumes that were made for a node, in the order of their names.</summary>
    public IReadOnlyList<PersistentVolume> OfNode(string node) => _ofNode.TryGetValue(node, out var names) ? [.. names.Select(x => _volumes[x])] : [];

    public PersistentVolume? Volume(string name) => _volumes.GetValueOrDefault(name);

    /// <summary>The newest of what was seen stays: an answer to a write may be newer than the informer.</summary>
    public void Put(PersistentVolumeClaim claim)
    {
        var key = Key(claim.Namespace, claim.Name);
        if (!_claims.TryGetValue(key, out var known) || known.Uid != claim.Uid || Revision(known.Metadata.ResourceVersion) <= Revision(claim.Metadata.ResourceVersion)) _claims[key] = claim;
    }

    public void Remove(PersistentVolumeClaim claim)
    {
        var key = Key(claim.Namespace, claim.Name);
        if (_claims.TryGetValue(key, out var known) && known.Uid == claim.Uid) _claims.Remove(key);
    }

    public void Put(PersistentVolume volume)
    {
        if (_volumes.TryGetValue(volume.Name, out var known))
        {
            if (known.Uid == volume.Uid && Revision(known.Metadata.ResourceVersion) > Revision(volume.Metadata.ResourceVersion)) return;
            Unlist(known);
        }
        _volumes[volume.Name] = volume;
        List(_ofClaim, volume.Spec.ClaimRef?.Uid ?? "", volume.Name);
        List(_ofNode, MesosVolume.NodeOf(volume), volume.Name);
    }

    public void Remove(PersistentVolume volume)
    {
        if (!_volumes.TryGetValue(volume.Name, out var known) || known.Uid != volume.Uid) return;
        _volumes.Remove(volume.Name);
        Unlist(known);
    }

    private void Unlist(PersistentVolume volume)
    {
        Unlist(_ofClaim, volume.Spec.ClaimRef?.Uid ?? "", volume.Name);
        Unlist(_ofNode, MesosVolume.NodeOf(volume), volume.Name);
    }

    private static void List(Dictionary<string, SortedSet<string>> index, string key, string name)
    {
        if (key.Length == 0) return;
        if (!index.TryGetValue(key, out var names)) index.Add(key, names = new(StringComparer.Ordinal));
        names.Add(name);
    }

    private static void Unlist(Dictionary<string, SortedSet<string>> index, string key, string name)
    {
        if (index.TryGetValue(key, out var names) && names.Remove(name) && names.Count == 0) index.Remove(key);
    }

    public void Put(StorageClass ofClass) => _classes[ofClass.Name] = ofClass;

    public void Remove(StorageClass ofClass) => _classes.Remove(ofClass.Name);

    /// <param name="role">In which the pod is placed.</param>
    /// <param name="agentOfNode">The agent of a node; null where it has none.</param>
    /// <param name="isKnown">The agent has a node.</param>
    /// <param name="roleOf">The role that a volume is reserved for.</param>
    public VolumeNeeds Needs(Pod pod, string role, Func<string, string?> agentOfNode, Func<string, bool> isKnown, Func<PersistentVolume, string> roleOf)
    {
        var claims = ClaimsOf(pod);
        if (claims.Count == 0) return VolumeNeeds.None;
        var (agent, place, volumes, disk, toMake) = ("", "", new List<string>(), 0L, new List<string>());
        foreach (var name in claims)
        {
            if (Claim(pod.Namespace, name) is not { } claim) return Blocked($"persistentvolumeclaim \"{name}\" not found");
            if (claim.Metadata.IsDeleting) return Blocked($"persistentvolumeclaim \"{name}\" is being deleted");
            if (claim.Status.Phase == "Lost") return Blocked($"persistentvolumeclaim \"{name}\" has lost its volume {claim.Spec.VolumeName}");
            if (claim.Spec.VolumeName.Length > 0)
            {
                if (Volume(claim.Spec.VolumeName) is not { } volume) return Blocked($"volume {claim.Spec.VolumeName} of claim {name} is not there");
                if (!MesosVolume.IsOurs(volume)) return Blocked($"volume {volume.Name} of claim {name} is not one of Mesos (driver {MesosVolume.Driver}): nothing here mounts it");
                if (!claim.IsBound || !MesosVolume.IsCreated(volume)) return Blocked($"claim {name} is being bound to volume {volume.Name}");
                if (roleOf(volume) is var reserved && reserved != role) return Blocked($"the volume of claim {name} is reserved for Mesos role {reserved}, the namespace's is {role}");
                var at = MesosVolume.AgentOf(volume);
                if (!isKnown(at))
                {
                    return Blocked(agentOfNode(MesosVolume.NodeOf(volume)) is { } present && present != at && isKnown(present)
                        ? $"the volume of claim {name} is not reachable under its former agent id {at}: the node is agent {present} now, which has not offered the volume"
                        : $"agent {at}, which has the volume of claim {name}, is gone");
                }
                if (agent.Length > 0 && agent != at) return Blocked($"the volumes of {place} and of claim {name} are on different agents");
                (agent, place) = (at, place.Length == 0 ? $"claim {name}" : $"{place} and claim {name}");
                volumes.Add(volume.Spec.Csi!.VolumeHandle);
                continue;
            }
            if (Selecting.Contains(Key(pod.Namespace, name))) return Blocked($"a node is being chosen for claim {name}");
            if (claim.Spec.StorageClassName is not { Length: > 0 } className) return Blocked($"claim {name} has no storage class, and there is no default class");
            if (!_classes.TryGetValue(className, out var ofClass)) return Blocked($"storage class {className} of claim {name} does not exist");
            if (ofClass.Provisioner != MesosVolume.Provisioner) return Blocked($"claim {name} is not bound: its class {className} is provisioned by {ofClass.Provisioner}");
            if (MesosVolume.Fault(claim) is { } fault) return Blocked($"claim {name}: {fault}");
            if (role == "*") return Blocked($"claim {name}: Mesos reserves no disk for role *; give the namespace a role (annotation {MesosRoles.Annotation}) or start with --framework-role");
            if (claim.Metadata.Annotations.TryGetValue(MesosVolume.SelectedNode, out var node)) return Blocked(agentOfNode(node) is null ? $"node {node}, chosen for claim {name}, is gone" : $"the volume of claim {name} is being made on {node}{Waits(claim)}");
            disk += Amounts.MiB(claim.Storage.Value);
            toMake.Add(name);
        }
        return new("", agent, place, volumes, disk, toMake);

        static VolumeNeeds Blocked(string why) => VolumeNeeds.None with { Blocked = why };
    }

    private string Waits(PersistentVolumeClaim claim) =>
        _ofClaim.GetValueOrDefault(claim.Uid)?.Select(x => _volumes[x]).FirstOrDefault(x => !x.Metadata.IsDeleting)?.Metadata.Annotations.GetValueOrDefault(MesosVolume.Waits) is { } why ? ": " + why : "";

    /// <summary>resourceVersions of this server are whole numbers that grow.</summary>
    private static long Revision(string text) => long.TryParse(text, out var revision) ? revision : 0;
}
