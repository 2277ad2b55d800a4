using Declarative.Api.Kinds;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Status;
using Declarative.Controllers.Placement.Tasks;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>From match to ACCEPT, with the intent stored in between.</summary>
internal sealed partial class PlacementDesk
{
    private static readonly TimeSpan ConfigRetry = TimeSpan.FromSeconds(2);
    private readonly List<Launch> _launches = [];

    private void Launch(string role, IReadOnlyList<Match> matches, DateTimeOffset now)
    {
        foreach (var (pods, at) in _launchedAt.Where(x => x.Value + LaunchesPauseMax <= now).ToList()) _launchedAt.Remove(pods);
        foreach (var match in matches) _launchedAt[(role, match.Pod.Class)] = now;
        var byAgent = new Dictionary<string, List<Match>>(StringComparer.Ordinal);
        foreach (var match in matches)
        {
            if (match.Pod.Volumes.NewDisk > 0)
            {
                // Its volumes are made first: the pod follows when the agent offers them.
                SelectNode(_records[match.Pod.Pod.Uid], match);
                if (_book.Agent(match.Agent.AgentId, role) is { } held) held.Slot = null;
                continue;
            }
            if (!byAgent.TryGetValue(match.Agent.AgentId, out var list)) byAgent.Add(match.Agent.AgentId, list = []);
            list.Add(match);
        }
        foreach (var (agent, list) in byAgent)
        {
            var launch = new Launch(agent, role, _book.TakeAgent(agent, role), _epoch, list.Count);
            _launches.Add(launch);
            foreach (var match in list) StoreIntent(launch, _records[match.Pod.Pod.Uid], match, now);
        }
        State(role).Hurry();
    }

    private void StoreIntent(Launch launch, PodRecord record, Match match, DateTimeOffset now)
    {
        StopWaiting(record);
        var before = record.Phase;
        var attempt = before switch { LaunchPhase.Held => record.Attempt, _ => record.Attempt + 1 };
        record.Phase = LaunchPhase.Intending;
        record.Agent = launch.AgentId;
        record.Node = match.Agent.Node.Name;
        TakeRoom(record, match.Pod.Demand.Total);
        var context = new TaskContext(launch.AgentId, match.Agent.Node.Name, Ledger(launch.AgentId).Address, attempt, match.Ports)
        {
            Name = TaskName.Of(record.Pod, _parts.ReplicaSet),
            FrameworkId = _frameworkId,
            SetLimits = !Ledger(launch.AgentId).RefusesLimits,
            Volumes = VolumesOf(record, launch),
        };
        // An intent that stands with these very ports needs no second write.
        var isStored = before is LaunchPhase.Held && match.Ports.Count == record.Ports.Count && match.Ports.All(x => record.Ports.GetValueOrDefault(x.Key) == x.Value);
        var status = record.Pod.Spec.NodeName.Length == 0 ? null
            : StatusMap.Compute(record.Pod, new() { Attempt = AttemptTrack.New(record.Pod, attempt), HostIp = context.HostAddress }, now).Status;
        var (pod, revision) = (record.Pod, record.Revision);
        _writes.Add(async () =>
        {
            try
            {
                var result = await new Intent(_parts.Api, _parts.Time).Store(record.Key, pod, revision, context, status, isStored, _stop);
                return () => IntentAnswered(launch, record, before, attempt, match, result);
            }
            catch (OperationCanceledException)
            {
                return static () => { };
            }
            catch (Exception e) // reading what the environment names failed: nothing is stored yet
            {
                Log.WriteFailed(_parts.Logger, record.Key.ToString(), ConfigRetry, e.Message);
                return () => IntentAnswered(launch, record, before, attempt, match, new(IntentEnd.Changed));
            }
        }, isLater: true);
    }

    private void IntentAnswered(Launch launch, PodRecord record, LaunchPhase before, int attempt, Match match, IntentResult result)
    {
        var now = Now;
        switch (result.End)
        {
            case IntentEnd.Stored:
                record.Attempt = attempt;
                record.Ports = match.Ports;
                record.Phase = LaunchPhase.Held;
                record.Track = AttemptTrack.New(record.Pod, attempt);
                record.Verdict = default;
                record.ConfigError = null;
                record.RetryAt = null;
                record.PinnedUntil = null;
                record.Unschedulable = null;
                Unnominate(record);
                if (result.Pod is { } pod && result.Revision >= record.Revision)
                {
                    record.Pod = pod;
                    record.Revision = result.Revision;
                }
                else if (result.Bound is { } bound && record.Pod.Spec.NodeName.Length == 0)
                {
                    var metadata = record.Pod.Metadata;
                    record.Pod = record.Pod with
                    {
                        Spec = record.Pod.Spec with { NodeName = match.Agent.Node.Name },
                        Metadata = metadata with { Annotations = Merge(metadata.Annotations, new Dictionary<string, string?> { [TaskAnnotation.Key] = bound.ToJson() }) },
                    };
                }
                Count("intents");
                if (record.Gone || record.Pod.Metadata.IsDeleting) break; // never sent: it ends here
                if (before is LaunchPhase.None) Tell(record, warning: false, "Scheduled", $"Successfully assigned {record.Key.Namespace}/{record.Key.Name} to {match.Agent.Node.Name}");
                foreach (var warning in result.Built!.Warnings) Tell(record, warning: true, "ProbeNotRun", warning);
                launch.Ready.Add((record, result.Built.Operation!));
                break;
            case IntentEnd.Unbuildable:
                record.Phase = before;
                FreeRoom(record);
                record.RetryAt = now + ConfigRetry;
                if (record.ConfigError != result.Missing) Tell(record, warning: true, "FailedToBuildTask", result.Missing);
                record.ConfigError = result.Missing;
                Count("unbuildable");
                break;
            default:
                record.Phase = before;
                FreeRoom(record);
                record.RetryAt = now + TimeSpan.FromMilliseconds(100);
                Count("intents-lost");
                break;
        }
        launch.Pending--;
        if (record.Phase is not LaunchPhase.Held || record.Gone || record.Pod.Metadata.IsDeleting)
        {
            if (record.Gone) OnGone(record);
            else Step(record);
        }
        if (launch.Pending == 0) Accept(launch);
    }

    /// <summary>All intents of this agent are answered: what is stored is launched, in one ACCEPT of all its offers.</summary>
    private void Accept(Launch launch)
    {
        launch.Ready.RemoveAll(x => x.Record.Gone || x.Record.Pod.Metadata.IsDeleting || x.Record.Phase is not LaunchPhase.Held);
        if (launch.Rescinded || launch.Epoch != _epoch || !_subscribed || launch.Ready.Count == 0)
        {
            _launches.Remove(launch);
            if (launch.Epoch == _epoch && _subscribed)
            {
                if (!launch.Rescinded) foreach (var offer in launch.Offers) _book.Add(offer);
                else if (launch.Offers.Count > 1) Decline(launch.Offers, 0); // the others are still good, but one of them is not
            }
            foreach (var (record, _) in launch.Ready) Step(record); // the intent stands: the next offer of this agent takes it
            _news = true;
            return;
        }
        var accept = new Call.Types.Accept { Filters = new() { RefuseSeconds = 0 } };
        foreach (var offer in launch.Offers) accept.OfferIds.Add(new OfferID { Value = offer.Id });
        var tasks = default(Offer.Types.Operation);
        var reserved = launch.Offers.Any(x => x.Reserved.Count > 0) ? new ReservedFirst(launch.Offers.SelectMany(x => x.Reserved)) : null;
        var now = Now;
        foreach (var (record, operation) in launch.Ready)
        {
            reserved?.Apply(operation);
            if (operation.Type is Offer.Types.Operation.Types.Type.Launch)
            {
                if (tasks is null) accept.Operations.Add(tasks = operation);
                else tasks.Launch.TaskInfos.Add(operation.Launch.TaskInfos);
            }
            else
            {
                accept.Operations.Add(operation);
            }
            record.Phase = LaunchPhase.Sent;
            record.SentAt = now;
        }
        launch.Accepted = true;
        Touch(launch.Offers);
        Send(new() { Type = Call.Types.Type.Accept, Accept = accept }, end => Accepted(launch, end));
        Count("accepts");
        Count("launches", launch.Ready.Count);
    }

    private void Accepted(Launch launch, CallEnd end)
    {
        _launches.Remove(launch);
        _news = true;
        var now = Now;
        foreach (var (record, _) in launch.Ready)
        {
            if (record.Phase is not LaunchPhase.Sent) continue;
            if (end is CallEnd.Refused or CallEnd.NotSent)
            {
                record.Phase = LaunchPhase.Held;
                if (record.Gone) OnGone(record);
                else Step(record);
                continue;
            }
            if (end is CallEnd.Unknown) record.AwaitsAnswer = true;
            Step(record);
            Watch(record, now);
        }
        if (end is CallEnd.Unknown) ForceResubscribe();
    }

    /// <summary>Updates that a master makes itself are not repeated, so a launch of which nothing is heard is asked for.</summary>
    private void Watch(PodRecord record, DateTimeOffset now)
    {
        record.SilentUntil = now + SilenceMax;
        _agenda.Add(record, record.SilentUntil.Value);
    }
}
