using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Disruption;

/// <summary>PodDisruptionBudget and its pods → how many evictions its status allows. The eviction itself takes them from the status.</summary>
internal static class DisruptionController
{
    public const string Name = "disruption-controller";

    public static Task Run(IApi api, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var budgets = new Informer<PodDisruptionBudget>(api, Kind.PodDisruptionBudget, PodDisruptionBudget.Read, time, random) { Logger = logger };
        var pods = new Informer<Pod>(api, Kind.Pod, Pod.Read, time, random) { Logger = logger };
        var controller = new Controller<ObjectName>(Name, api, time, Compute) { Views = [budgets, pods], Logger = logger };
        budgets.OnChange(change => controller.Queue.Add(ObjectName.Of(change.Object)));
        pods.OnChange(change =>
        {
            foreach (var pod in new[] { change.Old, change.New })
            {
                if (pod is null) continue;
                foreach (var budget in budgets.ListNamespace(pod.Namespace))
                {
                    if (budget.Selector.Matches(pod.Metadata.Labels)) controller.Queue.Add(ObjectName.Of(budget));
                }
            }
        });
        return controller.Run(stop);

        async ValueTask<Plan> Compute(ObjectName key, CancellationToken stopped)
        {
            if (budgets.Get(key.Namespace, key.Name) is not { } budget) return Plan.Nothing;
            List<Pod> selected = [.. pods.ListNamespace(key.Namespace).Where(x => budget.Selector.Matches(x.Metadata.Labels))];
            var (expected, failure) = DisruptionPlan.CountsControllers(budget.Spec) ? await Expected(api, selected, stopped) : (selected.Count, "");
            return DisruptionPlan.Compute(budget, selected, expected, failure, time.GetUtcNow());
        }
    }

    /// <summary>The wanted replicas of the pods' controllers, of a ReplicaSet's Deployment in its place; or why they can not be counted.</summary>
    private static async Task<(int Expected, string Failure)> Expected(IApi api, List<Pod> pods, CancellationToken stop)
    {
        var kinds = new Lazy<Task<IReadOnlyList<Kind>>>(() => StoredKinds.Read(api, stop));
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var expected = 0;
        foreach (var pod in pods)
        {
            if (pod.Metadata.Controller is not { } owner) return (0, $"found no controller ref for pod \"{pod.Name}\"");
            if (!seen.Add(owner.Uid)) continue;
            if (owner is { Kind: "ReplicaSet" } && await Read(api, ResourceKey.Of(Kind.ReplicaSet, pod.Namespace, owner.Name), stop) is { } set && set.Uid == owner.Uid && set.Metadata.Controller is { Kind: "Deployment" } deployment)
            {
                if (!seen.Add(deployment.Uid)) continue;
                owner = deployment;
            }
            var kind = StoredKinds.Find(owner.ApiVersion, owner.Kind) ?? (await kinds.Value).FirstOrDefault(x => x.Group == owner.ApiVersion.Split('/')[0] && x.Name == owner.Kind);
            if (kind is null || await Scale(api, ResourceKey.Of(kind, pod.Namespace, owner.Name), stop) is not { } replicas)
            {
                return (0, $"{owner.ApiVersion} {owner.Kind} does not implement the scale subresource");
            }
            expected += replicas;
        }
        return (expected, "");
    }

    private static async Task<ApiObject?> Read(IApi api, ResourceKey key, CancellationToken stop)
    {
        try
        {
            return ApiObject.Read((await api.Get(key, stop: stop)).Json);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return null;
        }
    }

    /// <summary>0 for a controller that is gone; null for a kind without scale.</summary>
    private static async Task<int?> Scale(IApi api, ResourceKey key, CancellationToken stop)
    {
        try
        {
            using var scale = System.Text.Json.JsonDocument.Parse((await api.Get(key, "scale", stop)).Json);
            return scale.RootElement.TryGetProperty("spec", out var spec) && spec.TryGetProperty("replicas", out var replicas) ? replicas.GetInt32() : 0;
        }
        catch (ApiException e) when (e.IsNotFound && e.Status.Name.Length > 0)
        {
            return 0;
        }
        catch (ApiException e) when (e.Code is 404 or 405)
        {
            return null;
        }
    }
}
