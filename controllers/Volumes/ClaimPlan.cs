using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Nodes;

namespace Declarative.Controllers.Volumes;

/// <summary>What a claim is decided from.</summary>
/// <param name="Classes">All storage classes.</param>
/// <param name="Volume">The claim's volume: by the name that it is bound to, else the one that is being made for it.</param>
/// <param name="Leaving">Other volumes that were to be the claim's and are on their way out.</param>
/// <param name="Node">The node that Placement has selected; null where there is none (any more).</param>
/// <param name="IsUsed">A pod that has its place and is not over names the claim.</param>
/// <param name="IsLost">The agent that has the volume has left the cluster, or has come back without it; null = that is not known.</param>
/// <param name="VolumeNode">The node that the volume was made for, as it is now; null where there is none.</param>
/// <param name="IsTaken">There is a volume of this name.</param>
internal sealed record ClaimView(PersistentVolumeClaim Claim, IReadOnlyList<StorageClass> Classes, PersistentVolume? Volume, IReadOnlyList<PersistentVolume> Leaving, Node? Node, bool IsUsed, bool? IsLost, Node? VolumeNode, Func<string, bool> IsTaken);

/// <summary>
/// One step of a PersistentVolumeClaim: its protection, its class, its volume once Placement has selected a node, its binding when Mesos has made
/// the volume, its growth. Pure.
/// </summary>
internal static class ClaimPlan
{
    private static readonly TimeSpan LeavingAgain = TimeSpan.FromSeconds(5);

    private const string ProvisionedBy = "pv.kubernetes.io/provisioned-by";

    public static Plan Compute(ClaimView view, DateTimeOffset now)
    {
        var claim = view.Claim;
        var isProtected = claim.Metadata.Finalizers.Contains(MesosVolume.ClaimProtection);
        if (claim.Metadata.IsDeleting)
        {
            return isProtected && !view.IsUsed ? new() { Changes = [Finalizers.Without(Kind.PersistentVolumeClaim, claim.Metadata, MesosVolume.ClaimProtection)] } : Plan.Nothing;
        }
        if (!isProtected) return new() { Changes = [Finalizers.With(Kind.PersistentVolumeClaim, claim.Metadata, MesosVolume.ClaimProtection)] };
        if (claim.Spec.StorageClassName is null && claim.Spec.VolumeName.Length == 0)
        {
            return view.Classes.Where(x => x.IsDefault).OrderByDescending(x => x.Metadata.CreationTimestamp).ThenBy(x => x.Name, StringComparer.Ordinal).FirstOrDefault() is { } byDefault
                ? new() { Changes = [Spec(claim, "storageClassName", byDefault.Name)] } : Plan.Nothing;
        }
        return claim.Spec.VolumeName.Length > 0 ? Bound(view, now) : Unbound(view);
    }

    private static Plan Unbound(ClaimView view)
    {
        var claim = view.Claim;
        if (claim.Spec.StorageClassName is not { Length: > 0 } name) return Plan.Nothing;
        if (view.Classes.FirstOrDefault(x => x.Name == name) is not { } ofClass) return Failed(claim, $"storageclass.storage.k8s.io \"{name}\" not found");
        if (ofClass.Provisioner != MesosVolume.Provisioner) return Plan.Nothing;
        if (MesosVolume.Fault(claim) is { } fault) return Failed(claim, fault);
        var selected = claim.Metadata.Annotations.GetValueOrDefault(MesosVolume.SelectedNode);
        if (view.Volume is { } volume)
        {
            if (MesosVolume.IsCreated(volume)) return new() { Changes = [Bind(claim, volume)], Events = [Note(claim, "ProvisioningSucceeded", $"Successfully provisioned volume {volume.Name}")] };
            // Placement has given the node up: it is made elsewhere.
            return view.Node is null || MesosVolume.AgentOf(volume) != NodePlan.AgentId(view.Node) ? new() { Changes = [Change.Delete(Key(volume), volume.Uid)] } : Plan.Nothing;
        }
        if (selected is null) return new() { Events = [Note(claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")] };
        if (view.Node is null || NodePlan.AgentId(view.Node).Length == 0) return new() { Changes = [Unselect(claim)] };
        // What is there of an earlier one goes first: both would be reserved for the same claim.
        if (view.Leaving.Any(x => MesosVolume.AgentOf(x) == NodePlan.AgentId(view.Node) || MesosVolume.NodeOf(x) == view.Node.Name))
        {
            // An agent that cannot be reached gives nothing up: the volume is made elsewhere.
            return view.Node.Status.Conditions.Any(x => x is { Type: "Ready", Status: "True" }) ? new() { LookAgainIn = LeavingAgain } : new() { Changes = [Unselect(claim)] };
        }
        var free = MesosVolume.NamesOf(claim.Uid).First(x => !view.IsTaken(x));
        return new() { Changes = [Change.Create(ResourceKey.Of(Kind.PersistentVolume, "", free), Volume(free, claim, ofClass, view.Node))] };
    }

    private static Plan Bound(ClaimView view, DateTimeOffset now)
    {
        var claim = view.Claim;
        if (view.Volume is not { } volume) return Lost(claim, $"Bound claim has lost its PersistentVolume {claim.Spec.VolumeName}. Data on the volume is lost!");
        if (!MesosVolume.IsOurs(volume) || volume.Spec.ClaimRef?.Uid != claim.Uid) return Plan.Nothing;
        if (view.IsLost ?? (claim.Status.Phase == "Lost")) return Lost(claim, MesosVolume.LossOf(volume, view.VolumeNode));
        var changes = new List<Change>();
        var events = new List<EventNote>();
        var ofClass = view.Classes.FirstOrDefault(x => x.Name == claim.Spec.StorageClassName);
        var grows = claim.Storage > volume.Storage;
        var mayGrow = ofClass is { AllowVolumeExpansion: true } && !MesosVolume.IsShared(volume);
        if (grows && mayGrow && MesosVolume.WantedOf(volume) != claim.Storage) changes.Add(Annotate(volume, MesosVolume.WantedSize, claim.Storage.ToString()));
        if (!grows && volume.Metadata.Annotations.ContainsKey(MesosVolume.WantedSize)) changes.Add(Annotate(volume, MesosVolume.WantedSize, null));
        Condition? resizing = null;
        if (grows)
        {
            var old = claim.Status.Conditions.FirstOrDefault(x => x.Type == "Resizing");
            var message = MesosVolume.IsShared(volume) ? $"Mesos grows no volume that is shared (access mode {MesosVolume.Shared})"
                : !mayGrow ? $"storage class {claim.Spec.StorageClassName} does not allow expansion"
                : volume.Metadata.Annotations.GetValueOrDefault(MesosVolume.Waits) ?? "waits until no pod uses the volume and its agent offers the disk";
            resizing = new() { Type = "Resizing", Status = mayGrow ? "True" : "False", Reason = mayGrow ? "Growing" : "NotAllowed", Message = message, LastTransitionTime = old is null ? now : old.LastTransitionTime };
        }
        var capacity = claim.Status.Capacity.GetValueOrDefault("storage");
        var shown = claim.Status.Conditions.FirstOrDefault(x => x.Type == "Resizing");
        if (claim.Status.Phase != "Bound" || capacity != volume.Storage || shown?.Message != resizing?.Message || !claim.Status.AccessModes.SequenceEqual(volume.Spec.AccessModes))
        {
            changes.Add(Status(claim, "Bound", volume.Spec.AccessModes, resizing is null ? [] : [resizing], volume.Storage));
            if (shown is null && resizing is not null) events.Add(Note(claim, "Resizing", $"the volume is to grow from {volume.Storage} to {claim.Storage}"));
            if (capacity != Quantity.Zero && capacity < volume.Storage) events.Add(Note(claim, "VolumeResizeSuccessful", $"Resize volume succeeded: {volume.Storage}"));
        }
        return new() { Changes = changes, Events = events };
    }

    private static Plan Lost(PersistentVolumeClaim claim, string why) => claim.Status.Phase == "Lost" ? Plan.Nothing
        : new() { Changes = [Status(claim, "Lost", [], [], null)], Events = [EventNote.Warning(About(claim), "ClaimLost", why)] };

    private static ResourceKey Key(PersistentVolume volume) => ResourceKey.Of(Kind.PersistentVolume, "", volume.Name);

    private static ResourceKey Key(PersistentVolumeClaim claim) => ResourceKey.Of(Kind.PersistentVolumeClaim, claim.Namespace, claim.Name);

    private static ObjectReference About(PersistentVolumeClaim claim) => Body.Reference(Kind.PersistentVolumeClaim, claim);

    private static EventNote Note(PersistentVolumeClaim claim, string reason, string message) => EventNote.Normal(About(claim), reason, message);

    private static Plan Failed(PersistentVolumeClaim claim, string why) => new() { Events = [EventNote.Warning(About(claim), "ProvisioningFailed", why)] };

    private static Patch Spec(PersistentVolumeClaim claim, string field, string value) => Change.Merge(Key(claim), Body.Of(json =>
    {
        Precondition(json, claim.Metadata);
        json.Object("spec", x => x.WriteString(field, value));
    }));

    private static Patch Bind(PersistentVolumeClaim claim, PersistentVolume volume) => Change.Merge(Key(claim), Body.Of(json =>
    {
        json.Object("metadata", x =>
        {
            x.WriteString("uid"u8, claim.Uid);
            x.Map("annotations", [new("pv.kubernetes.io/bind-completed", "yes"), new("pv.kubernetes.io/bound-by-controller", "yes"), new("volume.kubernetes.io/storage-provisioner", MesosVolume.Provisioner)]);
        });
        json.Object("spec", x => x.WriteString("volumeName"u8, volume.Name));
    }));

    private static Patch Unselect(PersistentVolumeClaim claim) => Change.Merge(Key(claim), Body.Of(json => json.Object("metadata", x =>
    {
        x.WriteString("uid"u8, claim.Uid);
        x.Object("annotations", y => y.WriteNull(MesosVolume.SelectedNode));
    })));

    private static Patch Annotate(PersistentVolume volume, string annotation, string? value) => Change.Merge(Key(volume), Body.Of(json => json.Object("metadata", x =>
    {
        x.WriteString("uid"u8, volume.Uid);
        x.Object("annotations", y =>
        {
            if (value is null) y.WriteNull(annotation);
            else y.WriteString(annotation, value);
        });
    })));

    private static Patch Status(PersistentVolumeClaim claim, string phase, IReadOnlyList<string> modes, IReadOnlyList<Condition> conditions, Quantity? capacity) => Change.Merge(Key(claim), Body.Of(json =>
    {
        Precondition(json, claim.Metadata);
        json.Object("status", x =>
        {
            x.WriteString("phase"u8, phase);
            x.Strings("accessModes", modes);
            if (capacity is { } size) x.Map("capacity", [new("storage", size.ToString())]);
            if (conditions.Count > 0) x.Conditions(conditions);
            else x.WriteNull("conditions"u8);
        });
    }), "status");

    private static void Precondition(Utf8JsonWriter json, ObjectMeta metadata) => json.Object("metadata", x =>
    {
        x.WriteString("uid"u8, metadata.Uid);
        x.WriteString("resourceVersion"u8, metadata.ResourceVersion);
    });

    private static byte[] Volume(string name, PersistentVolumeClaim claim, StorageClass ofClass, Node node) => Body.Of(json =>
    {
        json.TypeMeta(Kind.PersistentVolume);
        json.Object("metadata", x =>
        {
            x.WriteString("name"u8, name);
            x.Map("annotations", [new(ProvisionedBy, MesosVolume.Provisioner)]);
            x.Strings("finalizers", [MesosVolume.VolumeProtection, MesosVolume.Finalizer]);
        });
        json.Object("spec", x =>
        {
            x.Map("capacity", [new("storage", claim.Storage.ToString())]);
            x.Strings("accessModes", claim.Spec.AccessModes);
            x.WriteString("volumeMode"u8, "Filesystem"u8);
            x.WriteString("storageClassName"u8, ofClass.Name);
            x.WriteString("persistentVolumeReclaimPolicy"u8, ofClass.ReclaimPolicy);
            x.Object("claimRef", y =>
            {
                y.TypeMeta(Kind.PersistentVolumeClaim);
                y.WriteString("namespace"u8, claim.Namespace);
                y.WriteString("name"u8, claim.Name);
                y.WriteString("uid"u8, claim.Uid);
            });
            x.Object("csi", y =>
            {
                y.WriteString("driver"u8, MesosVolume.Driver);
                y.WriteString("volumeHandle"u8, name);
                y.Map("volumeAttributes", MesosVolume.Attributes(NodePlan.AgentId(node), node.Name));
            });
            x.Object("nodeAffinity", y => y.Object("required", z => z.Array("nodeSelectorTerms", [node], one =>
            {
                json.WriteStartObject();
                json.Array("matchFields", [one.Name], node =>
                {
                    json.WriteStartObject();
                    json.WriteString("key"u8, "metadata.name"u8);
                    json.WriteString("operator"u8, "In"u8);
                    json.Strings("values", [node]);
                    json.WriteEndObject();
                });
                json.WriteEndObject();
            })));
        });
    });
}
