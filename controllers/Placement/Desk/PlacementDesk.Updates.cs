using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Status;
using Declarative.Controllers.Placement.Tasks;
using Declarative.Mesos.Protocol;
using MesosStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Status updates: into the track, into the pod's status, and only then acknowledged.</summary>
internal sealed partial class PlacementDesk
{
    private void OnUpdate(MesosStatus status)
    {
        Count("updates");
        Log.Update(_parts.Logger, status.TaskId.Value, status.State.ToString(), status.Message);
        var now = Now;
        var ours = PodTask.TryParse(status.TaskId.Value, out var task);
        var record = ours ? _records.GetValueOrDefault(task.PodUid) : null;
        if (record is null || task.Attempt != record.Attempt || record.Phase is LaunchPhase.None or LaunchPhase.Ended)
        {
            OnStray(status);
            return;
        }
        record.AwaitsAnswer = false;
        // A second launch of the same id is refused with an error that bears the running task's id.
        if (status.State is TaskState.TaskError && !status.HasUuid && record.Track is { HasStarted: true }) return;
        Remember(record, status);
        if (record.Phase is LaunchPhase.Held or LaunchPhase.Intending) record.Phase = LaunchPhase.Sent; // it was taken after all
        record.Track ??= AttemptTrack.New(record.Pod, record.Attempt);
        var before = record.Track;
        record.Track = before.After(record.Pod, task, Meant(status, before), now);
        if (status.State is TaskState.TaskUnreachable) record.UnreachableSince ??= now;
        else record.UnreachableSince = null;
        if (status.State is TaskState.TaskRunning) _parts.Agents.Back(record.Agent);
        if (!before.HasStarted && record.Track.HasStarted && !record.Gone) Tell(record, warning: false, "Started", $"Started container {Names(record)}");
        if (record.Track.IsEnded) OnEnded(record, now);
        if (record.Gone)
        {
            FlushAcknowledgements(record);
            if (record.Phase is LaunchPhase.Ended) Forget(record);
            else if (record.UnreachableSince is null && status.State is not TaskState.TaskKilling) SendKills(record); // its KILL came too early: the agent was away
            return;
        }
        Step(record);
    }

    /// <summary>Answers to a reconciliation that say "there is no such task" say why it is not there only together with what was known before.</summary>
    private static MesosStatus Meant(MesosStatus status, AttemptTrack before)
    {
        var unknown = status.State is TaskState.TaskUnknown;
        var absent = unknown || status.State is TaskState.TaskGone && status.Reason is MesosStatus.Types.Reason.Reconciliation;
        if (!absent || before.HasStarted && !unknown) return status;
        var meant = status.Clone();
        // It never ran: an intent of an earlier Placement that did not reach an agent. Else the agent is gone, and it with it.
        meant.State = before.HasStarted ? TaskState.TaskLost : TaskState.TaskDropped;
        if (unknown) meant.Reason = MesosStatus.Types.Reason.AgentUnknown;
        return meant;
    }

    private void OnEnded(PodRecord record, DateTimeOffset now)
    {
        var track = record.Track!;
        End(record, Restarts.Decide(record.Pod, track));
        foreach (var container in track.Containers)
        {
            if (Ending.PortInUse(container) is > 0 and var port) BadPort(record, port, now);
            if (Ending.LimitsRefused(container)) Ledger(record.Agent).RefusesLimits = true;
        }
        if (record.Gone || record.Pod.Metadata.IsDeleting) return;
        ScheduleRestart(record, now);
        Count(record.Verdict.Outcome switch { Outcome.Restart => "restarts", Outcome.Failed => "failed", _ => "succeeded" });
        if (record.Verdict.Outcome is Outcome.Failed && record.Verdict.Reason.Length > 0) Tell(record, warning: true, record.Verdict.Reason, record.Verdict.Message);
        for (var i = 0; i < track.Containers.Count; i++)
        {
            var ended = Ending.Of(track.Containers[i]);
            if (ended.ExitCode == 0) continue;
            var how = ended.Signal > 0 ? $"signal {ended.Signal}" : $"exit code {ended.ExitCode}";
            Tell(record, warning: true, ended.Reason == "StartError" ? "Failed" : "Exited", $"Container {record.Pod.Spec.Containers[i].Name} ended: {ended.Reason} ({how}){(ended.Message.Length > 0 ? ": " + ended.Message : "")}");
        }
    }

    private void BadPort(PodRecord record, int port, DateTimeOffset now)
    {
        Ledger(record.Agent).BadPorts[port] = now + TimeSpan.FromMinutes(1);
        _book.Renew(record.Agent);
        Tell(record, warning: true, "PortInUse", $"port {port} of {record.Pod.Spec.NodeName} is taken by something else; another is tried");
        Count("ports-in-use");
    }

    /// <summary>An update that no pod waits for: an older attempt, a pod that is gone, a task that is not ours. What lives is killed.</summary>
    private void OnStray(MesosStatus status)
    {
        if (status.State is TaskState.TaskStaging or TaskState.TaskStarting or TaskState.TaskRunning)
        {
            Log.Stray(_parts.Logger, status.TaskId.Value);
            Count("strays");
            SendKill(status.TaskId.Value, status.AgentId?.Value ?? "", TimeSpan.Zero);
        }
        if (status.HasUuid && status.Uuid.Length > 0) Acknowledge(new(status.TaskId.Value, status.AgentId ?? new(), status.Uuid));
    }

    private static void Remember(PodRecord record, MesosStatus status)
    {
        // Updates made by the master carry no uuid: these are not acknowledged.
        if (!status.HasUuid || status.Uuid.Length == 0) return;
        var acknowledgement = new Acknowledgement(status.TaskId.Value, status.AgentId ?? new(), status.Uuid);
        if (!record.Acknowledgements.Contains(acknowledgement)) record.Acknowledgements.Add(acknowledgement);
    }

    /// <summary>Writes the pod's status where it differs from the stored one, then acknowledges what it tells.</summary>
    private void Refresh(PodRecord record)
    {
        if (record.Gone) return;
        if (record.Writing)
        {
            record.Dirty = true;
            return;
        }
        if (record.Phase is LaunchPhase.Intending || record.Phase is LaunchPhase.None && record.Unschedulable is null && record.ConfigError is null && record.Nominated == record.Pod.Status.NominatedNodeName) return;
        var now = Now;
        if (record.Pod.IsFinished && record.Phase is not LaunchPhase.Sent)
        {
            FlushAcknowledgements(record); // the end is stored
            return;
        }
        if (QuietAfterLaunch(record, now)) return;
        var input = new StatusInput
        {
            Attempt = record.Phase is LaunchPhase.None ? null : record.Track,
            HostIp = record.Agent.Length > 0 ? Ledger(record.Agent).Address : "",
            Verdict = record.Phase is LaunchPhase.Ended ? record.Verdict : default,
            Backoff = record.Backoff,
            RestartAt = record.RestartAt,
            Unschedulable = record.Unschedulable,
            ConfigError = record.ConfigError,
            NominatedNode = record.Nominated,
            Disrupted = record.Displaced is { IsOrdered: true } displaced ? (displaced.Goes, displaced.IsForMaintenance ? StatusMap.MaintenanceReason : StatusMap.PreemptionReason, displaced.Message) : null,
        };
        var why = WhyAnnotation(record);
        if (why is null && record.Stands is { } stands && ReferenceEquals(stands.Pod, record.Pod) && stands.Input == input)
        {
            FlushAcknowledgements(record);
            return;
        }
        var (status, lookAgain) = StatusMap.Compute(record.Pod, input, now);
        if (lookAgain is { } at) _agenda.Add(record, at);
        if (why is null && StatusPatch.Same(record.Pod.Status, status))
        {
            record.Stands = lookAgain is null ? (record.Pod, input) : null;
            FlushAcknowledgements(record);
            return;
        }
        Write(record, status, why);
    }

    /// <summary>A first launch says nothing until it runs: one write less for each pod, unless it takes long.</summary>
    private bool QuietAfterLaunch(PodRecord record, DateTimeOffset now)
    {
        if (record.Phase is not LaunchPhase.Sent || record.Attempt > 0 || record.SentAt is not { } sent || record.Pod.Metadata.IsDeleting) return false;
        if (record.Track is { } track && track.Containers.Any(x => x.IsLive || x.IsTerminal)) return false;
        // In a flood the writes that tell more come first.
        var quiet = _writes.Count > Options.WritesMax ? StatusAfterLaunchInFlood : StatusAfterLaunch;
        if (now >= sent + quiet) return false;
        _agenda.Add(record, sent + StatusAfterLaunch > now ? sent + StatusAfterLaunch : sent + quiet);
        FlushAcknowledgements(record); // STARTING changes nothing in the status
        return true;
    }

    private void Write(PodRecord record, PodStatus status, IReadOnlyDictionary<string, string?>? annotations)
    {
        record.Writing = true;
        record.Dirty = false;
        Acknowledgement[] told = [.. record.Acknowledgements];
        var patch = StatusPatch.Write(record.Uid, status, annotations);
        _writes.Add(async () =>
        {
            try
            {
                var stored = await _parts.Api.Patch(record.Key, PatchKind.Merge, patch, new() { Subresource = "status", FieldManager = "placement" }, _stop);
                return () => Written(record, status, annotations, stored.Revision, told);
            }
            catch (ApiException e)
            {
                return () => NotWritten(record, e);
            }
            catch (OperationCanceledException)
            {
                return static () => { };
            }
            catch (Exception e) // the connection to the API: what can break has many types, and the write is repeated for all
            {
                return () => Again(record, e.Message);
            }
        });
    }

    private void Written(PodRecord record, PodStatus status, IReadOnlyDictionary<string, string?>? annotations, long revision, Acknowledgement[] told)
    {
        record.Writing = false;
        record.WriteFailures = 0;
        Count("status-writes");
        if (revision > record.Revision)
        {
            var pod = record.Pod with { Status = status };
            if (annotations is not null) pod = pod with { Metadata = pod.Metadata with { Annotations = Merge(pod.Metadata.Annotations, annotations) } };
            record.Pod = pod;
            record.Revision = revision;
        }
        foreach (var acknowledgement in told)
        {
            if (record.Acknowledgements.Remove(acknowledgement)) Acknowledge(acknowledgement);
        }
        if (record.Gone) FlushAcknowledgements(record);
        else Step(record);
    }

    private static Dictionary<string, string> Merge(IReadOnlyDictionary<string, string> annotations, IReadOnlyDictionary<string, string?> changes)
    {
        var merged = new Dictionary<string, string>(annotations, StringComparer.Ordinal);
        foreach (var (key, value) in changes)
        {
            if (value is null) merged.Remove(key);
            else merged[key] = value;
        }
        return merged;
    }

    private void NotWritten(PodRecord record, ApiException error)
    {
        // Gone, or another pod of the same name: its informer says so too.
        if (error.IsNotFound || error.IsConflict)
        {
            record.Writing = false;
            if (record.Gone) FlushAcknowledgements(record);
            else _agenda.Add(record, Now + TimeSpan.FromMilliseconds(200));
            return;
        }
        Again(record, error.Message);
    }

    private void Again(PodRecord record, string why)
    {
        record.Writing = false;
        var delay = Client.Backoff.Exponential(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10), record.WriteFailures++);
        Log.WriteFailed(_parts.Logger, record.Key.ToString(), delay, why);
        _agenda.Add(record, Now + delay);
    }

    private void FlushAcknowledgements(PodRecord record)
    {
        foreach (var acknowledgement in record.Acknowledgements) Acknowledge(acknowledgement);
        record.Acknowledgements.Clear();
    }

    private static string Names(PodRecord record) => string.Join(", ", record.Pod.Spec.Containers.Select(x => x.Name));
}
