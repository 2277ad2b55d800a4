using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry;

/// <summary>
/// pods/eviction: a deletion that a PodDisruptionBudget may refuse (Kubernetes doc "API-initiated Eviction"). What a budget allows stands in its
/// status; an eviction takes one from there by a conditional write, so that two at once never take the same one.
/// </summary>
internal static class Eviction
{
    private const string Refused = "Cannot evict pod as it would violate the pod's disruption budget.";
    private const string Cause = "DisruptionBudget";
    private const int RetryAfterSeconds = 10;

    /// <summary>Granted evictions that the controller has not yet seen, in one budget.</summary>
    private const int GrantsMax = 2000;

    public static async Task<Stored> Run(Registry registry, User user, ResourceKey key, JsonObject eviction, WriteOptions write, CancellationToken stop)
    {
        registry.Allow(user, "create", key, "eviction");
        if (Metadata.Name(eviction) is { Length: > 0 } name && name != key.Name) throw Status.BadRequest("name in URL does not match name in Eviction object");
        var options = eviction.Object("deleteOptions");
        var preconditions = options?.Object("preconditions");
        var delete = new DeleteOptions
        {
            GracePeriodSeconds = options?.Number("gracePeriodSeconds"),
            Uid = preconditions?.Text("uid") is { Length: > 0 } uid ? uid : null,
            Revision = preconditions?.Text("resourceVersion") is { Length: > 0 } text && long.TryParse(text, out var revision) ? revision : null,
            DryRun = write.DryRun || options?.List("dryRun")?.Any(x => x?.GetValueKind() == System.Text.Json.JsonValueKind.String && x.GetValue<string>() == "All") == true,
        };
        var pod = Pod.Read(registry.Current(key).Stored.Json);
        if (delete.Uid is { } asked && asked != pod.Uid) throw Status.Conflict(key.Kind, key.Name, $"Precondition failed: UID in precondition: {asked}, UID in object meta: {pod.Uid}");
        // A pod that does not run, or goes anyway, disrupts nobody.
        if (!pod.IsFinished && !pod.Metadata.IsDeleting && pod.Status.Phase != "Pending") await Take(registry, pod, delete.DryRun, stop);
        return await registry.Evict(user, key, delete, stop);
    }

    private static async Task Take(Registry registry, Pod pod, bool dryRun, CancellationToken stop)
    {
        var budgets = registry.Context.Log.Snapshot(Kind.PodDisruptionBudget).Objects
            .Where(x => x.Key.Namespace == pod.Namespace).Select(x => PodDisruptionBudget.Read(x.Value.Stored.Json))
            .Where(x => x.Selector.Matches(pod.Metadata.Labels)).ToList();
        if (budgets.Count == 0) return;
        if (budgets.Count > 1) throw new ApiException(new(500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."));
        var budget = budgets[0];
        if (!pod.IsReady)
        {
            if (budget.Spec.UnhealthyPodEvictionPolicy == "AlwaysAllow") return;
            // One that is not ready counts for no budget: while the budget is kept without it, it may go.
            if (budget.Status.ObservedGeneration >= budget.Metadata.Generation && budget.Status.DesiredHealthy > 0 && budget.Status.CurrentHealthy >= budget.Status.DesiredHealthy) return;
        }
        var key = new ResourceKey(Kind.PodDisruptionBudget, budget.Namespace, budget.Name);
        await registry.Change(User.ApiServer, key, new() { Subresource = "status", DryRun = dryRun }, current =>
        {
            var now = PodDisruptionBudget.Read(current.Json);
            Check(now);
            var json = Canonical.Parse(current.Json);
            Metadata.Of(json).Remove("resourceVersion");
            var status = json.Need("status");
            status["disruptionsAllowed"] = now.Status.DisruptionsAllowed - 1;
            status.Need("disruptedPods")[pod.Name] = Metadata.Time(registry.Context.Time.GetUtcNow());
            if (now.Status.DisruptionsAllowed == 1) NoneLeft(status, registry.Context.Time.GetUtcNow());
            return json;
        }, stop);
    }

    private static void Check(PodDisruptionBudget budget)
    {
        var status = budget.Status;
        if (status.ObservedGeneration < budget.Metadata.Generation)
        {
            throw TooMany($"The disruption budget {budget.Name} is still being processed by the server.", RetryAfterSeconds);
        }
        if (status.DisruptionsAllowed < 0) throw Status.Forbidden(Kind.PodDisruptionBudget, budget.Name, "pdb disruptions allowed is negative");
        if (status.DisruptedPods.Count > GrantsMax) throw Status.Forbidden(Kind.PodDisruptionBudget, budget.Name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
        if (status.DisruptionsAllowed > 0) return;
        var failed = status.Conditions.FirstOrDefault(x => x is { Type: "DisruptionAllowed", Status: "False", Reason: "SyncFailed" });
        throw TooMany(failed is not null
            ? $"The disruption budget {budget.Name} does not allow evicting pods currently because it failed sync: {failed.Message}"
            : $"The disruption budget {budget.Name} needs {status.DesiredHealthy} healthy pods and has {status.CurrentHealthy} currently", 0);
    }

    private static ApiException TooMany(string why, int retryAfterSeconds) =>
        new(new(429, StatusReason.TooManyRequests, Refused) { Causes = [new(Cause, why, "")], RetryAfterSeconds = retryAfterSeconds });

    private static void NoneLeft(JsonObject status, DateTimeOffset now)
    {
        foreach (var condition in (status.List("conditions") ?? []).OfType<JsonObject>())
        {
            if (condition.Text("type") != "DisruptionAllowed") continue;
            condition["status"] = "False";
            condition["reason"] = "InsufficientPods";
            condition["lastTransitionTime"] = Metadata.Time(now);
        }
    }
}
