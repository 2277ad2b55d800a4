using System.Globalization;
using Declarative.Api.Kinds;

namespace Declarative.Controllers.Jobs;

/// <summary>What spec.podFailurePolicy says of a failed pod (Kubernetes doc "Pod failure policy").</summary>
/// <param name="Action">Count where no rule matches.</param>
/// <param name="Message">Which rule matched and why; for FailJob.</param>
internal readonly record struct FailureVerdict(FailureAction Action, string Message = "");

internal enum FailureAction
{
    Count,
    Ignore,
    FailIndex,
    FailJob,
}

/// <summary>The first rule that matches a pod decides.</summary>
internal static class FailureRules
{
    public static FailureVerdict Of(Job job, Pod pod)
    {
        if (job.Spec.PodFailurePolicy is not { } policy) return new(FailureAction.Count);
        for (var i = 0; i < policy.Rules.Count; i++)
        {
            var rule = policy.Rules[i];
            if (Matched(rule, pod) is not { } why || !Enum.TryParse<FailureAction>(rule.Action, out var action)) continue;
            return new(action, string.Create(CultureInfo.InvariantCulture, $"{why} matching {rule.Action} rule at index {i}"));
        }
        return new(FailureAction.Count);
    }

    private static string? Matched(PodFailurePolicyRule rule, Pod pod)
    {
        if (rule.OnExitCodes is { } codes)
        {
            foreach (var status in pod.Status.ContainerStatuses)
            {
                if (codes.ContainerName.Length > 0 && codes.ContainerName != status.Name || status.State.Terminated is not { ExitCode: not 0 } ended) continue;
                if (codes.Values.Contains(ended.ExitCode) == (codes.Operator == "In"))
                {
                    return string.Create(CultureInfo.InvariantCulture, $"Container {status.Name} for pod {pod.Namespace}/{pod.Name} failed with exit code {ended.ExitCode}");
                }
            }
            return null;
        }
        var pattern = rule.OnPodConditions.FirstOrDefault(x => pod.Status.Conditions.Any(y => y.Type == x.Type && y.Status == x.Status));
        return pattern is null ? null : $"Pod {pod.Namespace}/{pod.Name} has condition {pattern.Type}";
    }
}
