using System.Globalization;
using Declarative.Api.Kinds;

namespace Declarative.Controllers.Workloads;

/// <summary>What workload controllers ask of a pod.</summary>
internal static class PodFacts
{
    public const string DeletionCost = "controller.kubernetes.io/pod-deletion-cost";

    /// <summary>Counts as a replica: not finished and not on its way out.</summary>
    public static bool IsActive(this Pod pod) => !pod.IsFinished && !pod.Metadata.IsDeleting;

    public static DateTimeOffset? ReadySince(this Pod pod) =>
        pod.Status.Conditions.FirstOrDefault(x => x.Type == "Ready" && x.IsTrue)?.LastTransitionTime;

    /// <summary>Ready for at least minReadySeconds. <paramref name="in"/> says how long until then for a pod that is ready but not that long.</summary>
    public static bool IsAvailable(this Pod pod, int minReadySeconds, DateTimeOffset now, out TimeSpan? @in)
    {
        @in = null;
        if (!pod.IsReady) return false;
        if (minReadySeconds == 0) return true;
        if (pod.ReadySince() is not { } since) return false;
        var left = since.AddSeconds(minReadySeconds) - now;
        if (left <= TimeSpan.Zero) return true;
        @in = left;
        return false;
    }

    public static int Restarts(this Pod pod) => pod.Status.ContainerStatuses.Sum(x => x.RestartCount);

    public static int Cost(this Pod pod) =>
        pod.Metadata.Annotations.TryGetValue(DeletionCost, out var text) && int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var cost) ? cost : 0;
}
