using System.Globalization;
using System.Text.RegularExpressions;
using Declarative.Api.Kinds;

namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>What one pod uses of one resource.</summary>
/// <param name="Milli">Thousandths of a CPU or of a byte.</param>
/// <param name="At">When the window ended.</param>
internal readonly partial record struct PodUsage(long Milli, DateTimeOffset At, TimeSpan Window)
{
    /// <summary>By the pods' names. A pod of which a container's usage is not told is left out, as is one without the named container.</summary>
    /// <param name="container">"" = all together.</param>
    public static Dictionary<string, PodUsage> Of(IEnumerable<PodMetrics> metrics, string resource, string container)
    {
        var usages = new Dictionary<string, PodUsage>(StringComparer.Ordinal);
        foreach (var pod in metrics)
        {
            List<ContainerMetrics> counted = [.. pod.Containers.Where(x => container.Length == 0 || x.Name == container)];
            if (counted.Count == 0 || !counted.All(x => x.Usage.ContainsKey(resource))) continue;
            usages[pod.Name] = new(counted.Sum(x => x.Usage[resource].Milli), pod.Timestamp, Duration(pod.Window));
        }
        return usages;
    }

    /// <summary>Go's form of a duration: numbers with units, such as 1m30.5s. What is none counts as no time.</summary>
    private static TimeSpan Duration(string text)
    {
        var seconds = 0.0;
        foreach (Match part in Part().Matches(text))
        {
            var unit = part.Groups[2].Value switch { "h" => 3600, "m" => 60, "s" => 1, "ms" => 1e-3, "us" or "µs" => 1e-6, _ => 1e-9 };
            seconds += double.Parse(part.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * unit;
        }
        return TimeSpan.FromSeconds(seconds);
    }

    [GeneratedRegex(@"(\d+(?:\.\d+)?)(h|ms|m|us|µs|ns|s)")]
    private static partial Regex Part();
}
