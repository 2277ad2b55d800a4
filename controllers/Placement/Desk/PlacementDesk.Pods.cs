using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Status;
using Declarative.Controllers.Placement.Volumes;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Pods: their arrival, their next step, their end.</summary>
internal sealed partial class PlacementDesk
{
    private void OnPod(Change<Pod> change)
    {
        var pod = change.Object;
        if (change.New is null)
        {
            if (_records.TryGetValue(pod.Uid, out var gone)) OnGone(gone);
            return;
        }
        if (!_records.TryGetValue(pod.Uid, out var record))
        {
            record = new(ResourceKey.Of(Kind.Pod, pod.Namespace, pod.Name), pod.Uid) { Pod = pod, Revision = change.Revision, Order = _order++ };
            _records.Add(pod.Uid, record);
            if (pod.Spec.NodeName.Length == 0) record.Nominated = pod.Status.NominatedNodeName;
            NoteClaims(record);
            Adopt(record);
        }
        else if (change.Revision < record.Revision)
        {
            return; // older than what our own last write returned
        }
        record.Pod = pod;
        record.Revision = change.Revision;
        Stand(record);
        Step(record);
    }

    /// <summary>A pod seen for the first time in this term: what has been done with it stands in its annotation and its status.</summary>
    private void Adopt(PodRecord record)
    {
        var pod = record.Pod;
        if (pod.Task is not { Id.Length: > 0 } task) return;
        record.Attempt = task.Attempt;
        record.Agent = task.Agent;
        record.Ports = task.Ports;
        if (pod.IsFinished)
        {
            record.Phase = LaunchPhase.Ended;
            record.Verdict = new(pod.Status.Phase == "Succeeded" ? Outcome.Succeeded : Outcome.Failed, pod.Status.Reason, pod.Status.Message);
            return;
        }
        record.Failures = Math.Min(task.Attempt, 6);
        record.Track = StoredTrack.Read(pod, task.Attempt);
        if (record.Track.IsEnded)
        {
            record.Phase = LaunchPhase.Ended;
            record.Verdict = Restarts.Decide(pod, record.Track);
            ScheduleRestart(record, Now);
            return;
        }
        if (!pod.Metadata.IsDeleting && pod.Status.Conditions.Any(x => x is { Type: StatusMap.DisruptionTarget, Reason: StatusMap.PreemptionReason, IsTrue: true }))
        {
            // Told by a Placement that ended before the eviction: whoever still needs the room asks anew.
            record.Displaced = new("", violates: false, "the preemption was not carried out") { Goes = false, IsOrdered = true };
        }
        record.Phase = LaunchPhase.Sent;
        TakeRoom(record, Demand.Of(pod.Spec).Total);
        AskLater(record);
        Count("adopted");
    }

    /// <summary>Brings a pod one step further from what is known now. Called after everything that may matter to it, and may be called too often.</summary>
    private void Step(PodRecord record)
    {
        if (record.Gone)
        {
            if (record.MayLive && record.KilledAt is not null && record.UnreachableSince is null) KillAgainIfSilent(record, Now);
            return;
        }
        var now = Now;
        GiveUpUnreachable(record, now);
        if (record.Pod.Metadata.IsDeleting)
        {
            StopWaiting(record);
            Unnominate(record);
            StepDeleting(record);
            return;
        }
        switch (record.Phase)
        {
            case LaunchPhase.None:
                StepUnplaced(record, now);
                break;
            case LaunchPhase.Held:
                WaitPinned(record, now);
                break;
            case LaunchPhase.Ended when record.Verdict.Outcome is Outcome.Restart:
                if (record.RestartAt is { } at && at > now) _agenda.Add(record, at);
                else WaitPinned(record, now);
                break;
            default:
                StopWaiting(record);
                if (record.Phase is LaunchPhase.Sent && record.SilentUntil <= now) AskIfSilent(record);
                break;
        }
        StepClosing(record, now);
        Refresh(record);
        OrderVictims(record);
        StepDisplaced(record);
    }

    /// <summary>
    /// A task that nobody can see for longer than the pod tolerates counts as lost, so that its owner replaces it; should it come back, it is
    /// killed as a stray. At once where the agent has come back under a new id: then it does not know its old tasks.
    /// </summary>
    private void GiveUpUnreachable(PodRecord record, DateTimeOffset now)
    {
        if (record.Phase is not LaunchPhase.Sent || record.UnreachableSince is not { } since) return;
        if (!_superseded.Contains(record.Agent))
        {
            if (Restarts.Toleration(record.Pod) is not { } tolerated) return;
            if (now < since + tolerated)
            {
                _agenda.Add(record, since + tolerated);
                return;
            }
        }
        End(record, new(Outcome.Failed, "NodeLost", $"agent {record.Agent} has been unreachable since {StatusPatch.Time(since)}"));
        _draining.Remove(record);
        Tell(record, warning: true, "NodeLost", record.Verdict.Message);
        Count("given-up");
    }

    private void AskIfSilent(PodRecord record)
    {
        record.SilentUntil = null;
        if (record.Track is { } track && track.Containers.Any(x => x.State is not Mesos.Protocol.TaskState.TaskStaging)) return;
        AskLater(record);
    }

    private void StepUnplaced(PodRecord record, DateTimeOffset now)
    {
        var pod = record.Pod;
        if (pod.IsFinished || !Options.SchedulerNames.Contains(pod.Spec.SchedulerName)) return;
        if (record.RetryAt is { } retry && retry > now)
        {
            StopWaiting(record);
            _agenda.Add(record, retry);
            return;
        }
        if (pod.Spec.NodeName.Length == 0)
        {
            Wait(record, "", now);
            return;
        }
        // The manifest names its node: there is nothing to bind, and only that agent will do.
        if (_agentOfNode.TryGetValue(pod.Spec.NodeName, out var agent)) Wait(record, agent, now);
        else _agenda.Add(record, now + TimeSpan.FromSeconds(5));
    }

    /// <summary>The pod has run on its agent, or its intent names it: it waits for room there, and not for ever.</summary>
    private void WaitPinned(PodRecord record, DateTimeOffset now)
    {
        if (record.RetryAt is { } retry && retry > now)
        {
            StopWaiting(record);
            _agenda.Add(record, retry);
            return;
        }
        record.PinnedUntil ??= now + Options.RestartWait;
        if (now >= record.PinnedUntil)
        {
            StopWaiting(record);
            var node = record.Pod.Spec.NodeName;
            End(record, new(Outcome.Failed, "ResourcesTaken", $"{node} offered no room to start the pod again for {Options.RestartWait.TotalSeconds:0} s; its owner replaces it"));
            Tell(record, warning: true, "ResourcesTaken", record.Verdict.Message);
            Count("resources-taken");
            return;
        }
        _agenda.Add(record, record.PinnedUntil.Value);
        Wait(record, record.Agent, now);
    }

    private void Wait(PodRecord record, string agent, DateTimeOffset now)
    {
        if (!record.IsWaiting && LacksRole(record, now)) return;
        var keep = record.Phase is LaunchPhase.Held ? record.Ports : null;
        var volumes = record.Claims.Count == 0 ? VolumeNeeds.None : NeedsOf(record);
        if (record.Waiting is null || record.Waiting.PinnedAgent != agent || record.Waiting.KeptPorts != keep || record.Waiting.Volumes.Key != volumes.Key)
        {
            record.Waiting = new(record.Pod, agent, keep, volumes);
            if (record.IsWaiting)
            {
                _news = true;
                Widen(State(record.Role), record.Waiting);
            }
        }
        record.Waiting.NominatedAgent = record.Nominated.Length > 0 ? _agentOfNode.GetValueOrDefault(record.Nominated) ?? "" : "";
        if (record.IsWaiting) return;
        record.IsWaiting = true;
        record.WaitingSince = now;
        record.AccountTrustedUntil = now + AccountTrustedFor;
        record.WhyNext = now + WhyAfter;
        if (_explainDue is null || _explainDue > record.WhyNext) ExplainAt(record, record.WhyNext);
        if (_waiting.Count == 0) GatherBurst(now);
        _waiting.Add(record);
        _news = true;
        var state = State(record.Role);
        state.Waiting++;
        state.Hurry();
        Widen(state, record.Waiting);
    }

    private void StopWaiting(PodRecord record)
    {
        if (!record.IsWaiting) return;
        record.IsWaiting = false;
        _waiting.Remove(record);
        State(record.Role).Waiting--;
    }

    /// <summary>All tasks of the attempt have ended, or none will ever start.</summary>
    private void End(PodRecord record, Verdict verdict)
    {
        record.Phase = LaunchPhase.Ended;
        record.Verdict = verdict;
        record.AwaitsAnswer = false;
        FreeRoom(record);
    }

    private void ScheduleRestart(PodRecord record, DateTimeOffset now)
    {
        record.PinnedUntil = null;
        if (record.Verdict.Outcome is not Outcome.Restart) return;
        if (record.Verdict.Immediate)
        {
            // Not the program's fault, so not its back-off; but an agent that drops everything must not be asked in a loop.
            record.Backoff = TimeSpan.Zero;
            record.RestartAt = record.Drops == 0 ? now : now + Client.Backoff.Exponential(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(10), record.Drops - 1);
            record.Drops++;
            return;
        }
        var track = record.Track!;
        if (Restarts.Resets(track)) record.Failures = 0;
        record.Backoff = Restarts.Delay(record.Failures++);
        var ended = track.Containers.Max(x => x.FinishedAt) ?? now;
        record.RestartAt = (ended < now ? ended : now) + record.Backoff;
        record.Drops = 0;
        if (record.Backoff > TimeSpan.Zero) Tell(record, warning: true, "BackOff", $"Back-off restarting failed container {record.Pod.Spec.Containers[0].Name} in pod {record.Pod.Name}");
    }

    private void OnGone(PodRecord record)
    {
        record.Gone = true;
        StopWaiting(record);
        Unnominate(record);
        if (record.Phase is LaunchPhase.Intending) return; // its end decides
        if (record.MayLive)
        {
            // Removed by force while a task runs: nothing is waited for.
            Kill(record, TimeSpan.Zero);
            return;
        }
        Forget(record);
    }

    private void Forget(PodRecord record)
    {
        FlushAcknowledgements(record);
        FreeRoom(record);
        _records.Remove(record.Uid);
        _draining.Remove(record);
        _placed.Remove(record.Uid);
        ForgetClaims(record);
    }

    /// <summary>
    /// Keeps the account of what stands where, for affinity and spread: what takes room, and what has a node and is to run (again) there, also
    /// where another scheduler has put it.
    /// </summary>
    private void Stand(PodRecord record)
    {
        var pod = record.Pod;
        var node = record.Node.Length > 0 ? record.Node : pod.Spec.NodeName;
        var isOver = record.Gone || pod.IsFinished || record.Phase is LaunchPhase.Ended && record.Verdict.Outcome is not Outcome.Restart;
        if (node.Length > 0 && (record.Taken != default || pod.Spec.NodeName.Length > 0 && !isOver)) _placed.Put(pod, node);
        else _placed.Remove(record.Uid);
    }

    private void TakeRoom(PodRecord record, Amounts amounts)
    {
        FreeRoom(record);
        record.Taken = amounts;
        var ledger = Ledger(record.Agent);
        ledger.Taken += amounts;
        ledger.Pods++;
        record.TakenPriority = Priority(record);
        _takenByPriority[record.TakenPriority] = _takenByPriority.GetValueOrDefault(record.TakenPriority) + 1;
        Stand(record);
    }

    private void FreeRoom(PodRecord record)
    {
        if (record.Taken == default) return;
        var ledger = Ledger(record.Agent);
        ledger.Taken -= record.Taken;
        ledger.Pods--;
        if (--_takenByPriority[record.TakenPriority] == 0) _takenByPriority.Remove(record.TakenPriority);
        record.Taken = default;
        Stand(record);
        LookAgain();
    }
}
