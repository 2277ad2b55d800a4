using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.StatefulSets;

/// <summary>The identity of a StatefulSet's pods and their claims (Kubernetes doc "StatefulSets", Pod Identity).</summary>
internal static class StatefulPods
{
    /// <summary>The number at the end of the pod's name; null for a name that the set does not give.</summary>
    public static int? Ordinal(StatefulSet set, Pod pod)
    {
        var prefix = set.Name + "-";
        if (!pod.Name.StartsWith(prefix, StringComparison.Ordinal)) return null;
        var text = pod.Name.AsSpan(prefix.Length);
        if (text.Length == 0 || (text.Length > 1 && text[0] == '0')) return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal) ? ordinal : null;
    }

    public static string Revision(this Pod pod) => pod.Metadata.Labels.GetValueOrDefault(Revisions.PodLabel, "");

    public static string Name(StatefulSet set, int ordinal) => string.Create(CultureInfo.InvariantCulture, $"{set.Name}-{ordinal}");

    public static string ClaimName(StatefulSet set, string template, int ordinal) => string.Create(CultureInfo.InvariantCulture, $"{template}-{set.Name}-{ordinal}");

    public static Create Make(StatefulSet set, StoredRevision revision, int ordinal)
    {
        var name = Name(set, ordinal);
        var draft = revision.Template.Draft(set.Namespace, Kind.StatefulSet, set).Named(name)
            .Label(Revisions.PodLabel, revision.Name)
            .Label(StatefulSet.PodNameLabel, name)
            .Label(StatefulSet.PodIndexLabel, ordinal.ToString(CultureInfo.InvariantCulture));
        draft.Spec["hostname"] = name;
        if (set.Spec.ServiceName.Length > 0) draft.Spec["subdomain"] = set.Spec.ServiceName;
        if (set.Spec.VolumeClaimTemplates.Count > 0)
        {
            var volumes = (JsonArray?)draft.Spec["volumes"] ?? [];
            var claims = set.Spec.VolumeClaimTemplates.Select(x => x.Name).ToHashSet(StringComparer.Ordinal);
            foreach (var shadowed in volumes.Where(x => claims.Contains((string?)x?["name"] ?? "")).ToList()) volumes.Remove(shadowed);
            foreach (var claim in set.Spec.VolumeClaimTemplates)
            {
                volumes.Add(new JsonObject { ["name"] = claim.Name, ["persistentVolumeClaim"] = new JsonObject { ["claimName"] = ClaimName(set, claim.Name, ordinal) } });
            }
            draft.Spec["volumes"] = volumes;
        }
        return Change.Create(ResourceKey.Of(Kind.Pod, set.Namespace, name), draft.ToJson());
    }

    /// <summary>The claims of a pod that are not there yet. A claim that is there is taken as it is: it holds the pod's data.</summary>
    public static IEnumerable<Create> MissingClaims(StatefulSet set, ReadOnlyMemory<byte> json, int ordinal, Func<string, ApiObject?> claim)
    {
        if (set.Spec.VolumeClaimTemplates.Count == 0) yield break;
        using var document = JsonDocument.Parse(json);
        foreach (var template in document.RootElement.GetProperty("spec").GetProperty("volumeClaimTemplates").EnumerateArray())
        {
            var of = JsonObject.Create(template)!.DeepClone().AsObject();
            var metadata = PodDraft.Need(of, "metadata");
            var name = ClaimName(set, (string?)metadata["name"] ?? "", ordinal);
            if (claim(name) is not null) continue;
            metadata["name"] = name;
            metadata["namespace"] = set.Namespace;
            var labels = PodDraft.Need(metadata, "labels");
            foreach (var (key, value) in set.Spec.Selector.MatchLabels) labels[key] = value;
            if (set.Spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted == "Delete") metadata["ownerReferences"] = new JsonArray(PodDraft.Reference(Kind.StatefulSet, set));
            of["apiVersion"] = Kind.PersistentVolumeClaim.ApiVersion;
            of["kind"] = Kind.PersistentVolumeClaim.Name;
            of.Remove("status");
            yield return Change.Create(ResourceKey.Of(Kind.PersistentVolumeClaim, set.Namespace, name), System.Text.Encoding.UTF8.GetBytes(of.ToJsonString()));
        }
    }

    /// <summary>With whenScaled: Delete the claims of a pod that is not wanted any more belong to it, and go with it.</summary>
    public static IEnumerable<Change> GiveClaims(StatefulSet set, Pod pod, int ordinal, Func<string, ApiObject?> claim)
    {
        if (set.Spec.PersistentVolumeClaimRetentionPolicy.WhenScaled != "Delete") yield break;
        foreach (var template in set.Spec.VolumeClaimTemplates)
        {
            if (claim(ClaimName(set, template.Name, ordinal)) is not { } found || found.Metadata.OwnerReferences.Any(x => x.Uid == pod.Uid)) continue;
            yield return Change.Merge(ResourceKey.Of(Kind.PersistentVolumeClaim, set.Namespace, found.Name), Body.Of(json => json.Object("metadata", meta =>
            {
                meta.WriteString("uid"u8, found.Uid);
                meta.Owner(Kind.Pod, pod);
            })));
        }
    }
}
