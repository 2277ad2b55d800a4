using Declarative.Mesos.Mini.Allocator;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Resources;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using Capability = Declarative.Mesos.Protocol.FrameworkInfo.Types.Capability.Types.Type;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>Subscriptions and calls of frameworks.</summary>
internal sealed class SchedulerDesk(Cluster cluster, OperationDesk operations, MaintenanceDesk maintenance)
{
    private readonly Accepting _accepting = new(cluster, operations, maintenance);
    private readonly Reconciliation _reconciliation = new(cluster);

    /// <summary>
    /// Begins a subscription. What is wrong with the framework comes as an ERROR event on the stream, which then ends, as in Mesos.
    /// </summary>
    public EventStream<Event> Subscribe(Call.Types.Subscribe subscribe)
    {
        var stream = new EventStream<Event>(cluster.NewUuid());
        var record = subscribe.FrameworkInfo;
        cluster.Counters.Add(record.Id is null ? "master/messages_register_framework" : "master/messages_reregister_framework");
        if (FrameworkValidation.Fault(record, subscribe.SuppressedRoles) is { } fault)
            return Refuse(stream, fault);
        var constraints = OfferConstraint.Of(subscribe.OfferConstraints, FrameworkValidation.Roles(record), out var wrong);
        if (wrong is not null)
            return Refuse(stream, wrong);
        if (record.Id is { } gone && cluster.CompletedFrameworks.ContainsKey(gone.Value))
            return Refuse(stream, "Framework has been removed");
        Framework? framework = null;
        if (record.Id is { } id)
            cluster.Frameworks.TryGetValue(id.Value, out framework);
        if (framework is not null && framework.Record.Principal != record.Principal)
            return Refuse(stream, "Changing framework's principal is not allowed.");

        var isNew = framework is null;
        framework ??= Add(record.Clone());
        var wasConnected = framework.IsConnected;
        if (wasConnected)
            FailOver(framework);
        framework.Failover?.Cancel();
        framework.Heartbeat?.Cancel();
        framework.Stream = stream;
        framework.Recovered = false;
        framework.Reregistered = cluster.Now;
        if (!isNew)
            Change(framework, record);
        Suppress(framework, subscribe.SuppressedRoles);
        framework.OfferConstraints = subscribe.OfferConstraints;
        framework.Claimant.Constraints = constraints;
        framework.Claimant.Active = true;
        Greet(framework, stream);
        if (isNew)
            cluster.Operators.FrameworkAdded(framework);
        else
            cluster.Operators.FrameworkUpdated(framework);
        if (wasConnected)
            cluster.ScheduleBatch();
        else
            cluster.Allocate();
        maintenance.Ask();
        foreach (var task in framework.Tasks.Values)
        {
            if (task.Unacknowledged is { } update)
                Cluster.Send(framework, update);
        }

        operations.TellAgain(framework);
        return stream;
    }

    /// <summary>The stream was lost. A later subscription may have replaced it already.</summary>
    public void Disconnected(EventStream<Event> stream)
    {
        foreach (var framework in cluster.Frameworks.Values)
        {
            if (framework.Stream != stream)
                continue;
            Disconnect(framework);
            return;
        }
    }

    public CallOutcome Call(Call call, string? streamId)
    {
        if (!cluster.Frameworks.TryGetValue(call.FrameworkId.Value, out var framework))
            return CallOutcome.Refused("Framework cannot be found");
        if (framework.Stream is not { } stream)
            return new(403, "Framework is not subscribed");
        if (streamId is null)
            return CallOutcome.Refused("All non-subscribe calls should include the 'Mesos-Stream-Id' header");
        if (streamId != stream.Id)
        {
            return CallOutcome.Refused(
                $"The stream ID '{streamId}' included in this request didn't match the stream ID currently associated"
                    + $" with framework ID {framework.Id}"
            );
        }

        cluster.Counters.Add(call.Type);
        switch (call.Type)
        {
            case CallType.Accept:
                _accepting.Accept(framework, call.Accept);
                break;
            case CallType.Decline:
                _accepting.Decline(framework, call.Decline);
                break;
            case CallType.Revive:
                Revive(framework, call.Revive?.Roles ?? []);
                break;
            case CallType.Suppress:
                var roles = call.Suppress?.Roles ?? [];
                framework.Claimant.Suppressed.UnionWith(roles.Count > 0 ? roles : framework.Roles);
                break;
            case CallType.Kill:
                Kill(framework, call.Kill);
                break;
            case CallType.Acknowledge:
                Acknowledge(framework, call.Acknowledge);
                break;
            case CallType.Reconcile:
                _reconciliation.Reconcile(framework, call.Reconcile);
                break;
            case CallType.Teardown:
                cluster.Remove(framework);
                break;
            case CallType.Shutdown:
                Shutdown(framework, call.Shutdown);
                break;
            case CallType.Message:
                Message(framework, call.Message);
                break;
            case CallType.UpdateFramework:
                return Update(framework, call.UpdateFramework);
            case CallType.AcknowledgeOperationStatus:
                operations.Acknowledge(framework, call.AcknowledgeOperationStatus);
                break;
            case CallType.ReconcileOperations:
                operations.Reconcile(framework, call.ReconcileOperations);
                break;
            case CallType.AcceptInverseOffers:
                maintenance.Answer(framework, call.AcceptInverseOffers.InverseOfferIds, call.AcceptInverseOffers.Filters, accepted: true);
                break;
            case CallType.DeclineInverseOffers:
                maintenance.Answer(framework, call.DeclineInverseOffers.InverseOfferIds, call.DeclineInverseOffers.Filters, accepted: false);
                break;
            default:
                // REQUEST has no effect in Mesos' own allocator either.
                break;
        }

        return CallOutcome.Accepted;
    }

    /// <summary>A framework that is known from an agent's tasks only.</summary>
    public Framework Recover(FrameworkInfo record)
    {
        var framework = Add(record.Clone());
        framework.Recovered = true;
        return framework;
    }

    private static EventStream<Event> Refuse(EventStream<Event> stream, string message)
    {
        stream.Send(new Event { Type = EventType.Error, Error = new() { Message = message } });
        stream.Close();
        return stream;
    }

    private Framework Add(FrameworkInfo record)
    {
        record.Id ??= new() { Value = cluster.NextFrameworkId() };
        var framework = new Framework(record, new Claimant(record.Id.Value)) { Registered = cluster.Now, Reregistered = cluster.Now };
        Describe(framework);
        cluster.Frameworks.Add(framework.Id, framework);
        cluster.Allocator.Add(framework.Claimant);
        return framework;
    }

    // User and checkpoint cannot change and are kept as they were, without a word, as in Mesos.
    private void Change(Framework framework, FrameworkInfo wanted)
    {
        var record = wanted.Clone();
        record.User = framework.Record.User;
        record.Checkpoint = framework.Record.Checkpoint;
        framework.Record = record;
        Describe(framework);
        foreach (var offer in framework.Offers.Values.Where(offer => !framework.Roles.Contains(offer.Role)).ToList())
            cluster.Rescind(offer);
    }

    private static void Describe(Framework framework)
    {
        var record = framework.Record;
        framework.PartitionAware = framework.Has(Capability.PartitionAware);
        framework.Claimant.TakesRevocable = framework.Has(Capability.RevocableResources);
        framework.Claimant.TakesShared = framework.Has(Capability.SharedResources);
        framework.Claimant.UsesGpus = framework.Has(Capability.GpuResources);
        framework.Claimant.Roles = [.. FrameworkValidation.Roles(record)];
        framework.Claimant.Smallest = record
            .OfferFilters.Where(filter => filter.Value.MinAllocatableResources is { Quantities.Count: > 0 })
            .ToDictionary(
                filter => filter.Key,
                filter =>
                    filter
                        .Value.MinAllocatableResources.Quantities.Select(one =>
                            one.Quantities.ToDictionary(quantity => quantity.Key, quantity => Milli.Of(quantity.Value.Value))
                        )
                        .ToList()
            );
    }

    private static void Suppress(Framework framework, IEnumerable<string> roles)
    {
        framework.Claimant.Suppressed.Clear();
        framework.Claimant.Suppressed.UnionWith(roles);
    }

    private void FailOver(Framework framework)
    {
        var old = framework.Stream!;
        old.Send(new Event { Type = EventType.Error, Error = new() { Message = "Framework failed over" } });
        old.Close();
        WithdrawOffers(framework);
    }

    private void WithdrawOffers(Framework framework)
    {
        framework.InverseOffers.Clear();
        foreach (var offer in framework.Offers.Values.ToList())
        {
            cluster.Withdraw(offer);
            cluster.Recover(offer);
        }
    }

    private void Greet(Framework framework, EventStream<Event> stream)
    {
        stream.Send(
            new Event
            {
                Type = EventType.Subscribed,
                Subscribed = new()
                {
                    FrameworkId = framework.Record.Id,
                    HeartbeatIntervalSeconds = cluster.Options.HeartbeatInterval.TotalSeconds,
                    MasterInfo = OperatorViews.MasterInfo(cluster),
                },
            }
        );
        Beat(framework);
    }

    private void Beat(Framework framework)
    {
        framework.Send(new Event { Type = EventType.Heartbeat });
        framework.Heartbeat = cluster.Later.After(cluster.Options.HeartbeatInterval, () => Beat(framework));
    }

    private void Disconnect(Framework framework)
    {
        framework.Stream!.Close();
        framework.Stream = null;
        framework.Heartbeat?.Cancel();
        framework.Claimant.Active = false;
        WithdrawOffers(framework);
        var seconds = Math.Min(framework.Record.FailoverTimeout, TimeSpan.FromDays(36500).TotalSeconds);
        if (seconds <= 0)
        {
            cluster.Remove(framework);
            return;
        }

        framework.Failover = cluster.Later.After(TimeSpan.FromSeconds(seconds), () => cluster.Remove(framework));
        cluster.Operators.FrameworkUpdated(framework);
    }

    private void Revive(Framework framework, IReadOnlyCollection<string> roles)
    {
        var which = roles.Count > 0 ? roles : (IReadOnlyCollection<string>)framework.Roles;
        framework.Claimant.Forgive(which);
        framework.Claimant.Suppressed.ExceptWith(which);
        cluster.Allocate();
    }

    private void Kill(Framework framework, Call.Types.Kill kill)
    {
        if (!framework.Tasks.TryGetValue(kill.TaskId.Value, out var task))
        {
            _reconciliation.Reconcile(framework, kill.TaskId.Value, kill.AgentId?.Value);
            return;
        }

        var message = new ToAgent.Types.KillTask { Task = new() { FrameworkId = framework.Record.Id, TaskId = kill.TaskId } };
        if (kill.KillPolicy is { } policy)
            message.KillPolicy = policy;
        task.Agent.Send(new ToAgent { KillTask = message });
    }

    private void Acknowledge(Framework framework, Call.Types.Acknowledge acknowledge)
    {
        if (!cluster.Agents.TryGetValue(acknowledge.AgentId.Value, out var agent) || agent.Connection is null)
        {
            cluster.Counters.Add("master/invalid_status_update_acknowledgements");
            return;
        }

        cluster.Counters.Add("master/valid_status_update_acknowledgements");
        if (framework.Tasks.TryGetValue(acknowledge.TaskId.Value, out var task) && task.Agent == agent)
        {
            if (task.Unacknowledged is { } update && update.Uuid.Equals(acknowledge.Uuid))
            {
                task.Unacknowledged = null;
                if (update.State.IsTerminal())
                    cluster.Remove(task);
            }
        }

        agent.Send(
            new ToAgent
            {
                AcknowledgeUpdate = new()
                {
                    Task = new() { FrameworkId = framework.Record.Id, TaskId = acknowledge.TaskId },
                    Uuid = acknowledge.Uuid,
                },
            }
        );
    }

    private void Shutdown(Framework framework, Call.Types.Shutdown shutdown)
    {
        if (cluster.Agents.TryGetValue(shutdown.AgentId.Value, out var agent))
        {
            agent.Send(
                new ToAgent { ShutdownExecutor = new() { FrameworkId = framework.Record.Id, ExecutorId = shutdown.ExecutorId } }
            );
        }
    }

    private void Message(Framework framework, Call.Types.Message message)
    {
        if (!cluster.Agents.TryGetValue(message.AgentId.Value, out var agent))
        {
            cluster.Counters.Add("master/invalid_framework_to_executor_messages");
            return;
        }

        cluster.Counters.Add("master/valid_framework_to_executor_messages");
        var passed = new ToAgent.Types.ExecutorMessage
        {
            FrameworkId = framework.Record.Id,
            ExecutorId = message.ExecutorId,
            Data = message.Data,
        };
        agent.Send(new ToAgent { ExecutorMessage = passed });
    }

    private CallOutcome Update(Framework framework, Call.Types.UpdateFramework update)
    {
        var wanted = update.FrameworkInfo;
        var record = framework.Record;
        var fault =
            FrameworkValidation.Fault(wanted, update.SuppressedRoles)
            ?? Unchanged("user", record.User, wanted.User)
            ?? Unchanged("checkpoint", record.Checkpoint ? "true" : "false", wanted.Checkpoint ? "true" : "false")
            ?? Unchanged("principal", record.Principal, wanted.Principal);
        if (fault is not null)
            return CallOutcome.Refused($"FrameworkInfo update is not valid: {fault}");
        var constraints = OfferConstraint.Of(update.OfferConstraints, FrameworkValidation.Roles(wanted), out var wrong);
        if (wrong is not null)
            return CallOutcome.Refused($"'UpdateFramework.offer_constraints' are not valid: {wrong}");
        Change(framework, wanted);
        Suppress(framework, update.SuppressedRoles);
        framework.OfferConstraints = update.OfferConstraints;
        framework.Claimant.Constraints = constraints;
        cluster.Operators.FrameworkUpdated(framework);
        cluster.Allocate();
        return CallOutcome.Done;
    }

    private static string? Unchanged(string field, string now, string wanted) =>
        now == wanted ? null : $"Updating 'FrameworkInfo.{field}' is unsupported; attempted to update from '{now}' to '{wanted}'";
}
