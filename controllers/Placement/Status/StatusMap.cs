using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.Placement.Tasks;
using Declarative.Mesos.Protocol;

namespace Declarative.Controllers.Placement.Status;

/// <summary>What the status of a pod is computed from, beside the pod itself.</summary>
internal sealed record StatusInput
{
    public AttemptTrack? Attempt { get; init; }

    /// <summary>The agent's address, used where Mesos names none for the task.</summary>
    public string HostIp { get; init; } = "";

    public Verdict Verdict { get; init; }

    /// <summary>While an ended attempt waits for the next: until when, and how long the wait is in all.</summary>
    public DateTimeOffset? RestartAt { get; init; }
    public TimeSpan Backoff { get; init; }

    /// <summary>Why the pod has no place (PodScheduled=False); null where that is not known or not so.</summary>
    public string? Unschedulable { get; init; }

    /// <summary>Why the task cannot be built (a missing ConfigMap …): the waiting reason and message of the containers.</summary>
    public string? ConfigError { get; init; }

    /// <summary>The node where room is being made for the pod; "" = none.</summary>
    public string NominatedNode { get; init; } = "";

    /// <summary>The pod is to go by a disruption (true), or was but stays (false); null where nothing is said.</summary>
    public (bool Goes, string Reason, string Message)? Disrupted { get; init; }
}

/// <param name="LookAgain">When the status changes by the mere passing of time.</param>
internal readonly record struct StatusResult(PodStatus Status, DateTimeOffset? LookAgain);

/// <summary>The status of a pod from what Mesos has said about its tasks. Pure: the same input gives the same status.</summary>
internal static class StatusMap
{
    public const string GroupCondition = "declarative.mesos/RestartsTogether";

    /// <summary>Kubernetes' condition of a pod that goes by a disruption, and its reason where a scheduler wants the room.</summary>
    public const string DisruptionTarget = "DisruptionTarget";
    public const string PreemptionReason = "PreemptionByScheduler";

    /// <summary>Where its Mesos agent is to be unavailable.</summary>
    public const string MaintenanceReason = "AgentMaintenance";

    public static StatusResult Compute(Pod pod, StatusInput input, DateTimeOffset now)
    {
        DateTimeOffset? lookAgain = null;
        var placed = pod.Spec.NodeName.Length > 0;
        var containers = new List<Api.Kinds.ContainerStatus>(pod.Spec.Containers.Count);
        for (var i = 0; i < pod.Spec.Containers.Count; i++)
        {
            if (!placed && input.ConfigError is null) break;
            containers.Add(Container(pod, i, input, now, ref lookAgain));
        }
        var phase = Phase(pod, input, placed);
        var status = new PodStatus
        {
            Phase = phase,
            Reason = input.Verdict.Outcome is Outcome.Failed ? input.Verdict.Reason : "",
            Message = input.Verdict.Outcome is Outcome.Failed ? input.Verdict.Message : "",
            HostIP = placed ? First(input.HostIp, pod.Status.HostIP) : "",
            PodIP = input.Attempt is { } attempt ? First(attempt.Ip, attempt.HasStarted ? First(pod.Status.PodIP, input.HostIp) : pod.Status.PodIP) : pod.Status.PodIP,
            StartTime = placed ? pod.Status.StartTime ?? now : null,
            NominatedNodeName = placed ? "" : input.NominatedNode,
            ContainerStatuses = containers,
            Conditions = Conditions(pod, input, phase, containers, placed, now),
        };
        return new(status, lookAgain);
    }

    private static Api.Kinds.ContainerStatus Container(Pod pod, int index, StatusInput input, DateTimeOffset now, ref DateTimeOffset? lookAgain)
    {
        var spec = pod.Spec.Containers[index];
        var old = pod.Status.ContainerStatuses.FirstOrDefault(x => x.Name == spec.Name);
        var status = new Api.Kinds.ContainerStatus { Name = spec.Name, Image = spec.Image, Started = false, RestartCount = input.Attempt?.Attempt ?? old?.RestartCount ?? 0 };
        status = status with { LastState = Last(old, status.RestartCount), ContainerID = old?.ContainerID ?? "" };
        if (input.ConfigError is { } error) return status with { State = Waiting("CreateContainerConfigError", error) };
        if (input.Attempt is not { } attempt) return old ?? status with { State = Waiting("ContainerCreating") };
        var track = attempt.Containers[index];
        if (Ending.ContainerId(track) is { Length: > 0 } id) status = status with { ContainerID = id };
        if (track.IsTerminal)
        {
            var terminated = new ContainerState { Terminated = Ending.Of(track) };
            if (input.Verdict.Outcome is not Outcome.Restart) return status with { State = terminated };
            // Without back-off the end itself is shown until the next attempt begins.
            if (input.Backoff <= TimeSpan.Zero) return status with { State = terminated };
            var message = $"back-off {Text(input.Backoff)} restarting failed container={spec.Name} pod={pod.Name}_{pod.Namespace}({pod.Uid})";
            return status with { State = Waiting("CrashLoopBackOff", message), LastState = terminated };
        }
        if (!track.IsLive) return status with { State = Waiting("ContainerCreating") };
        var started = spec.StartupProbe is null || track.Healthy == true;
        var ready = started && track.State is TaskState.TaskRunning or TaskState.TaskKilling;
        if (ready && ProbeMap.HasCheck(spec))
        {
            ready = track.Readiness.IsReady(spec.ReadinessProbe!, now, out var again);
            if (again is { } at && (lookAgain is null || at < lookAgain)) lookAgain = at;
        }
        return status with { Ready = ready, Started = started, State = new() { Running = new() { StartedAt = track.StartedAt } } };
    }

    private static string Phase(Pod pod, StatusInput input, bool placed) => input.Verdict.Outcome switch
    {
        Outcome.Succeeded => "Succeeded",
        Outcome.Failed => "Failed",
        _ when !placed => "Pending",
        Outcome.Restart => input.Attempt is { Attempt: > 0 } or { HasStarted: true } ? "Running" : "Pending",
        _ => input.Attempt is { Attempt: > 0 } or { HasStarted: true } ? "Running" : pod.Status.Phase is "Running" ? "Running" : "Pending",
    };

    private static List<Condition> Conditions(Pod pod, StatusInput input, string phase, List<Api.Kinds.ContainerStatus> containers, bool placed, DateTimeOffset now)
    {
        var conditions = new List<Condition>();
        if (placed) Add("PodScheduled", "True");
        else if (input.Unschedulable is { } why) Add("PodScheduled", "False", "Unschedulable", why);
        if (placed || input.ConfigError is not null)
        {
            Add("Initialized", "True");
            var unready = containers.Where(x => !x.Ready).Select(x => x.Name).ToList();
            var unreachable = input.Attempt?.Containers.FirstOrDefault(x => x.State is TaskState.TaskUnreachable);
            var (ready, reason, message) = phase == "Succeeded" ? ("False", "PodCompleted", "")
                : phase == "Failed" ? ("False", "PodFailed", "")
                : unreachable is not null ? ("Unknown", "AgentUnreachable", $"the master has lost contact with the pod's agent: {unreachable.Message}")
                : unready.Count == 0 ? ("True", "", "")
                : ("False", "ContainersNotReady", $"containers with unready status: [{string.Join(' ', unready)}]");
            Add("ContainersReady", ready, reason, message);
            Add("Ready", ready, reason, message);
            if (pod.Spec.Containers.Count > 1) Add(GroupCondition, "True", "TaskGroup", "the containers are one Mesos task group: when one fails all restart together");
        }
        if (input.Disrupted is { } disrupted) Add(DisruptionTarget, disrupted.Goes ? "True" : "False", disrupted.Reason, disrupted.Message);
        foreach (var other in pod.Status.Conditions)
        {
            if (!conditions.Exists(x => x.Type == other.Type)) conditions.Add(other);
        }
        return conditions;

        void Add(string type, string status, string reason = "", string message = "")
        {
            var old = pod.Status.Conditions.FirstOrDefault(x => x.Type == type);
            var since = old is not null && old.Status == status ? old.LastTransitionTime : now;
            conditions.Add(new() { Type = type, Status = status, Reason = reason, Message = message, LastTransitionTime = since });
        }
    }

    /// <summary>The end of the attempt before: the stored status tells it until the new attempt's first status replaces it.</summary>
    private static ContainerState Last(Api.Kinds.ContainerStatus? old, int attempt)
    {
        if (old is null) return new();
        if (old.RestartCount < attempt && old.State.Terminated is { } ended) return new() { Terminated = ended };
        return old.LastState;
    }

    private static ContainerState Waiting(string reason, string message = "") => new() { Waiting = new() { Reason = reason, Message = message } };

    private static string First(string a, string b) => a.Length > 0 ? a : b;

    private static string Text(TimeSpan time) => time.TotalMinutes >= 1 ? $"{(int)time.TotalMinutes}m{time.Seconds}s" : $"{(int)time.TotalSeconds}s";
}
