using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.GarbageCollection;

/// <summary>What is known of one owner of an object.</summary>
internal enum OwnerState
{
    /// <summary>It is there: with its name and its uid.</summary>
    Present,

    /// <summary>It is being deleted in the foreground and waits for its dependents.</summary>
    Waiting,

    /// <summary>There is none of its name, or another one with another uid.</summary>
    Absent,
}

/// <summary>
/// Background, foreground and orphaning deletion by owner references (Kubernetes doc "Garbage Collection"). An object goes when none of its
/// owners is left; dependents are orphaned, or waited for, where the deletion of their owner asks for it.
/// </summary>
internal static class GarbagePlan
{
    public const string Orphan = "orphan";
    public const string Foreground = "foregroundDeletion";

    /// <param name="owners">One for each owner reference of the object, in their order.</param>
    /// <param name="dependents">The objects that name this one as an owner.</param>
    public static Plan Compute(ResourceKey key, ApiObject x, IReadOnlyList<OwnerState> owners, IReadOnlyList<Dependent> dependents)
    {
        if (x.Metadata.IsDeleting)
        {
            if (x.Metadata.Finalizers.Contains(Orphan)) return new() { Changes = [.. dependents.Select(d => WithoutOwner(d, x.Uid)), WithoutFinalizer(key, x, Orphan)] };
            if (x.Metadata.Finalizers.Contains(Foreground) && !dependents.Any(d => Blocks(d, x.Uid))) return new() { Changes = [WithoutFinalizer(key, x, Foreground)] };
            return Plan.Nothing;
        }
        if (owners.Count == 0) return Plan.Nothing;
        if (owners.Contains(OwnerState.Present))
        {
            if (owners.All(o => o == OwnerState.Present)) return Plan.Nothing;
            return new() { Changes = [Owners(key, x.Metadata, x.Metadata.OwnerReferences.Where((_, i) => owners[i] == OwnerState.Present))] };
        }
        // Its own finalizers say how it wanted its dependents treated; an owner that waits wants all below it gone first.
        var propagation = x.Metadata.Finalizers.Contains(Orphan) ? Propagation.Orphan
            : x.Metadata.Finalizers.Contains(Foreground) || (owners.Contains(OwnerState.Waiting) && dependents.Count > 0) ? Propagation.Foreground
            : Propagation.Background;
        return new() { Changes = [new Delete(key, new() { Uid = x.Uid, Revision = Revision(x), Propagation = propagation })] };
    }

    private static bool Blocks(Dependent dependent, string ownerUid) =>
        dependent.Object.Metadata.OwnerReferences.Any(x => x.Uid == ownerUid && x.BlockOwnerDeletion);

    private static Patch WithoutOwner(Dependent dependent, string ownerUid) =>
        Owners(dependent.Key, dependent.Object.Metadata, dependent.Object.Metadata.OwnerReferences.Where(x => x.Uid != ownerUid));

    private static Patch Owners(ResourceKey key, ObjectMeta of, IEnumerable<OwnerReference> owners) => Change.Merge(key, Body.Of(json => json.Object("metadata", meta =>
    {
        meta.WriteString("resourceVersion"u8, of.ResourceVersion);
        meta.Array("ownerReferences", owners, x =>
        {
            meta.WriteStartObject();
            meta.WriteString("apiVersion"u8, x.ApiVersion);
            meta.WriteString("kind"u8, x.Kind);
            meta.WriteString("name"u8, x.Name);
            meta.WriteString("uid"u8, x.Uid);
            if (x.Controller) meta.WriteBoolean("controller"u8, true);
            if (x.BlockOwnerDeletion) meta.WriteBoolean("blockOwnerDeletion"u8, true);
            meta.WriteEndObject();
        });
    })));

    private static Patch WithoutFinalizer(ResourceKey key, ApiObject x, string finalizer) => Change.Merge(key, Body.Of(json => json.Object("metadata", meta =>
    {
        meta.WriteString("resourceVersion"u8, x.Metadata.ResourceVersion);
        meta.Strings("finalizers", x.Metadata.Finalizers.Where(f => f != finalizer));
    })));

    private static long? Revision(ApiObject x) => long.TryParse(x.Metadata.ResourceVersion, out var revision) ? revision : null;
}

/// <summary>An object that names another one as its owner.</summary>
internal sealed record Dependent(ResourceKey Key, ApiObject Object);
