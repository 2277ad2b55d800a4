using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Volumes;

/// <summary>
/// One step of a PersistentVolume of ours: its phase, its deletion by reclaim policy when its claim is gone, its protection while the claim is
/// there. What Mesos has of it is Placement's: it takes the last finalizer. Pure.
/// </summary>
internal static class VolumePlan
{
    /// <param name="claim">The claim of the volume's claimRef by name; null where there is none.</param>
    /// <param name="isLost">The agent that has it has left the cluster, or has come back without it; null = that is not known.</param>
    /// <param name="node">The node that it was made for, as it is now; null where there is none.</param>
    public static Plan Compute(PersistentVolume volume, PersistentVolumeClaim? claim, bool? isLost, Node? node)
    {
        if (!MesosVolume.IsOurs(volume)) return Plan.Nothing;
        var isClaimed = claim is not null && claim.Uid == volume.Spec.ClaimRef?.Uid;
        var key = ResourceKey.Of(Kind.PersistentVolume, "", volume.Name);
        if (volume.Metadata.IsDeleting)
        {
            // A volume that no claim is bound to, or that was never made, needs no protection.
            var isBound = isClaimed && claim!.Spec.VolumeName == volume.Name;
            return !isBound && volume.Metadata.Finalizers.Contains(MesosVolume.VolumeProtection)
                ? new() { Changes = [Finalizers.Without(Kind.PersistentVolume, volume.Metadata, MesosVolume.VolumeProtection)] } : Plan.Nothing;
        }
        var phase = !isClaimed ? "Released" : claim!.Spec.VolumeName == volume.Name ? "Bound" : MesosVolume.IsCreated(volume) ? "Available" : "Pending";
        if (MesosVolume.IsCreated(volume) && (isLost ?? (volume.Status.Phase == "Failed"))) phase = "Failed";
        // How it was lost may change while it is; of a node that is not known nothing new is said.
        var why = phase != "Failed" ? "" : isLost is null && volume.Status.Phase == "Failed" ? volume.Status.Message : MesosVolume.LossOf(volume, node);
        var changes = new List<Change>();
        if (volume.Status.Phase != phase || volume.Status.Message != why) changes.Add(Change.Merge(key, Body.Of(json =>
        {
            json.Object("metadata", x => x.WriteString("uid"u8, volume.Uid));
            json.Object("status", x =>
            {
                x.WriteString("phase"u8, phase);
                if (phase == "Failed") x.WriteString("message"u8, why);
                else x.WriteNull("message"u8);
            });
        }), "status"));
        if (!isClaimed && (volume.Spec.PersistentVolumeReclaimPolicy == "Delete" || !MesosVolume.IsCreated(volume))) changes.Add(Change.Delete(key, volume.Uid));
        return new() { Changes = changes };
    }
}
