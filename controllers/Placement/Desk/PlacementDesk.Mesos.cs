using Declarative.Controllers.Placement.Tasks;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using Task = System.Threading.Tasks.Task;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>The subscription, reconciliation and the small calls.</summary>
internal sealed partial class PlacementDesk
{
    private static readonly TimeSpan SubscribeFirst = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan SubscribeMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan UnknownFrameworkPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ReconcileFirst = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ReconcileMax = TimeSpan.FromSeconds(30);

    /// <summary>A launch of which nothing is heard for so long is asked for.</summary>
    private static readonly TimeSpan SilenceMax = TimeSpan.FromSeconds(10);

    /// <summary>Tasks of one RECONCILE; a master answers each with an event.</summary>
    private const int ReconcileTasksMax = 1_000;

    private CancellationTokenSource? _resubscribe;
    private string _frameworkId = "";
    private int _epoch;
    private bool _subscribed;
    private bool _identityStored;
    private DateTimeOffset? _reconcileDue;
    private TimeSpan _reconcileBackoff = ReconcileFirst;
    private DateTimeOffset? _implicitDue;

    /// <summary>Subscribes again for as long as the term lasts.</summary>
    private async Task Subscribe(CancellationToken stop)
    {
        var backoff = new Client.Backoff(SubscribeFirst, SubscribeMax, new Random(_parts.Random.Next()));
        _frameworkId = _parts.Identity.FrameworkId;
        var (refusals, refusal) = (0, "");
        while (!stop.IsCancellationRequested)
        {
            var why = "the master ended the stream";
            var (began, refused) = (false, false);
            var pause = backoff.Next();
            using var again = CancellationTokenSource.CreateLinkedTokenSource(stop);
            _resubscribe = again;
            try
            {
                var id = _frameworkId.Length > 0 ? new FrameworkID { Value = _frameworkId } : null;
                var roles = _roleWish.After(refusals, refusal);
                var call = new Call.Types.Subscribe { FrameworkInfo = Framework(roles.Roles) };
                call.SuppressedRoles.Add(roles.Suppressed);
                await foreach (var happened in _parts.Master.Subscribe(call, id, again.Token))
                {
                    if (happened.Type is Event.Types.Type.Subscribed)
                    {
                        backoff.Reset();
                        began = true;
                    }
                    if (happened.Type is Event.Types.Type.Error)
                    {
                        why = happened.Error.Message;
                        refused = true;
                        if (IsUnknownFramework(why))
                        {
                            pause = UnknownFrameworkPause;
                            Log.FrameworkUnknown(_parts.Logger, _frameworkId, why, _parts.Identity.ConfigMapName);
                        }
                    }
                    _inbox.Post(() => OnEvent(happened, roles));
                }
            }
            catch (OperationCanceledException) when (again.IsCancellationRequested)
            {
                why = "a call was lost";
            }
            catch (MasterUnavailable e)
            {
                why = e.Message;
            }
            catch (CallRefused e)
            {
                why = e.Text;
                refused = true;
            }
            if (began) refusals = 0;
            else if (refused) (refusals, refusal) = (refusals + 1, why);
            _inbox.Post(OnUnsubscribed);
            if (stop.IsCancellationRequested) return;
            Log.Unsubscribed(_parts.Logger, why, pause);
            try
            {
                await Task.Delay(pause, _parts.Time, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>As a master words it: the framework was torn down, or its failover timeout has passed.</summary>
    private static bool IsUnknownFramework(string why) =>
        why.Contains("has been removed", StringComparison.Ordinal) || why.Contains("Framework has been", StringComparison.Ordinal) || why.Contains("completed framework", StringComparison.OrdinalIgnoreCase);

    private FrameworkInfo Framework(IEnumerable<string> roles)
    {
        var framework = new FrameworkInfo
        {
            User = Options.User,
            Name = Options.FrameworkName,
            FailoverTimeout = Options.FailoverTimeout.TotalSeconds,
            Checkpoint = true,
        };
        framework.Roles.Add(roles);
        if (Options.Principal.Length > 0) framework.Principal = Options.Principal;
        foreach (var type in (ReadOnlySpan<FrameworkInfo.Types.Capability.Types.Type>)[
            FrameworkInfo.Types.Capability.Types.Type.PartitionAware,
            FrameworkInfo.Types.Capability.Types.Type.TaskKillingState,
            FrameworkInfo.Types.Capability.Types.Type.MultiRole,
            FrameworkInfo.Types.Capability.Types.Type.ReservationRefinement,
            FrameworkInfo.Types.Capability.Types.Type.RegionAware,
            FrameworkInfo.Types.Capability.Types.Type.GpuResources,
            FrameworkInfo.Types.Capability.Types.Type.SharedResources,
        ])
        {
            framework.Capabilities.Add(new FrameworkInfo.Types.Capability { Type = type });
        }
        return framework;
    }

    private void OnEvent(Event happened, RoleWish roles)
    {
        switch (happened.Type)
        {
            case Event.Types.Type.Subscribed: OnSubscribed(happened.Subscribed, roles); break;
            case Event.Types.Type.Offers: OnOffers(happened.Offers.Offers_); break;
            case Event.Types.Type.Rescind: OnRescind(happened.Rescind.OfferId.Value); break;
            case Event.Types.Type.InverseOffers: OnInverseOffers(happened.InverseOffers.InverseOffers_); break;
            case Event.Types.Type.RescindInverseOffer: OnInverseOfferRescinded(happened.RescindInverseOffer.InverseOfferId.Value); break;
            case Event.Types.Type.Update: OnUpdate(happened.Update.Status); break;
            case Event.Types.Type.UpdateOperationStatus: OnOperation(happened.UpdateOperationStatus.Status); break;
            case Event.Types.Type.Failure when happened.Failure.AgentId is { } agent && happened.Failure.ExecutorId is null: _parts.Agents.Lost(agent.Value); break;
        }
    }

    private void OnSubscribed(Event.Types.Subscribed subscribed, RoleWish roles)
    {
        _epoch++;
        _calls.Epoch = _acknowledgements.Epoch = _epoch;
        _subscribed = true;
        OnMasterVersion(subscribed.MasterInfo?.Version ?? "");
        _frameworkId = subscribed.FrameworkId.Value;
        SubscribedRoles(roles);
        var master = subscribed.MasterInfo?.Address is { } address ? $"{(address.Hostname.Length > 0 ? address.Hostname : address.Ip)}:{address.Port}" : "";
        Log.Subscribed(_parts.Logger, _frameworkId, master);
        Count("subscribed");
        StoreIdentity(_frameworkId, master, failures: 0);
        _implicitDue = Now + Options.ImplicitReconcileEvery;
        foreach (var record in _records.Values)
        {
            if (!record.MayLive) continue;
            record.AwaitsAnswer = true;
            if (record.KilledAt is not null) SendKills(record);
        }
        _reconcileBackoff = ReconcileFirst;
        _reconcileDue = Now;
    }

    private void StoreIdentity(string frameworkId, string master, int failures)
    {
        _writes.Add(async () =>
        {
            try
            {
                if (failures > 0) await Task.Delay(Client.Backoff.Exponential(SubscribeFirst, SubscribeMax, failures - 1), _parts.Time, _stop);
                await _parts.Identity.Write(frameworkId, master, _stop);
                return () =>
                {
                    _identityStored |= frameworkId == _frameworkId;
                    _news = true;
                };
            }
            catch (OperationCanceledException)
            {
                return static () => { };
            }
            catch (Exception e) // an outage of the API; nothing is launched before this is stored
            {
                Log.WriteFailed(_parts.Logger, _parts.Identity.ConfigMapName, SubscribeFirst, e.Message);
                return () => StoreIdentity(frameworkId, master, failures + 1);
            }
        });
    }

    private void OnUnsubscribed()
    {
        if (!_subscribed) return;
        _subscribed = false;
        _epoch++;
        _calls.Epoch = _acknowledgements.Epoch = _epoch;
        _book.Clear();
        _closings.Clear(); // made again for the next subscription
        _reconcileDue = null;
        _implicitDue = null;
        ForgetOperations();
        Count("unsubscribed");
    }

    /// <summary>A call may or may not have been taken: a new stream makes the master refuse it if it is still on its way.</summary>
    private void ForceResubscribe()
    {
        if (_subscribed) _resubscribe?.Cancel();
    }

    private void AskLater(PodRecord record)
    {
        record.AwaitsAnswer = true;
        if (_subscribed) _reconcileDue ??= Now + ReconcileFirst;
    }

    /// <summary>Explicit reconciliation, always with the agent's id, until every task has answered: silence does not mean gone.</summary>
    private void Reconcile(DateTimeOffset now)
    {
        if (!_subscribed) return;
        if (_implicitDue is { } due && due <= now)
        {
            _implicitDue = now + Options.ImplicitReconcileEvery;
            Send(new() { Type = Call.Types.Type.Reconcile, Reconcile = new() });
            Count("reconciles");
        }
        if (_reconcileDue is not { } at || at > now) return;
        _reconcileDue = null;
        var call = new Call.Types.Reconcile();
        var asked = 0;
        foreach (var record in _records.Values)
        {
            if (!record.AwaitsAnswer || !record.MayLive) continue;
            foreach (var id in TaskIds(record))
            {
                call.Tasks.Add(new Call.Types.Reconcile.Types.Task { TaskId = new() { Value = id }, AgentId = new() { Value = record.Agent } });
                asked++;
                if (call.Tasks.Count < ReconcileTasksMax) continue;
                Send(new() { Type = Call.Types.Type.Reconcile, Reconcile = call });
                call = new();
            }
        }
        if (asked == 0) return;
        if (call.Tasks.Count > 0) Send(new() { Type = Call.Types.Type.Reconcile, Reconcile = call });
        Count("reconciles");
        Log.Reconciling(_parts.Logger, asked);
        _reconcileDue = now + _reconcileBackoff;
        _reconcileBackoff = _reconcileBackoff * 2 > ReconcileMax ? ReconcileMax : _reconcileBackoff * 2;
    }

    private static IEnumerable<string> TaskIds(PodRecord record)
    {
        var containers = record.Pod.Spec.Containers;
        for (var i = 0; i < containers.Count; i++)
        {
            if (record.Track is { } track && track.Containers[i].IsTerminal) continue;
            yield return new PodTask(record.Uid, record.Attempt, containers.Count > 1 ? containers[i].Name : "").TaskId;
        }
    }

    private void Send(Call call, Action<CallEnd>? then = null)
    {
        call.FrameworkId = new() { Value = _frameworkId };
        _calls.Send(call, then is null ? null : (end, _) => then(end));
    }

    private void Acknowledge(Acknowledgement acknowledgement)
    {
        Count("acknowledged");
        _acknowledgements.Send(new()
        {
            FrameworkId = new() { Value = _frameworkId },
            Type = Call.Types.Type.Acknowledge,
            Acknowledge = new() { AgentId = acknowledgement.Agent, TaskId = new() { Value = acknowledgement.TaskId }, Uuid = acknowledgement.Uuid },
        });
    }

    private void SendKill(string taskId, string agentId, TimeSpan grace)
    {
        var kill = new Call.Types.Kill { TaskId = new() { Value = taskId }, KillPolicy = new() { GracePeriod = TaskBuilder.Duration(grace) } };
        if (agentId.Length > 0) kill.AgentId = new() { Value = agentId };
        Send(new() { Type = Call.Types.Type.Kill, Kill = kill });
    }
}
