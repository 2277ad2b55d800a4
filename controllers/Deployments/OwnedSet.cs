using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Deployments;

/// <summary>One ReplicaSet of a Deployment. <see cref="Replicas"/> follows the plan while it is made; everything else is as stored.</summary>
internal sealed class OwnedSet(ReplicaSet set, long storedRevision, byte[] template)
{
    public static OwnedSet Of(Entry<ReplicaSet> entry) => new(entry.Object, entry.Revision, TemplateJson.Of(entry.Json).Canonical());

    public ReplicaSet Set => set;
    public string Name => set.Name;

    /// <summary>spec.replicas as the plan leaves it.</summary>
    public int Replicas { get; set; } = set.Spec.Replicas;

    /// <summary>Available pods that the set still wants: a status that lags behind a scale-down must not count pods twice.</summary>
    public int Available => Math.Min(set.Status.AvailableReplicas, Replicas);

    /// <summary>Annotations that the plan sets; written together with <see cref="Replicas"/> in one patch.</summary>
    public SortedDictionary<string, string> Annotate { get; } = new(StringComparer.Ordinal);

    /// <summary>spec.minReadySeconds as the plan leaves it.</summary>
    public int MinReadySeconds { get; set; } = set.Spec.MinReadySeconds;

    /// <summary>The patch that brings the plan's wishes to the stored set, against the revision that was decided on; null where nothing changes.</summary>
    public Patch? Patch()
    {
        var scaled = Replicas != set.Spec.Replicas;
        var delayed = MinReadySeconds != set.Spec.MinReadySeconds;
        if (!scaled && !delayed && Annotate.Count == 0) return null;
        return Change.Merge(ResourceKey.Of(Kind.ReplicaSet, set.Namespace, set.Name), Body.Of(json =>
        {
            json.Object("metadata", meta =>
            {
                meta.WriteString("resourceVersion"u8, Rollout.Text(storedRevision));
                if (Annotate.Count > 0) meta.Map("annotations", Annotate);
            });
            if (!scaled && !delayed) return;
            json.Object("spec", x =>
            {
                if (scaled) x.WriteNumber("replicas"u8, Replicas);
                if (delayed) x.NumberOrNull("minReadySeconds", MinReadySeconds);
            });
        }));
    }

    /// <summary>
    /// The pods that there may be. Once the set's controller has seen the present spec its status counts all that it made for earlier ones; until
    /// then it may have made as many as it was asked for before.
    /// </summary>
    public int Most =>
        Math.Max(Math.Max(Replicas, set.Spec.Replicas), Math.Max(set.Status.Replicas, set.Status.ObservedGeneration < set.Metadata.Generation ? (int)Number(Annotations.ReplicasBefore) : 0));

    public long Revision => Number(Annotations.Revision);
    public long DesiredReplicas => Number(Annotations.DesiredReplicas);
    public long MaxReplicas => Number(Annotations.MaxReplicas);

    public bool HasTemplate(ReadOnlySpan<byte> canonical) => canonical.SequenceEqual(template);

    private long Number(string annotation) =>
        set.Metadata.Annotations.TryGetValue(annotation, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
}
