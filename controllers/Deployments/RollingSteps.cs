namespace Declarative.Controllers.Deployments;

/// <summary>One step of a rolling update: up with the new set as far as the surge allows, else down with the old ones as far as availability does.</summary>
internal static class RollingSteps
{
    public static void Step(Rollout rollout, Func<string, bool> isNameTaken)
    {
        if (rollout.New is null)
        {
            rollout.CreateNew(Room(rollout, 0), DeploymentPlan.NextRevision(rollout), isNameTaken);
            return;
        }
        var before = rollout.New.Replicas;
        rollout.Scale(rollout.New, before > rollout.Wanted ? rollout.Wanted : before + Room(rollout, before));
        // One direction at a time: the next plan sees the pods of this one.
        if (rollout.New.Replicas != before) return;
        Shrink(rollout, rollout.New);
    }

    /// <summary>How many more pods the new set may have.</summary>
    private static int Room(Rollout rollout, int have) =>
        Math.Max(0, Math.Min(rollout.Wanted + rollout.Surge - rollout.Most, rollout.Wanted - have));

    private static void Shrink(Rollout rollout, OwnedSet current)
    {
        var minAvailable = rollout.Wanted - rollout.MaxUnavailable;
        // Pods of the new set that are not available yet may not be paid for with available old ones.
        var most = rollout.Total - minAvailable - (current.Replicas - current.Available);
        if (most <= 0) return;

        // Pods that do not work cost nothing: they go first.
        var target = rollout.Old.ToDictionary(x => x.Name, x => x.Replicas);
        var left = most;
        foreach (var set in rollout.Old)
        {
            var broken = Math.Min(left, set.Replicas - set.Available);
            target[set.Name] -= broken;
            left -= broken;
        }
        // Then available ones, oldest set first, down to the least that must be available.
        var spare = Math.Min(left, rollout.All.Sum(x => Math.Min(x.Available, target.GetValueOrDefault(x.Name, x.Replicas))) - minAvailable);
        foreach (var set in rollout.Old)
        {
            if (spare <= 0) break;
            var down = Math.Min(target[set.Name], spare);
            target[set.Name] -= down;
            spare -= down;
        }
        foreach (var set in rollout.Old)
        {
            if (target[set.Name] != set.Replicas) rollout.Scale(set, target[set.Name]);
        }
    }
}
