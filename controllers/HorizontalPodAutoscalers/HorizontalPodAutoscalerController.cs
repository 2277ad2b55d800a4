using System.Collections.Concurrent;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>
/// HorizontalPodAutoscaler and the usage of its pods → replicas of whatever has a scale subresource. Each autoscaler is looked at when it is made
/// and then once in a period; as in Kubernetes a change of it waits for the next look.
/// </summary>
internal static class HorizontalPodAutoscalerController
{
    public const string Name = "horizontal-pod-autoscaler";

    public static Task Run(IApi api, AutoscalerOptions options, TimeProvider time, Random random, ILogger logger, CancellationToken stop)
    {
        var histories = new ConcurrentDictionary<string, ScalingHistory>(StringComparer.Ordinal);
        var selectors = new ConcurrentDictionary<ObjectName, LabelSelector>();
        var autoscalers = new Informer<HorizontalPodAutoscaler>(api, Kind.HorizontalPodAutoscaler, HorizontalPodAutoscaler.Read, time, random) { KeepJson = true, Logger = logger };
        var controller = new Controller<ObjectName>(Name, api, time, Compute)
        {
            Views = [autoscalers],
            Events = new(api, Name, time, random) { Logger = logger },
            Logger = logger,
        };
        autoscalers.OnChange(change =>
        {
            if (change.Old is { } old && change.New?.Uid != old.Uid)
            {
                histories.TryRemove(old.Uid, out _);
                selectors.TryRemove(ObjectName.Of(old), out _);
            }
            if (change.New is { } added && change.Old?.Uid != added.Uid) controller.Queue.Add(ObjectName.Of(added));
        });
        return controller.Run(stop);

        async ValueTask<Plan> Compute(ObjectName key, CancellationToken stopped)
        {
            if (autoscalers.Entry(key.Namespace, key.Name) is not { } entry)
            {
                selectors.TryRemove(key, out _);
                return Plan.Nothing;
            }
            var autoscaler = entry.Object;
            var (target, error) = await ScaleTarget.Read(api, key.Namespace, autoscaler.Spec.ScaleTargetRef, stopped);
            var pods = (TargetPods?)null;
            var selectorError = (string?)null;
            if (target is not null && AutoscalerPlan.AsksMetrics(autoscaler, target)) (pods, selectorError) = await Pods(key, target.Selector, stopped);
            var plan = new AutoscalerPlan(autoscaler, entry.Json, histories.GetOrAdd(entry.Uid, _ => new()), options, time.GetUtcNow());
            if (target is null) return plan.WithoutTarget(error);
            if (pods is not null && Selecting(pods) is { Count: > 1 } several) return plan.WithOthers(target, several);
            return selectorError is null ? plan.Of(target, pods) : plan.WithoutSelector(target, selectorError);
        }

        // Those whose last selector selects one of the pods. A look that was on its way when its autoscaler went has left a selector.
        List<ObjectName> Selecting(TargetPods pods) =>
            [.. selectors.Where(x => x.Key.Namespace == pods.Namespace && autoscalers.Entry(x.Key.Namespace, x.Key.Name) is not null && pods.Pods.Any(pod => x.Value.Matches(pod.Metadata.Labels))).Select(x => x.Key).OrderBy(x => x.Name, StringComparer.Ordinal)];

        async Task<(TargetPods?, string?)> Pods(ObjectName of, string selector, CancellationToken stopped)
        {
            if (selector.Length == 0) return (null, "");
            LabelSelector parsed;
            try
            {
                parsed = LabelSelector.Parse(selector);
            }
            catch (ApiException e)
            {
                return (null, e.Message);
            }
            selectors[of] = parsed;
            return (await TargetPods.Read(api, of.Namespace, parsed, stopped), null);
        }
    }
}
