using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Namespaces;

/// <summary>
/// Empties a namespace that is being deleted, says what is left in its conditions, and takes the finalizer "kubernetes" away when nothing is
/// (Kubernetes doc "Namespaces"; the conditions are those that kubectl describe shows).
/// </summary>
internal static class NamespacePlan
{
    public const string Finalizer = "kubernetes";

    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(500);

    /// <param name="json">The stored namespace: finalize replaces it whole.</param>
    /// <param name="content">Everything in the namespace, of all kinds.</param>
    public static Plan Compute(Namespace ns, ReadOnlyMemory<byte> json, IReadOnlyList<Content> content, DateTimeOffset now)
    {
        if (!ns.Metadata.IsDeleting) return ns.Status.Phase.Length > 0 ? Plan.Nothing : new() { Changes = [Status(ns, "Active", ns.Status.Conditions)] };
        if (content.Count == 0) return ns.Spec.Finalizers.Contains(Finalizer) ? new() { Changes = [Finalize(ns, json)] } : Plan.Nothing;
        var changes = new List<Change>();
        var conditions = Conditions(ns.Status.Conditions, content, now);
        if (ns.Status.Phase != "Terminating" || !conditions.SequenceEqual(ns.Status.Conditions)) changes.Add(Status(ns, "Terminating", conditions));
        foreach (var x in content)
        {
            if (!x.IsDeleting) changes.Add(new Delete(x.Key, new() { Uid = x.Uid, Propagation = Propagation.Background }));
        }
        return new() { Changes = changes, LookAgainIn = LookAgain };
    }

    private static Patch Status(Namespace ns, string phase, IReadOnlyList<Condition> conditions) => Change.Merge(KeyOf(ns), Body.Status(json =>
    {
        json.WriteString("phase"u8, phase);
        if (conditions.Count > 0) json.Conditions(conditions);
    }), "status");

    private static IReadOnlyList<Condition> Conditions(IReadOnlyList<Condition> conditions, IReadOnlyList<Content> content, DateTimeOffset now)
    {
        var remaining = content.GroupBy(x => x.Key.Kind.QualifiedPlural).Select(x => $"{x.Key} has {x.Count()} resource instances");
        var finalizers = content.SelectMany(x => x.Finalizers).GroupBy(x => x).OrderBy(x => x.Key, StringComparer.Ordinal)
            .Select(x => $"{x.Key} in {x.Count()} resource instances").ToList();
        conditions = Set("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered");
        conditions = Set("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions", "All legacy kube types successfully parsed");
        conditions = Set("NamespaceDeletionContentFailure", "False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization");
        conditions = Set("NamespaceContentRemaining", "True", "SomeResourcesRemain", $"Some resources are remaining: {string.Join(", ", remaining)}");
        return finalizers.Count > 0
            ? Set("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", $"Some content in the namespace has finalizers remaining: {string.Join(", ", finalizers)}")
            : Set("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished");

        IReadOnlyList<Condition> Set(string type, string status, string reason, string message) =>
            conditions.With(type, status, reason, message, now, touch: conditions.Find(type)?.Message != message, hasUpdateTime: false);
    }

    /// <summary>PUT namespaces/NAME/finalize: the stored bytes with our finalizer taken out of spec.finalizers, field for field otherwise.</summary>
    private static Update Finalize(Namespace ns, ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        return new(KeyOf(ns), Body.Of(written =>
        {
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (property.Name != "spec") property.WriteTo(written);
            }
            written.Object("spec", spec => spec.Strings("finalizers", ns.Spec.Finalizers.Where(x => x != Finalizer)));
        }), "finalize");
    }

    private static ResourceKey KeyOf(Namespace ns) => ResourceKey.Of(Kind.Namespace, "", ns.Name);
}

/// <summary>One object in the namespace.</summary>
internal sealed record Content(ResourceKey Key, string Uid, bool IsDeleting, IReadOnlyList<string> Finalizers);
