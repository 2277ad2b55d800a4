using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Controllers.Placement.Tasks;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Pods that go away: drained as decision 12 says, then one KILL, then the object is removed.</summary>
internal sealed partial class PlacementDesk
{
    private static readonly TimeSpan DrainLookAgain = TimeSpan.FromSeconds(1);

    /// <summary>A KILL whose grace is over and of which nothing is heard is repeated.</summary>
    private static readonly TimeSpan KillAgain = TimeSpan.FromSeconds(5);

    private readonly SortedDictionary<string, TrafficReport> _reports = new(StringComparer.Ordinal);
    private readonly List<PodRecord> _draining = [];
    private bool _verifying;
    private bool _verifyAgain;

    private void StepDeleting(PodRecord record)
    {
        var now = Now;
        switch (record.Phase)
        {
            case LaunchPhase.Intending:
                return; // its end decides; it will not be sent
            case LaunchPhase.Sent:
                if (record.DeletionSeen is null) BeginDrain(record, now);
                if (record.KilledAt is null) StepDrain(record, now);
                else KillAgainIfSilent(record, now);
                Refresh(record);
                return;
            default:
                // Nothing runs. The end is stored first, then the object goes.
                Refresh(record);
                if (record.Writing || record.Acknowledgements.Count > 0) return;
                Remove(record);
                return;
        }
    }

    private void BeginDrain(PodRecord record, DateTimeOffset now)
    {
        record.DeletionSeen = now;
        record.DeletionRevision = record.Revision;
        _draining.Add(record);
    }

    private void StepDrain(PodRecord record, DateTimeOffset now)
    {
        var deadline = Drain.Deadline(record.Pod);
        if (now >= deadline)
        {
            if (Drain.Share(record.Pod) > TimeSpan.Zero && record.WaitsFor.Length > 0)
            {
                Tell(record, warning: true, "DrainTimedOut", $"not drained after {Drain.Share(record.Pod).TotalSeconds:0.#} s: {record.WaitsFor} has not reported that it is done with the pod");
                Count("drain-timeouts");
            }
            KillNow(record, now);
            return;
        }
        _agenda.Add(record, deadline);
        if (record.DrainDone)
        {
            KillNow(record, now);
            return;
        }
        if (Drain.IsDrained(record.Uid, record.DeletionRevision, record.Slices ?? new(0, AllMarked: true), [.. _reports.Values], now, out var waitsFor))
        {
            Verify(); // by the informer's view it may go; before TERM the API itself is asked
        }
        else if (record.WaitsFor.Length == 0)
        {
            Tell(record, warning: false, "Draining", $"Waiting for {waitsFor}, at most {Drain.Share(record.Pod).TotalSeconds:0.#} s, before the containers are told to stop");
        }
        if (waitsFor.Length > 0) record.WaitsFor = waitsFor;
        if (now + DrainLookAgain < deadline) _agenda.Add(record, now + DrainLookAgain); // a report may expire
    }

    private void OnReport(Change<TrafficReport> change)
    {
        if (change.New is { } report) _reports[report.Name] = report;
        else _reports.Remove(change.Object.Name);
        foreach (var record in _draining.ToList())
        {
            if (record.KilledAt is null && !record.Gone) Step(record);
        }
    }

    /// <summary>Reads reports and slices from the API and kills the pods that are drained by them: an informer's view may be behind.</summary>
    private void Verify()
    {
        if (_verifying)
        {
            _verifyAgain = true;
            return;
        }
        _verifying = true;
        var namespaces = _draining.Where(x => x.KilledAt is null && x.Slices is null or { AllMarked: false }).Select(x => x.Key.Namespace).Distinct(StringComparer.Ordinal).ToList();
        _writes.Add(async () =>
        {
            try
            {
                // The reports first: slices read after them show at least what endpoints had done when it reported.
                var list = await _parts.Api.List(new(Kind.TrafficReport), _stop);
                var reports = list.Items.Select(x => TrafficReport.Read(x.Json)).ToList();
                var slices = new Dictionary<string, List<(EndpointSlice, long)>>(StringComparer.Ordinal);
                foreach (var ns in namespaces)
                {
                    var found = await _parts.Api.List(new(Kind.EndpointSlice, ns), _stop);
                    slices[ns] = [.. found.Items.Select(x => (EndpointSlice.Read(x.Json), x.Revision))];
                }
                return () => Verified(reports, slices);
            }
            catch (OperationCanceledException)
            {
                return static () => { };
            }
            catch (Exception e) // an outage of the API: the deadline of each pod still holds
            {
                Log.WriteFailed(_parts.Logger, "trafficreports", DrainLookAgain, e.Message);
                return () => _verifying = false;
            }
        });
    }

    private void Verified(List<TrafficReport> reports, Dictionary<string, List<(EndpointSlice, long)>> slices)
    {
        _verifying = false;
        var now = Now;
        foreach (var record in _draining.ToList())
        {
            if (record.KilledAt is not null || record.Gone || record.Phase is not LaunchPhase.Sent) continue;
            if (slices.TryGetValue(record.Key.Namespace, out var read) && record.Slices is null or { AllMarked: false } && Drain.EndpointsHaveSeen(record.DeletionRevision, reports, now))
            {
                record.Slices = SliceView.Of(record.Uid, read);
            }
            var known = record.Slices is not null || Drain.NothingToWaitFor(reports, now);
            if (known && Drain.IsDrained(record.Uid, record.DeletionRevision, record.Slices ?? default, reports, now, out _))
            {
                record.DrainDone = true;
                Count("drained");
            }
            Step(record);
        }
        if (!_verifyAgain) return;
        _verifyAgain = false;
        if (_draining.Exists(x => x.KilledAt is null)) Verify();
    }

    private void KillNow(PodRecord record, DateTimeOffset now)
    {
        var grace = Drain.Rest(record.Pod, now);
        var waited = now - Drain.Began(record.Pod);
        Tell(record, warning: false, "Killing", $"Stopping container {Names(record)} ({(record.DrainDone ? "drained" : "not drained")} after {Math.Max(0, waited.TotalSeconds):0.###} s, {grace.TotalSeconds:0.#} s to end)");
        Kill(record, grace);
    }

    private void Kill(PodRecord record, TimeSpan grace)
    {
        record.KilledAt = Now;
        record.KillGrace = grace;
        _draining.Remove(record);
        SendKills(record);
        Count("kills");
        _agenda.Add(record, record.KilledAt.Value + grace + KillAgain);
    }

    private void SendKills(PodRecord record)
    {
        foreach (var id in TaskIds(record)) SendKill(id, record.Agent, record.KillGrace);
    }

    private void KillAgainIfSilent(PodRecord record, DateTimeOffset now)
    {
        if (Drain.Rest(record.Pod, now) is var rest && TaskBuilder.GraceSeconds(record.Pod) * TimeSpan.TicksPerSecond < record.KillGrace.Ticks && rest < record.KillGrace)
        {
            Kill(record, rest); // the user has shortened the grace period since
            return;
        }
        if (record.KilledAt + record.KillGrace + KillAgain > now) return;
        AskLater(record);
        Kill(record, record.KillGrace);
    }

    private void Remove(PodRecord record)
    {
        if (record.Deleting || record.Deleted) return;
        record.Deleting = true;
        _writes.Add(async () =>
        {
            try
            {
                await _parts.Api.Delete(record.Key, new() { GracePeriodSeconds = 0, Uid = record.Uid }, _stop);
                return () => Removed(record, again: false);
            }
            catch (ApiException e)
            {
                return () => Removed(record, again: !e.IsNotFound);
            }
            catch (OperationCanceledException)
            {
                return static () => { };
            }
            catch (Exception e) // the connection: the deletion is repeated
            {
                Log.WriteFailed(_parts.Logger, record.Key.ToString(), DrainLookAgain, e.Message);
                return () => Removed(record, again: true);
            }
        });
    }

    private void Removed(PodRecord record, bool again)
    {
        record.Deleting = false;
        if (again)
        {
            _agenda.Add(record, Now + DrainLookAgain);
            return;
        }
        record.Deleted = true; // finalizers may hold the object longer; that is not our matter
        Count("removed");
    }
}
