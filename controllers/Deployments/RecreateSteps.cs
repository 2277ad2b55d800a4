using Declarative.Api.Kinds;

namespace Declarative.Controllers.Deployments;

/// <summary>Recreate: all old pods go, and only when the last one is gone do new ones come.</summary>
internal static class RecreateSteps
{
    public static void Step(Rollout rollout, Func<string, bool> isNameTaken, Func<ReplicaSet, int> podsOf)
    {
        var wasActive = false;
        foreach (var set in rollout.Old)
        {
            if (set.Replicas == 0) continue;
            wasActive = true;
            rollout.Scale(set, 0);
        }
        if (wasActive || rollout.Old.Any(x => podsOf(x.Set) > 0)) return;
        if (rollout.New is null) rollout.CreateNew(rollout.Wanted, DeploymentPlan.NextRevision(rollout), isNameTaken);
        else rollout.Scale(rollout.New, rollout.Wanted);
    }
}
