using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Workloads;

/// <summary>Which objects a workload controls: those that name it as controller, and orphans that its selector matches.</summary>
internal static class Ownership
{
    /// <summary>Names of the indexes that informers of owned kinds carry.</summary>
    public const string ByController = "controller";
    public const string Orphans = "orphans";

    public static string? ControllerUid(ApiObject x) => x.Metadata.Controller?.Uid;

    /// <summary>Key = namespace.</summary>
    public static string? OrphanNamespace(ApiObject x) => x.Metadata.Controller is null ? x.Namespace : null;

    /// <summary>
    /// Splits the owned from those to let go, and finds the orphans to take. A workload that is being deleted takes and lets go nothing.
    /// </summary>
    /// <param name="finalizer">What adopted objects are held by; "" = nothing.</param>
    public static Claim<T> Claim<T>(Kind ownerKind, ApiObject owner, LabelSelector selector, Kind kind, IReadOnlyList<T> owned, IReadOnlyList<T> orphans, string finalizer = "")
        where T : ApiObject
    {
        if (owner.Metadata.IsDeleting) return new(owned, []);
        var mine = new List<T>();
        var changes = new List<Change>();
        foreach (var x in owned)
        {
            if (selector.Matches(x.Metadata.Labels)) mine.Add(x);
            else if (!x.Metadata.IsDeleting) changes.Add(Release(kind, x, owner.Uid));
        }
        foreach (var x in orphans)
        {
            if (!x.Metadata.IsDeleting && x.Metadata.Controller is null && selector.Matches(x.Metadata.Labels)) changes.Add(Adopt(kind, x, ownerKind, owner, finalizer));
        }
        return new(mine, changes);
    }

    // Strategic merge patches, because ownerReferences are merged by uid; metadata.uid in the patch is the precondition.
    private static Patch Adopt(Kind kind, ApiObject x, Kind ownerKind, ApiObject owner, string finalizer) => new(
        ResourceKey.Of(kind, x.Namespace, x.Name), PatchKind.Strategic, Body.Of(json => json.Object("metadata", meta =>
        {
            meta.WriteString("uid"u8, x.Uid);
            meta.Owner(ownerKind, owner);
            if (finalizer.Length > 0) meta.Strings("finalizers", [finalizer]);
        })));

    private static Patch Release(Kind kind, ApiObject x, string ownerUid) => new(
        ResourceKey.Of(kind, x.Namespace, x.Name), PatchKind.Strategic, Body.Of(json => json.Object("metadata", meta =>
        {
            meta.WriteString("uid"u8, x.Uid);
            meta.Array("ownerReferences", [ownerUid], uid =>
            {
                meta.WriteStartObject();
                meta.WriteString("$patch"u8, "delete"u8);
                meta.WriteString("uid"u8, uid);
                meta.WriteEndObject();
            });
        })));
}

/// <param name="Mine">What the workload controls now.</param>
/// <param name="Changes">Adoptions and releases; once made, the objects come back through the views.</param>
internal sealed record Claim<T>(IReadOnlyList<T> Mine, IReadOnlyList<Change> Changes);
