using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.GarbageCollection;

/// <summary>Owner references → deletions and the finalizers of propagation, for objects of every kind.</summary>
internal static class GarbageController
{
    public const string Name = "garbage-collector";

    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(500);

    public static async Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        ObjectGraph? graph = null;
        Controller<ResourceKey>? controller = null;
        graph = new(api, time, random, logger, Changed);
        controller = new(Name, api, time, Compute) { Views = graph.Views, Logger = logger };
        var following = graph.FollowDefinitions(stop);
        await controller.Run(stop);
        await following;

        void Changed(Kind kind, Change<ApiObject> change)
        {
            // Most changes are of a status: whose the object is, and whether it goes, they leave as it was.
            if (change is { Old: { } before, New: { } after } && SameToOwners(before.Metadata, after.Metadata)) return;
            var key = ResourceKey.Of(kind, change.Object.Namespace, change.Object.Name);
            if (change.New is { } now && (now.Metadata.OwnerReferences.Count > 0 || now.Metadata.IsDeleting)) controller!.Queue.Add(key);
            // Its end, or that it now waits for them, is a matter of its dependents.
            if (change.New is null || IsWaiting(change.New))
            {
                foreach (var dependent in graph!.Dependents(change.Object.Uid)) controller!.Queue.Add(dependent.Key);
            }
            // An owner may have waited for just this one.
            if (change.Old is null) return;
            foreach (var owner in change.Old.Metadata.OwnerReferences)
            {
                if (change.New is { } still && still.Metadata.OwnerReferences.Any(x => x.Uid == owner.Uid)) continue;
                if (graph!.KeyOf(owner, key) is { } ownerKey) controller!.Queue.Add(ownerKey);
            }
        }

        async ValueTask<Plan> Compute(ResourceKey key, CancellationToken stopped)
        {
            if (graph!.Find(key) is not { } x) return Plan.Nothing;
            var owners = new List<OwnerState>();
            if (x.Metadata.IsDeleting)
            {
                if (!graph.KnowsAll && x.Metadata.Finalizers.Any(f => f is GarbagePlan.Orphan or GarbagePlan.Foreground)) return new() { LookAgainIn = LookAgain };
            }
            else
            {
                foreach (var owner in x.Metadata.OwnerReferences) owners.Add(await graph.State(owner, key, stopped));
            }
            // Who depends on it matters only where it goes.
            return GarbagePlan.Compute(key, x, owners, owners.Contains(OwnerState.Present) ? [] : graph.Dependents(x.Uid));
        }
    }

    private static bool SameToOwners(ObjectMeta a, ObjectMeta b) =>
        a.IsDeleting == b.IsDeleting && a.Finalizers.SequenceEqual(b.Finalizers) && a.OwnerReferences.SequenceEqual(b.OwnerReferences);

    private static bool IsWaiting(ApiObject x) => x.Metadata.IsDeleting && x.Metadata.Finalizers.Contains(GarbagePlan.Foreground);
}
