using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.ApiServer.Registry.Strategies;

namespace Declarative.ApiServer.Registry;

internal enum DeletionStep
{
    /// <summary>Already marked as strongly as asked.</summary>
    Nothing,

    /// <summary>The object stays with a deletionTimestamp until its grace period or its finalizers are over.</summary>
    Mark,
    Remove,
}

/// <summary>Deletion in steps (Kubernetes docs "Finalizers", "Garbage Collection", "Pod Lifecycle"): mark, wait for finalizers and grace, remove.</summary>
internal static class Deletion
{
    public const string OrphanFinalizer = "orphan";
    public const string ForegroundFinalizer = "foregroundDeletion";

    /// <summary>Changes the object as the delete request asks, and says what to do with it.</summary>
    public static DeletionStep Mark(JsonObject json, Strategy strategy, DeleteOptions delete, DateTimeOffset now)
    {
        var metadata = Metadata.Of(json);
        var before = json.DeepClone();
        var grace = strategy.GraceSeconds(json, delete.GracePeriodSeconds);
        if (metadata.Number("deletionGracePeriodSeconds") is { } marked)
        {
            grace = Math.Min(grace, marked);
        }
        if (delete.Propagation == Propagation.Orphan) AddFinalizer(metadata, OrphanFinalizer);
        if (delete.Propagation == Propagation.Foreground) AddFinalizer(metadata, ForegroundFinalizer);
        if (!Metadata.IsDeleting(json) || grace < metadata.Number("deletionGracePeriodSeconds"))
        {
            metadata["deletionTimestamp"] = Metadata.Time(now.AddSeconds(grace));
            metadata["deletionGracePeriodSeconds"] = grace;
            if (strategy.HasGeneration && !Metadata.IsDeleting((JsonObject)before)) metadata["generation"] = (metadata.Number("generation") ?? 0) + 1;
            strategy.Marked(json);
        }
        if (IsDone(json, strategy)) return DeletionStep.Remove;
        return JsonNode.DeepEquals(before, json) ? DeletionStep.Nothing : DeletionStep.Mark;
    }

    /// <summary>A marked object goes when nothing holds it any more.</summary>
    public static bool IsDone(JsonObject json, Strategy strategy)
    {
        var metadata = Metadata.Of(json);
        return Metadata.IsDeleting(json)
            && (metadata.Number("deletionGracePeriodSeconds") ?? 0) == 0
            && metadata.List("finalizers") is not { Count: > 0 }
            && !strategy.HoldsDeleted(json);
    }

    private static void AddFinalizer(JsonObject metadata, string name)
    {
        if (metadata.List("finalizers") is not { } finalizers) metadata["finalizers"] = finalizers = [];
        if (!finalizers.Any(x => x!.GetValue<string>() == name)) finalizers.Add(name);
    }
}
