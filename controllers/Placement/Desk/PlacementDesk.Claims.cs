using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Volumes;
using Declarative.Controllers.Volumes;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Claims of pods: what they ask of the agent, and the node that is selected for those that have no volume yet.</summary>
internal sealed partial class PlacementDesk
{
    private static readonly TimeSpan SelectAgain = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, HashSet<PodRecord>> _byClaim = new(StringComparer.Ordinal);

    private VolumeNeeds NeedsOf(PodRecord record) => _volumes.Needs(record.Pod, record.Role, node => _agentOfNode.GetValueOrDefault(node), IsThere, VolumeRole);

    /// <summary>The agent is in the cluster, or may come back to it.</summary>
    private bool IsThere(string agent) => _nodes.TryGetValue(agent, out var node) && !node.IsGone;

    /// <summary>The role for which a volume is reserved; the namespace's of now only while nothing was asked of Mesos.</summary>
    private string VolumeRole(PersistentVolume volume) => volume.Metadata.Annotations.GetValueOrDefault(MesosRoles.Annotation) ?? RoleOf(volume.Spec.ClaimRef?.Namespace ?? "");

    private void NoteClaims(PodRecord record)
    {
        record.Claims = VolumeBook.ClaimsOf(record.Pod);
        foreach (var claim in record.Claims)
        {
            var key = VolumeBook.Key(record.Key.Namespace, claim);
            if (!_byClaim.TryGetValue(key, out var users)) _byClaim.Add(key, users = []);
            users.Add(record);
        }
    }

    private void ForgetClaims(PodRecord record)
    {
        foreach (var claim in record.Claims)
        {
            var key = VolumeBook.Key(record.Key.Namespace, claim);
            if (_byClaim.TryGetValue(key, out var users) && users.Remove(record) && users.Count == 0) _byClaim.Remove(key);
        }
    }

    private void OnClaim(Change<PersistentVolumeClaim> change)
    {
        if (change.New is { } claim) _volumes.Put(claim);
        else _volumes.Remove(change.Object);
        StepUsers(change.Object.Namespace, change.Object.Name);
    }

    private void OnClass(Change<StorageClass> change)
    {
        if (change.New is { } ofClass) _volumes.Put(ofClass);
        else _volumes.Remove(change.Object);
        foreach (var record in _records.Values.Where(x => x.Claims.Count > 0 && x.IsWaiting).ToList()) Step(record);
    }

    private void StepUsers(string ns, string claim)
    {
        if (!_byClaim.TryGetValue(VolumeBook.Key(ns, claim), out var users)) return;
        foreach (var record in users.OrderBy(x => x.Order).ToList()) Step(record);
    }

    /// <summary>A pod that takes room, or whose task may live, has the claim's volume. A claim outlives its pods: those of a later one of its name have another volume.</summary>
    private bool IsInUse(PersistentVolume volume) =>
        volume.Spec.ClaimRef is { } claim && (_volumes.Claim(claim.Namespace, claim.Name) is not { } present || (present.Uid == claim.Uid && (present.Spec.VolumeName.Length == 0 || present.Spec.VolumeName == volume.Name))) && _byClaim.TryGetValue(VolumeBook.Key(claim.Namespace, claim.Name), out var users) && users.Any(x => x.Taken != default || x.MayLive);

    private static HashSet<string>? VolumesOf(HeldOffer offer) =>
        offer.OfVolumes.Count == 0 ? null : offer.OfVolumes.Where(x => x.Disk?.Persistence is not null).Select(x => x.Disk.Persistence.Id).ToHashSet(StringComparer.Ordinal);

    /// <summary>The offered volumes by the pod's claims.</summary>
    private Dictionary<string, Resource> VolumesOf(PodRecord record, Launch launch)
    {
        var volumes = new Dictionary<string, Resource>(StringComparer.Ordinal);
        foreach (var name in record.Claims)
        {
            if (_volumes.Claim(record.Key.Namespace, name) is not { } claim || _volumes.Volume(claim.Spec.VolumeName)?.Spec.Csi?.VolumeHandle is not { } id) continue;
            if (launch.Offers.SelectMany(x => x.OfVolumes).FirstOrDefault(x => x.Disk?.Persistence?.Id == id) is { } volume) volumes[name] = volume;
        }
        return volumes;
    }

    /// <summary>The pod fits there with the disk of its new volumes: its claims are told so, and whoever makes volumes makes them there.</summary>
    private void SelectNode(PodRecord record, Match match)
    {
        foreach (var name in match.Pod.Volumes.ToMake)
        {
            if (_volumes.Claim(record.Key.Namespace, name) is not { } claim || !_volumes.Selecting.Add(VolumeBook.Key(claim.Namespace, name))) continue;
            Tell(record, warning: false, "VolumeNodeSelected", $"the volume of claim {name} is to be made on {match.Agent.Node.Name}");
            Count("nodes-selected");
            Select(claim, match.Agent.Node.Name);
        }
        Step(record);
    }

    /// <param name="node">null: no node any more; another is selected.</param>
    private void Select(PersistentVolumeClaim claim, string? node)
    {
        var key = VolumeBook.Key(claim.Namespace, claim.Name);
        _volumes.Selecting.Add(key);
        var body = Body.Of(json => json.Object("metadata", x =>
        {
            x.WriteString("uid"u8, claim.Uid);
            x.WriteString("resourceVersion"u8, claim.Metadata.ResourceVersion);
            x.Object("annotations", y =>
            {
                if (node is null) y.WriteNull(MesosVolume.SelectedNode);
                else y.WriteString(MesosVolume.SelectedNode, node);
            });
        }));
        WriteStored(ResourceKey.Of(Kind.PersistentVolumeClaim, claim.Namespace, claim.Name), body, stored =>
        {
            _volumes.Selecting.Remove(key);
            if (stored is not null) _volumes.Put(PersistentVolumeClaim.Read(stored.Json));
            foreach (var user in Users(key))
            {
                if (stored is null) user.RetryAt = Now + SelectAgain; // it has changed meanwhile, or the API is away
                Step(user);
            }
        });
    }

    private List<PodRecord> Users(string claim) => _byClaim.TryGetValue(claim, out var users) ? [.. users.OrderBy(x => x.Order)] : [];

    /// <summary>A patch of a claim or a volume, tried once; null where it was not stored.</summary>
    private void WriteStored(ResourceKey key, byte[] patch, Action<Stored?> then, string subresource = "")
    {
        _writes.Add(async () =>
        {
            try
            {
                var stored = await _parts.Api.Patch(key, PatchKind.Merge, patch, new() { Subresource = subresource, FieldManager = "placement" }, _stop);
                return () => then(stored);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return static () => { };
            }
            catch (Exception e) // an outage of the API, or a newer revision: whoever asked looks again
            {
                Log.WriteFailed(_parts.Logger, key.ToString(), SelectAgain, e.Message);
                return () => then(null);
            }
        });
    }
}
