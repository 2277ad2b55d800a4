using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Workloads;

/// <summary>One template that a workload had: a ControllerRevision and what stands in it.</summary>
internal sealed class StoredRevision
{
    private StoredRevision(Entry<ControllerRevision> entry)
    {
        Object = entry.Object;
        using var document = JsonDocument.Parse(entry.Json);
        var template = document.RootElement.TryGetProperty("data", out var data) && data.ValueKind == JsonValueKind.Object
            && data.TryGetProperty("spec", out var spec) && spec.TryGetProperty("template", out var found) ? found : default;
        Template = TemplateJson.Of(template);
    }

    public ControllerRevision Object { get; }
    public TemplateJson Template { get; }
    public string Name => Object.Name;
    public string Hash => Object.Metadata.Labels.GetValueOrDefault(Revisions.HashLabel, "");

    public static StoredRevision Of(Entry<ControllerRevision> entry) => new(entry);
}

/// <summary>
/// The history of a workload's templates as ControllerRevisions, in the form that kubectl rollout history and undo read: data is a strategic merge
/// patch that replaces the template.
/// </summary>
internal static class Revisions
{
    public const string HashLabel = "controller.kubernetes.io/hash";

    /// <summary>Label of pods: which revision they are made from.</summary>
    public const string PodLabel = "controller-revision-hash";

    /// <summary>Finds the revision of the present template, and what has to be written first where there is none or it is not the newest.</summary>
    /// <param name="isTaken">Whether a ControllerRevision of that name stands in the namespace, whoever owns it.</param>
    public static (StoredRevision? Present, IReadOnlyList<Change> Changes) Find(
        Kind kind, ApiObject owner, LabelSelectorSpec selector, TemplateJson template, IReadOnlyList<StoredRevision> owned, Func<string, bool> isTaken)
    {
        var canonical = template.Canonical();
        var newest = owned.Select(x => x.Object.Revision).DefaultIfEmpty(0).Max();
        var equal = owned.Where(x => x.Template.Canonical().AsSpan().SequenceEqual(canonical)).MaxBy(x => x.Object.Revision);
        if (equal is not null)
        {
            if (equal.Object.Revision == newest) return (equal, []);
            // An old template that is wanted again becomes the newest revision.
            var bump = Body.Of(json =>
            {
                json.Object("metadata", meta => meta.WriteString("uid"u8, equal.Object.Uid));
                json.WriteNumber("revision"u8, newest + 1);
            });
            return (equal, [Change.Merge(ResourceKey.Of(Kind.ControllerRevision, owner.Namespace, equal.Name), bump)]);
        }
        var collisions = 0;
        var hash = TemplateHash.Of(canonical, collisions);
        while (isTaken($"{owner.Name}-{hash}")) hash = TemplateHash.Of(canonical, ++collisions);
        return (null, [Create(kind, owner, selector, template, $"{owner.Name}-{hash}", hash, newest + 1)]);
    }

    /// <summary>Those beyond the limit that no pod is of, the oldest first.</summary>
    public static IEnumerable<Change> Outlived(IReadOnlyList<StoredRevision> owned, IReadOnlySet<string> live, int limit)
    {
        var history = owned.Where(x => !live.Contains(x.Name) && !live.Contains(x.Hash) && !x.Object.Metadata.IsDeleting).OrderBy(x => x.Object.Revision).ToList();
        return history.Take(Math.Max(0, history.Count - limit)).Select(x => Change.Delete(ResourceKey.Of(Kind.ControllerRevision, x.Object.Namespace, x.Name), x.Object.Uid));
    }

    private static Create Create(Kind kind, ApiObject owner, LabelSelectorSpec selector, TemplateJson template, string name, string hash, long revision) =>
        Change.Create(ResourceKey.Of(Kind.ControllerRevision, owner.Namespace, name), Body.Of(json =>
        {
            json.TypeMeta(Kind.ControllerRevision);
            json.Object("metadata", meta =>
            {
                meta.WriteString("name"u8, name);
                meta.WriteString("namespace"u8, owner.Namespace);
                meta.Map("labels", selector.MatchLabels.Where(x => x.Key != HashLabel).Append(new(HashLabel, hash)));
                meta.Map("annotations", owner.Metadata.Annotations.Where(x => x.Key is "kubernetes.io/change-cause"));
                meta.Owner(kind, owner);
            });
            json.Object("data", data => data.Object("spec", spec =>
            {
                spec.WritePropertyName("template"u8);
                template.WriteReplacing(spec);
            }));
            json.WriteNumber("revision"u8, revision);
        }));
}
