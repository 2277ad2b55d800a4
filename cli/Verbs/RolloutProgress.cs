using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Cli.Verbs;

/// <summary>How far an object has come, in a sentence.</summary>
internal readonly record struct Progress(string Text, bool Done, bool Failed = false);

/// <summary>Waits until a Deployment is rolled out or a pod is ready, and says how far it is whenever that changes.</summary>
internal static class RolloutProgress
{
    /// <summary>Kinds that have nothing to wait for are done.</summary>
    public static bool Knows(Kind kind) => kind == Kind.Deployment || kind == Kind.Pod || kind == Kind.ReplicaSet;

    /// <summary>Returns false where it cannot succeed any more.</summary>
    public static async Task<bool> Wait(Session session, ResourceKey key, long revision, CancellationToken stop)
    {
        var told = "";
        await foreach (var stored in ObjectWatch.Follow(session.Api, key, session.Machine.Time, stop))
        {
            if (stored is null)
            {
                await session.Errors.WriteLineAsync($"error: {KindNames.Of(key.Kind, key.Name)} was deleted");
                return false;
            }
            if (stored.Revision < revision) continue;
            var progress = Of(key.Kind, stored);
            if (progress.Text != told) await (progress.Failed ? session.Errors : session.Out).WriteLineAsync(progress.Failed ? "error: " + progress.Text : progress.Text);
            told = progress.Text;
            if (progress.Failed) return false;
            if (progress.Done) return true;
        }
        return false;
    }

    /// <summary>The words of a Deployment are kubectl's.</summary>
    public static Progress Of(Kind kind, Stored stored) =>
        kind == Kind.Deployment ? Of(Deployment.Read(stored.Json))
        : kind == Kind.ReplicaSet ? Of(ReplicaSet.Read(stored.Json))
        : kind == Kind.Pod ? Of(Pod.Read(stored.Json))
        : new("", Done: true);

    private static Progress Of(Deployment x)
    {
        var (wanted, status) = (x.Spec.Replicas, x.Status);
        var waits = $"Waiting for deployment \"{x.Name}\" rollout to finish: ";
        if (status.ObservedGeneration < x.Metadata.Generation) return new("Waiting for deployment spec update to be observed...", false);
        if (status.Conditions.Any(c => c is { Type: "Progressing", Reason: "ProgressDeadlineExceeded" })) return new($"deployment \"{x.Name}\" exceeded its progress deadline", false, Failed: true);
        if (status.UpdatedReplicas < wanted) return new($"{waits}{status.UpdatedReplicas} out of {wanted} new replicas have been updated...", false);
        if (status.Replicas > status.UpdatedReplicas) return new($"{waits}{status.Replicas - status.UpdatedReplicas} old replicas are pending termination...", false);
        if (status.AvailableReplicas < status.UpdatedReplicas) return new($"{waits}{status.AvailableReplicas} of {status.UpdatedReplicas} updated replicas are available...", false);
        return new($"deployment \"{x.Name}\" successfully rolled out", Done: true);
    }

    private static Progress Of(ReplicaSet x) => x.Status.ObservedGeneration < x.Metadata.Generation || x.Status.AvailableReplicas < x.Spec.Replicas
        ? new($"Waiting for replicaset \"{x.Name}\": {x.Status.AvailableReplicas} of {x.Spec.Replicas} replicas are available...", false)
        : new($"replicaset \"{x.Name}\" has all replicas", Done: true);

    private static Progress Of(Pod x)
    {
        if (x.Status.Phase == "Failed") return new($"pod \"{x.Name}\" failed: {x.Status.Reason} {x.Status.Message}".TrimEnd(), false, Failed: true);
        if (x.IsReady || x.Status.Phase == "Succeeded") return new($"pod \"{x.Name}\" {(x.IsReady ? "is ready" : "has succeeded")}", Done: true);
        var why = x.Status.Conditions.FirstOrDefault(c => c is { Type: "PodScheduled", IsTrue: false })?.Message
            ?? x.Status.ContainerStatuses.Select(c => c.State.Waiting is { } w ? $"{c.Name}: {w.Reason}" : null).FirstOrDefault(c => c is not null)
            ?? $"phase {x.Status.Phase}, not ready";
        return new($"Waiting for pod \"{x.Name}\": {why}", false);
    }
}
