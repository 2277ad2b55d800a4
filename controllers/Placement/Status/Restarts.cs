using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Status;

internal enum Outcome
{
    /// <summary>A task of the attempt may still run.</summary>
    Goes,
    Restart,
    Succeeded,
    Failed,
}

/// <summary>What follows from the end of an attempt.</summary>
/// <param name="Immediate">Restart without back-off: the task never ran, and not by its own fault.</param>
internal readonly record struct Verdict(Outcome Outcome, string Reason = "", string Message = "", bool Immediate = false);

/// <summary>Restart policy and back-off as the kubelet has them (Kubernetes doc "Pod Lifecycle", container restarts).</summary>
internal static class Restarts
{
    public static readonly TimeSpan BackoffFirst = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan BackoffMax = TimeSpan.FromMinutes(5);

    /// <summary>A container that ran this long starts over with the first delay.</summary>
    public static readonly TimeSpan BackoffReset = TimeSpan.FromMinutes(10);

    /// <param name="failures">Restarts since the last reset; the first is at once.</param>
    public static TimeSpan Delay(int failures) =>
        failures <= 0 ? TimeSpan.Zero : Client.Backoff.Exponential(BackoffFirst, BackoffMax, failures - 1);

    /// <summary>
    /// How long a pod may be on an agent that the master cannot see: what it tolerates of node.kubernetes.io/unreachable, 5 minutes where it
    /// says nothing (Kubernetes' DefaultTolerationSeconds); null = for ever.
    /// </summary>
    public static TimeSpan? Toleration(Pod pod)
    {
        var taint = new Taint { Key = "node.kubernetes.io/unreachable", Effect = "NoExecute" };
        var tolerations = pod.Spec.Tolerations.Where(x => x.Tolerates(taint)).ToList();
        if (tolerations.Count == 0) return TimeSpan.FromMinutes(5);
        return tolerations.Any(x => x.TolerationSeconds is null) ? null : TimeSpan.FromSeconds(tolerations.Max(x => x.TolerationSeconds!.Value));
    }

    public static bool Resets(AttemptTrack attempt) =>
        attempt.Containers.Any(x => x is { StartedAt: { } started, FinishedAt: { } finished } && finished - started >= BackoffReset);

    public static Verdict Decide(Pod pod, AttemptTrack attempt)
    {
        if (!attempt.IsEnded) return new(Outcome.Goes);
        var lost = attempt.Containers.FirstOrDefault(Ending.IsAgentLost);
        if (lost is not null) return new(Outcome.Failed, "NodeLost", lost.Message.Length > 0 ? lost.Message : "the agent is gone");
        // The operator empties the agent (DRAIN_AGENT): there is nothing to come back to.
        if (attempt.Containers.Any(x => x.Reason is Mesos.Protocol.TaskStatus.Types.Reason.AgentDraining)) return new(Outcome.Failed, "AgentDraining", "the agent is drained; the pod's owner replaces it");
        if (attempt.Containers.All(x => Ending.NeverRan(x) && x.State is TaskState.TaskDropped)) return new(Outcome.Restart, Immediate: true);
        if (attempt.Containers.Any(x => Ending.PortInUse(x) > 0)) return new(Outcome.Restart, Immediate: true);
        var failed = attempt.Containers.FirstOrDefault(x => Ending.Of(x).ExitCode != 0);
        return pod.Spec.RestartPolicy switch
        {
            "Never" or "OnFailure" when failed is null => new(Outcome.Succeeded),
            "Never" => new(Outcome.Failed, "", ""),
            _ => new(Outcome.Restart),
        };
    }
}
