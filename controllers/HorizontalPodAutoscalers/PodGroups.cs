using Declarative.Api.Kinds;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>
/// The pods of a target by what their usage is worth (Kubernetes doc "Horizontal Pod Autoscaling", algorithm details): pods that go or have failed
/// do not count, pods that do not run yet or are not ready yet are set aside, and so are those of which nothing is told.
/// </summary>
internal sealed class PodGroups
{
    public int Ready { get; private set; }
    public List<Pod> Unready { get; } = [];
    public List<Pod> Missing { get; } = [];

    /// <summary>The usage of the ready pods, by name.</summary>
    public Dictionary<string, long> Milli { get; } = new(StringComparer.Ordinal);

    public static PodGroups Of(IReadOnlyList<Pod> pods, IReadOnlyDictionary<string, PodUsage> usages, string resource, AutoscalerOptions options, DateTimeOffset now)
    {
        var groups = new PodGroups();
        foreach (var pod in pods)
        {
            if (pod.Metadata.IsDeleting || pod.Status.Phase == "Failed") continue;
            if (pod.Status.Phase is "Pending" or "") groups.Unready.Add(pod);
            else if (!usages.TryGetValue(pod.Name, out var usage)) groups.Missing.Add(pod);
            else if (resource == "cpu" && IsUnready(pod, usage, options, now)) groups.Unready.Add(pod);
            else
            {
                groups.Ready++;
                groups.Milli.Add(pod.Name, usage.Milli);
            }
        }
        return groups;
    }

    /// <summary>A starting process may need much CPU: that says nothing of its load.</summary>
    private static bool IsUnready(Pod pod, PodUsage usage, AutoscalerOptions options, DateTimeOffset now)
    {
        if (pod.Status.Conditions.FirstOrDefault(x => x.Type == "Ready") is not { } ready || pod.Status.StartTime is not { } started) return true;
        var isFalse = ready.Status == "False";
        if (started + options.CpuInitializationPeriod > now) return isFalse || usage.At < ready.LastTransitionTime + usage.Window;
        return isFalse && started + options.InitialReadinessDelay > ready.LastTransitionTime; // never ready since its start
    }
}
