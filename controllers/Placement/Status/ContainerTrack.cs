using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol;
using MesosStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Controllers.Placement.Status;

/// <summary>What Mesos has said so far about one container's task in one attempt.</summary>
internal sealed record ContainerTrack
{
    public TaskState State { get; init; } = TaskState.TaskStaging;
    public MesosStatus.Types.Reason? Reason { get; init; }
    public string Message { get; init; } = "";
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }
    public string ContainerId { get; init; } = "";
    public string Ip { get; init; } = "";

    /// <summary>The health check's newest word; null where there is no check or no word yet.</summary>
    public bool? Healthy { get; init; }
    public Readiness Readiness { get; init; }

    /// <summary>The end as an earlier Placement has stored it; it says more than can be read back from <see cref="Message"/>.</summary>
    public ContainerStateTerminated? Stored { get; init; }

    public bool IsTerminal => State.IsTerminal();

    /// <summary>It runs, or may run where nobody can see it.</summary>
    public bool IsLive => State is TaskState.TaskRunning or TaskState.TaskKilling or TaskState.TaskUnreachable;

    public ContainerTrack After(MesosStatus status, Container container, DateTimeOffset now)
    {
        if (IsTerminal) return this; // duplicates and late words about an ended task
        var at = status.HasTimestamp ? At(status.Timestamp, now) : now;
        var track = this with
        {
            State = status.State,
            Reason = status.HasReason ? status.Reason : null,
            Message = status.Message,
            Healthy = status.HasHealthy ? status.Healthy : Healthy,
        };
        if (status.ContainerStatus is { } seen)
        {
            if (seen.ContainerId is { } id) track = track with { ContainerId = id.Value };
            if (Address(seen) is { Length: > 0 } ip) track = track with { Ip = ip };
        }
        // A reconciliation's timestamp is its own time, so an earlier start stands.
        if (status.State is TaskState.TaskRunning && StartedAt is null) track = track with { StartedAt = at };
        if (track.IsTerminal) track = track with { FinishedAt = at };
        if (container.ReadinessProbe is { } probe && Result(status.CheckStatus) is { } result) track = track with { Readiness = Readiness.After(result, at, probe) };
        return track;
    }

    /// <summary>null: no result yet. HTTP succeeds with 200–399, as the kubelet has it.</summary>
    private static bool? Result(CheckStatusInfo? check) => check?.Type switch
    {
        CheckInfo.Types.Type.Command when check.Command is { HasExitCode: true } command => command.ExitCode == 0,
        CheckInfo.Types.Type.Http when check.Http is { HasStatusCode: true } http => http.StatusCode is >= 200 and < 400,
        CheckInfo.Types.Type.Tcp when check.Tcp is { HasSucceeded: true } tcp => tcp.Succeeded,
        _ => null,
    };

    private static string Address(Mesos.Protocol.ContainerStatus status)
    {
        foreach (var network in status.NetworkInfos)
        {
            foreach (var address in network.IpAddresses)
            {
                if (address.IpAddress.Length > 0) return address.IpAddress;
            }
        }
        return "";
    }

    private static DateTimeOffset At(double seconds, DateTimeOffset now) =>
        double.IsFinite(seconds) && seconds is > 0 and < 253402300799 ? DateTimeOffset.UnixEpoch.AddTicks((long)(seconds * TimeSpan.TicksPerSecond)) : now;
}
