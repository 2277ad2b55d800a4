using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Resources;
using Google.Protobuf;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using OfferOperation = Declarative.Mesos.Protocol.Offer.Types.Operation;

namespace Declarative.Mesos.Mini.Master;

/// <summary>
/// Reservations and persistent volumes: operations convert an agent's resources, the agent writes down what it has, and a framework that
/// gave its operation an id is told until it acknowledges.
/// </summary>
internal sealed class OperationDesk(Cluster cluster)
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LastRetry = TimeSpan.FromMinutes(10);

    // As Mesos says it of DESTROY.
    private const string InUse = "Persistent volumes in use";

    /// <summary>An operation of an ACCEPT, on what is left of its offers.</summary>
    public void Perform(Framework framework, Agent agent, string role, OfferOperation operation, ResourceBag left)
    {
        var conversion = Conversion.Of(operation);
        var fault = OperationValidation.Fault(operation, agent, role, framework.Record.HasPrincipal ? framework.Record.Principal : null);
        if (fault is null && !left.Contains(conversion!.From))
            fault = $"{left.ToText(role)} does not contain {conversion.From.ToText(role)}";
        if (fault is null && !framework.Has(FrameworkInfo.Types.Capability.Types.Type.SharedResources) && !conversion!.To.Shared().IsEmpty)
            fault = "A shared persistent volume can be created by a framework with the SHARED_RESOURCES capability only";
        if (fault is null && IsUsed(agent, conversion!.From.Shared()))
            fault = InUse;
        if (fault is null && operation.Id is { } id && framework.Operations.ContainsKey(id.Value))
            fault = $"Operation has duplicate ID: {id.Value}";
        if (fault is not null)
        {
            Refuse(framework, operation, OperationState.OperationError, fault);
            return;
        }

        left.Convert(conversion!);
        Withdraw(agent, conversion!.From.Shared());
        cluster.Allocator.Convert(agent.Slot, conversion!);
        if (operation.Id is not null)
            Expect(framework, agent, operation);
        else
            cluster.Counters.Ended(operation.Type, OperationState.OperationFinished);
        Checkpoint(agent);
    }

    /// <summary>An operator's operation, on what is free of an agent; offers are rescinded as far as they are in the way.</summary>
    public CallOutcome Perform(string agentId, OfferOperation operation)
    {
        if (!cluster.Agents.TryGetValue(agentId, out var agent))
            return CallOutcome.Refused("No agent found with specified ID");
        if (OperationValidation.Fault(operation, agent, role: null, principal: null) is { } fault)
            return CallOutcome.Refused($"Invalid {OperationValidation.Name(operation.Type)} operation on agent {agent.Id}: {fault}");
        var conversion = Conversion.Of(operation)!;
        if (!agent.Slot.Total.Contains(conversion.From))
            return new(409, $"{agent.Slot.Total} does not contain {conversion.From}");
        if (IsUsed(agent, conversion.From.Shared()))
            return new(409, InUse);
        foreach (var offer in agent.Offers.Values.ToList())
        {
            if (agent.Slot.Available.Contains(conversion.From))
                break;
            cluster.Rescind(offer);
        }

        if (!agent.Slot.Available.Contains(conversion.From))
            return new(409, $"{agent.Slot.Available} does not contain {conversion.From}: the rest is in use");
        agent.Slot.Available.Convert(conversion);
        Withdraw(agent, conversion.From.Shared());
        cluster.Allocator.Convert(agent.Slot, conversion);
        Checkpoint(agent);
        cluster.ScheduleBatch();
        return CallOutcome.Accepted;
    }

    // What is not shared is in no offer while it is used.
    private static bool IsUsed(Agent agent, ResourceBag shared) =>
        !shared.IsEmpty
        && (agent.Tasks.Values.Any(task => task.HoldsResources && task.Resources.HasAnyOf(shared)) || agent.Executors.Values.Any(executor => executor.Resources.HasAnyOf(shared)));

    /// <summary>Volumes that are no more are offered no more, to whomever they still are.</summary>
    private void Withdraw(Agent agent, ResourceBag shared)
    {
        if (shared.IsEmpty)
            return;
        foreach (var offer in agent.Offers.Values.Where(offer => offer.Resources.HasAnyOf(shared)).ToList())
            cluster.Rescind(offer);
        agent.Slot.Available.Forget(shared);
    }

    /// <summary>Tells the agent all its reservations and volumes; after an operation, and when it has come back.</summary>
    public void Checkpoint(Agent agent)
    {
        var message = new ToAgent.Types.Checkpoint();
        message.Resources.Add(agent.Slot.Total.Checkpointed().ToProtocol());
        foreach (var pending in Of(agent).Where(one => one.Record.LatestStatus.State == OperationState.OperationPending))
        {
            message.Operations.Add(pending.Record.Clone());
            if (!message.Frameworks.Any(known => known.Id.Equals(pending.Framework.Record.Id)))
                message.Frameworks.Add(pending.Framework.Record);
        }

        agent.Send(new ToAgent { Checkpoint = message });
    }

    /// <summary>The agent has written down what these operations made, and that they are finished.</summary>
    public void Checkpointed(Agent agent, IReadOnlyCollection<Operation> finished)
    {
        foreach (var operation in finished)
        {
            if (Of(agent).FirstOrDefault(one => one.Record.Uuid.Value.Equals(operation.Uuid.Value)) is { Record.LatestStatus.State: OperationState.OperationPending } done)
                Finish(done, operation.LatestStatus);
            else
                cluster.Counters.Add("master/invalid_operation_status_updates");
        }
    }

    /// <summary>
    /// An agent has come back with operations that were not acknowledged: of a master before this one, or of a time when it could not be reached.
    /// </summary>
    public void Return(Agent agent, IEnumerable<Operation> unacknowledged)
    {
        foreach (var operation in unacknowledged)
        {
            if (!cluster.Frameworks.TryGetValue(operation.FrameworkId.Value, out var framework))
                continue;
            if (!framework.Operations.TryGetValue(operation.Info.Id.Value, out var known))
            {
                known = new Performed(operation.Clone(), framework, agent);
                framework.Operations.Add(known.Id, known);
                Tell(known);
            }
            else if (known.Record.Uuid.Equals(operation.Uuid) && known.Record.LatestStatus.State == OperationState.OperationPending)
            {
                Finish(known, operation.LatestStatus);
            }
        }
    }

    /// <summary>The framework is back: what it has not acknowledged comes now, and as often as at first.</summary>
    public void TellAgain(Framework framework)
    {
        foreach (var done in framework.Operations.Values.Where(one => one.Record.LatestStatus.Uuid is not null))
        {
            done.Again?.Cancel();
            done.Waited = TimeSpan.Zero;
            Tell(done);
        }
    }

    private void Finish(Performed done, OperationStatus status)
    {
        cluster.Counters.Add("master/messages_operation_status_update");
        cluster.Counters.Add("master/valid_operation_status_updates");
        cluster.Counters.Ended(done.Record.Info.Type, status.State);
        done.Record.LatestStatus = status.Clone();
        done.Record.Statuses.Add(done.Record.LatestStatus);
        Tell(done);
    }

    public void Acknowledge(Framework framework, Call.Types.AcknowledgeOperationStatus acknowledge)
    {
        if (!framework.Operations.TryGetValue(acknowledge.OperationId.Value, out var done) || done.Record.LatestStatus.Uuid?.Value.Equals(acknowledge.Uuid) != true)
        {
            cluster.Counters.Add("master/invalid_operation_status_update_acknowledgements");
            return;
        }

        cluster.Counters.Add("master/valid_operation_status_update_acknowledgements");
        done.Agent.Send(new ToAgent { AcknowledgeOperation = new() { Operation = done.Record.Uuid.Value } });
        Forget(done);
    }

    public void Reconcile(Framework framework, Call.Types.ReconcileOperations reconcile)
    {
        if (reconcile.Operations.Count == 0)
        {
            foreach (var known in framework.Operations.Values)
                Send(framework, Latest(known));
            return;
        }

        foreach (var asked in reconcile.Operations)
        {
            if (framework.Operations.TryGetValue(asked.OperationId.Value, out var known))
            {
                Send(framework, Latest(known));
                continue;
            }

            var (state, message) = Unknown(asked.AgentId?.Value);
            var status = new OperationStatus { OperationId = asked.OperationId, State = state, Message = message };
            if (asked.AgentId is { } agent)
                status.AgentId = agent;
            Send(framework, status);
        }
    }

    /// <summary>Tells a framework that its operation was not performed. Without an id nobody waits for an answer.</summary>
    public void Refuse(Framework framework, OfferOperation operation, OperationState state, string message)
    {
        cluster.Counters.Ended(operation.Type, state);
        if (operation.Id is { } id)
            Send(framework, new OperationStatus { OperationId = id, State = state, Message = message });
    }

    /// <summary>The agent is gone or cannot be reached: what it had not confirmed has this state.</summary>
    public void Lose(Agent agent, OperationState state)
    {
        foreach (var lost in Of(agent).ToList())
        {
            if (lost.Record.LatestStatus.State != OperationState.OperationPending)
            {
                Forget(lost);
                continue;
            }

            cluster.Counters.Ended(lost.Record.Info.Type, state);
            Send(lost.Framework, new OperationStatus { OperationId = lost.Record.Info.Id, State = state, AgentId = agent.Record.Id });
            Forget(lost);
        }
    }

    public static void Forget(Framework framework)
    {
        foreach (var known in framework.Operations.Values.ToList())
            Forget(known);
    }

    private static void Forget(Performed known)
    {
        known.Again?.Cancel();
        known.Framework.Operations.Remove(known.Id);
    }

    private void Expect(Framework framework, Agent agent, OfferOperation operation)
    {
        var record = new Operation
        {
            FrameworkId = framework.Record.Id,
            AgentId = agent.Record.Id,
            Info = operation,
            LatestStatus = new() { OperationId = operation.Id, State = OperationState.OperationPending, AgentId = agent.Record.Id },
            Uuid = new() { Value = cluster.NewUuidBytes() },
        };
        framework.Operations.Add(operation.Id.Value, new Performed(record, framework, agent));
    }

    private void Tell(Performed done)
    {
        Send(done.Framework, done.Record.LatestStatus);
        var twice = done.Waited * 2;
        done.Waited = done.Waited == TimeSpan.Zero ? FirstRetry : twice < LastRetry ? twice : LastRetry;
        done.Again = cluster.Later.After(done.Waited, () => Tell(done));
    }

    private (OperationState State, string Message) Unknown(string? agent)
    {
        if (agent is null)
            return (OperationState.OperationUnknown, "Reconciliation: Operation is unknown and no 'agent_id' was provided");
        if (cluster.Agents.ContainsKey(agent))
            return (OperationState.OperationUnknown, "Reconciliation: Operation is unknown");
        if (cluster.GoneAgents.ContainsKey(agent))
            return (OperationState.OperationGoneByOperator, "Reconciliation: Agent marked gone by operator");
        if (cluster.UnreachableAgents.ContainsKey(agent))
            return (OperationState.OperationUnreachable, "Reconciliation: Agent is unreachable");
        if (cluster.RecoveredAgents.ContainsKey(agent))
            return (OperationState.OperationRecovering, "Reconciliation: Agent is recovering");
        return (OperationState.OperationUnknown, "Reconciliation: Both operation and agent are unknown");
    }

    // As Mesos answers it: without the uuid, so that it is not acknowledged.
    private static OperationStatus Latest(Performed known) =>
        new()
        {
            OperationId = known.Record.Info.Id,
            State = known.Record.LatestStatus.State,
            AgentId = known.Agent.Record.Id,
        };

    private IEnumerable<Performed> Of(Agent agent) =>
        cluster.Frameworks.Values.SelectMany(framework => framework.Operations.Values).Where(one => one.Agent == agent);

    private static void Send(Framework framework, OperationStatus status) =>
        framework.Send(new Event { Type = EventType.UpdateOperationStatus, UpdateOperationStatus = new() { Status = status } });
}
