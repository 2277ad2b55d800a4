using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>The pods of a target and what they use, as far as anybody tells.</summary>
/// <param name="UsageError">Why nothing is told of any; "" where something is.</param>
internal sealed record TargetPods(string Namespace, IReadOnlyList<Pod> Pods, IReadOnlyList<PodMetrics> Usage, string UsageError)
{
    /// <summary>Both are asked for when an autoscaler is looked at, so that a platform without autoscalers follows no pods for them.</summary>
    public static async Task<TargetPods> Read(IApi api, string ns, LabelSelector selector, CancellationToken stop)
    {
        var pods = await api.List(new(Kind.Pod, ns) { Labels = selector }, stop);
        var (usage, error) = await Told(api, ns, selector, stop);
        return new(ns, [.. pods.Items.Select(x => Pod.Read(x.Json))], usage, error);
    }

    private static async Task<(IReadOnlyList<PodMetrics>, string)> Told(IApi api, string ns, LabelSelector selector, CancellationToken stop)
    {
        try
        {
            var list = await api.List(new(Kind.PodMetrics, ns) { Labels = selector }, stop);
            return list.Items.Count == 0 ? ([], "no metrics returned from resource metrics API") : ([.. list.Items.Select(x => PodMetrics.Read(x.Json))], "");
        }
        catch (ApiException e) when (!e.IsOutOfReach)
        {
            return ([], "unable to fetch metrics from resource metrics API: " + e.Message);
        }
    }
}
