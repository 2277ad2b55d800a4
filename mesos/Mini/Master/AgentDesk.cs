using Declarative.Mesos.Mini.Allocator;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Resources;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Reason = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;

namespace Declarative.Mesos.Mini.Master;

/// <summary>Agents: registration, updates of their tasks, loss and return.</summary>
internal sealed class AgentDesk(Cluster cluster, SchedulerDesk schedulers, OperationDesk operations, MaintenanceDesk maintenance)
{
    /// <summary>The set of agents changed: the registry is to be written.</summary>
    public Action Changed { get; init; } = () => { };

    public void Receive(AgentConnection connection, ToMaster message)
    {
        switch (message.MessageCase)
        {
            case ToMaster.MessageOneofCase.Register:
                cluster.Counters.Add("master/messages_register_slave");
                Register(connection, message.Register);
                return;
            case ToMaster.MessageOneofCase.Reregister:
                cluster.Counters.Add("master/messages_reregister_slave");
                Reregister(connection, message.Reregister);
                return;
            default:
                break;
        }

        // Late messages of a connection that was replaced or given up are not heard.
        if (connection.Agent is not { } agent || agent.Connection != connection)
            return;
        switch (message.MessageCase)
        {
            case ToMaster.MessageOneofCase.UpdateStatus:
                Update(agent, message.UpdateStatus);
                break;
            case ToMaster.MessageOneofCase.Pong:
                agent.MissedPings = 0;
                break;
            case ToMaster.MessageOneofCase.ExitedExecutor:
                cluster.Counters.Add("master/messages_exited_executor");
                ExecutorExited(agent, message.ExitedExecutor);
                break;
            case ToMaster.MessageOneofCase.FrameworkMessage:
                cluster.Counters.Add("master/messages_executor_to_framework");
                Pass(agent, message.FrameworkMessage);
                break;
            case ToMaster.MessageOneofCase.Unregister:
                cluster.Counters.Add("master/messages_unregister_slave");
                Remove(agent, "the agent unregistered", "unregistered");
                break;
            case ToMaster.MessageOneofCase.Checkpointed:
                operations.Checkpointed(agent, message.Checkpointed.Operations);
                break;
            default:
                break;
        }
    }

    public void Disconnected(AgentConnection connection)
    {
        if (connection.Agent is not { } agent || agent.Connection != connection)
            return;
        agent.Connection = null;
        Deactivate(agent);
        foreach (var task in agent.Tasks.Values.Where(task => !task.Framework.Record.Checkpoint).ToList())
        {
            var message = $"Agent {agent.Record.Hostname} disconnected";
            if (!task.Record.State.IsTerminal())
                cluster.Announce(task, cluster.MasterUpdate(task.Id, agent.Id, TaskState.TaskLost, Reason.AgentDisconnected, message));
            cluster.Remove(task);
        }

        foreach (var executor in agent.Executors.Values.Where(one => !one.Framework.Record.Checkpoint).ToList())
            cluster.Remove(executor);
    }

    /// <summary>Agents of the time before the restart that did not come back in time.</summary>
    public void GiveUpRecovered()
    {
        foreach (var id in cluster.RecoveredAgents.Keys.ToList())
        {
            cluster.RecoveredAgents.Remove(id);
            cluster.UnreachableAgents[id] = cluster.Now;
            cluster.Counters.Add("master/recovery_slave_removals");
            SendFailure(id);
        }

        Changed();
    }

    private void Register(AgentConnection connection, ToMaster.Types.Register register)
    {
        if (connection.Agent is { } known)
        {
            Welcome(known, []);
            return;
        }

        var record = register.Agent.Clone();
        if (maintenance.IsDown(record.Hostname, register.Address?.Ip))
        {
            Turn(connection, "Machine is DOWN");
            return;
        }

        RemoveOtherAt(record, register.Address);
        record.Id = new() { Value = cluster.NextAgentId() };
        var agent = Add(connection, record, register.Version, register.Address);
        cluster.Counters.Add("master/slave_registrations");
        Welcome(agent, []);
        Changed();
        cluster.Operators.AgentAdded(agent);
        cluster.Allocate(agent);
    }

    /// <summary>
    /// MARK_AGENT_GONE: its tasks are gone for good and it is not let in again. False when there is no such agent.
    /// </summary>
    public bool MarkGone(string id)
    {
        if (cluster.GoneAgents.ContainsKey(id))
            return true;
        const string message = "Agent has been marked gone";
        if (cluster.Agents.TryGetValue(id, out var agent))
        {
            agent.Send(new ToAgent { Shutdown = new() { Message = message } });
            foreach (var task in agent.Tasks.Values.ToList())
            {
                var state = task.Framework.PartitionAware ? TaskState.TaskGoneByOperator : TaskState.TaskLost;
                if (!task.Record.State.IsTerminal())
                    cluster.Announce(task, cluster.MasterUpdate(task.Id, id, state, Reason.AgentRemovedByOperator, message));
                cluster.Remove(task);
            }

            operations.Lose(agent, OperationState.OperationGoneByOperator);
            Drop(agent);
            cluster.Operators.AgentRemoved(id);
        }
        else if (!cluster.RecoveredAgents.Remove(id) && !cluster.UnreachableAgents.Remove(id))
        {
            return false;
        }

        cluster.GoneAgents[id] = cluster.Now;
        cluster.Deactivations.Remove(id);
        Changed();
        return true;
    }

    /// <summary>The agent's machine is taken down.</summary>
    public void TakeDown(Agent agent, string why) => Remove(agent, why, reason: null);

    // Not let in: it ends its tasks and itself.
    private static void Turn(AgentConnection connection, string why)
    {
        connection.Deliver(new ToAgent { Shutdown = new() { Message = why } });
        connection.Close();
    }

    // Only one agent can answer at an address: the one that was there is gone, whatever its pings would say.
    private void RemoveOtherAt(AgentInfo record, Address? address)
    {
        if (cluster.AgentsByAddress.TryGetValue(AddressOf(record, address), out var before) && before.Id != record.Id?.Value)
            Remove(before, "a new agent registered at the same address", "registered");
    }

    private static (string Host, int Port) AddressOf(AgentInfo record, Address? address) =>
        address is { HasIp: true } known ? (known.Ip, known.Port) : (record.Hostname, record.Port);

    private void Reregister(AgentConnection connection, ToMaster.Types.Reregister reregister)
    {
        var record = reregister.Agent.Clone();
        var id = record.Id.Value;
        if (cluster.GoneAgents.ContainsKey(id) || maintenance.IsDown(record.Hostname, reregister.Address?.Ip))
        {
            Turn(connection, cluster.GoneAgents.ContainsKey(id) ? "Agent has been marked gone" : "Machine is DOWN");
            return;
        }

        RemoveOtherAt(record, reregister.Address);
        var isKnown = cluster.Agents.TryGetValue(id, out var agent);
        var wasUnreachable = cluster.UnreachableAgents.Remove(id);
        cluster.RecoveredAgents.Remove(id);
        if (isKnown)
        {
            if (agent!.Connection is { } old && old != connection)
                old.Close();
            agent.Connection = connection;
            cluster.AgentsByAddress.Remove(AddressOf(agent.Record, agent.Address));
            agent.Address = reregister.Address;
            cluster.AgentsByAddress[AddressOf(record, agent.Address)] = agent;
            agent.Record = agent.Slot.Record = record;
            agent.Version = reregister.Version;
            connection.Agent = agent;
        }
        else
        {
            agent = Add(connection, record, reregister.Version, reregister.Address, reregister.Checkpointed);
        }

        agent.Slot.Active = agent.Deactivation is null;
        agent.MissedPings = 0;
        agent.Reregistered = cluster.Now;
        cluster.Counters.Add("master/slave_reregistrations");
        foreach (var framework in reregister.Frameworks)
            Meet(agent, framework);
        foreach (var executor in reregister.Executors)
            Return(agent, executor);
        var present = reregister.Executors.Select(one => (one.FrameworkId.Value, one.ExecutorId.Value)).ToHashSet();
        foreach (var executor in agent.Executors.Values.Where(one => !present.Contains((one.Framework.Id, one.Id))).ToList())
            cluster.Remove(executor);
        var missing = agent.Tasks.Values.ToDictionary(task => (task.Framework.Id, task.Id));
        foreach (var task in reregister.Tasks)
        {
            missing.Remove((task.FrameworkId.Value, task.TaskId.Value));
            Return(agent, task, wasUnreachable);
        }

        Welcome(agent, missing.Values.Where(task => !task.Record.State.IsTerminal()));
        operations.Return(agent, reregister.Operations);
        // What it has on disk may be older than what the master made of it.
        if (isKnown)
            operations.Checkpoint(agent);
        DrainDesk.Tell(agent);
        cluster.Emptied(agent);
        if (!isKnown)
        {
            Changed();
            cluster.Operators.AgentAdded(agent);
        }

        cluster.Allocate(agent);
    }

    private Agent Add(AgentConnection connection, AgentInfo record, string version, Address? address, IEnumerable<Resource>? checkpointed = null)
    {
        var total = ResourceBag.Of(record.Resources);
        total.Restore(checkpointed ?? []);
        var agent = new Agent(record, new Slot(record.Id.Value, total, record))
        {
            Version = version,
            Address = address,
            Registered = cluster.Now,
            Connection = connection,
        };
        connection.Agent = agent;
        cluster.Agents.Add(agent.Id, agent);
        cluster.AgentsByAddress[AddressOf(record, address)] = agent;
        agent.Deactivation = cluster.Deactivations.GetValueOrDefault(agent.Id);
        agent.Slot.Active = agent.Deactivation is null;
        cluster.Allocator.Add(agent.Slot);
        maintenance.Meet(agent);
        return agent;
    }

    private void Welcome(Agent agent, IEnumerable<Launched> reconcile)
    {
        var options = cluster.Options;
        var registered = new ToAgent.Types.Registered
        {
            AgentId = agent.Record.Id,
            PingTimeoutSeconds = options.AgentPingTimeout.TotalSeconds * options.MaxAgentPingTimeouts,
            MasterHostname = options.Hostname,
        };
        foreach (var task in reconcile)
            registered.Reconcile.Add(new TaskRef { FrameworkId = task.Record.FrameworkId, TaskId = task.Record.TaskId });
        agent.Send(new ToAgent { Registered = registered });
        agent.NextPing?.Cancel();
        agent.NextPing = cluster.Later.After(options.AgentPingTimeout, () => Ping(agent));
    }

    private void Ping(Agent agent)
    {
        if (agent.MissedPings >= cluster.Options.MaxAgentPingTimeouts)
        {
            LoseContact(agent);
            return;
        }

        agent.MissedPings++;
        agent.Send(new ToAgent { Ping = new() });
        agent.NextPing = cluster.Later.After(cluster.Options.AgentPingTimeout, () => Ping(agent));
    }

    private void Meet(Agent agent, FrameworkInfo framework)
    {
        if (cluster.CompletedFrameworks.ContainsKey(framework.Id.Value))
            agent.Send(new ToAgent { ShutdownFramework = new() { FrameworkId = framework.Id } });
        else if (!cluster.Frameworks.ContainsKey(framework.Id.Value))
            schedulers.Recover(framework);
    }

    private void Return(Agent agent, ExecutorInfo record)
    {
        var key = (record.FrameworkId.Value, record.ExecutorId.Value);
        if (!cluster.Frameworks.TryGetValue(record.FrameworkId.Value, out var framework) || agent.Executors.ContainsKey(key))
            return;
        var (role, resources) = Holding(framework, record.Resources);
        if (!agent.Slot.Available.Contains(resources))
            return;
        var executor = new Executor(record, framework, agent, role, resources);
        agent.Executors.Add(key, executor);
        framework.Executors[(agent.Id, executor.Id)] = executor;
        cluster.Allocator.Take(framework.Claimant, agent.Slot, role, resources);
    }

    private void Return(Agent agent, MesosTask record, bool wasUnreachable)
    {
        if (!cluster.Frameworks.TryGetValue(record.FrameworkId.Value, out var framework))
            return;
        framework.Unreachable.Remove(record.TaskId.Value);
        if (framework.Tasks.TryGetValue(record.TaskId.Value, out var known))
        {
            known.Record.State = record.State;
            if (record.State.IsTerminal())
                cluster.Release(known);
            return;
        }

        var (role, resources) = Holding(framework, record.Resources);
        var task = new Launched(record.Clone(), framework, agent, role, resources);
        task.HoldsResources = !record.State.IsTerminal() && agent.Slot.Available.Contains(resources);
        if (task.HoldsResources)
            cluster.Allocator.Take(framework.Claimant, agent.Slot, role, resources);
        framework.Tasks.Add(task.Id, task);
        agent.Tasks[(framework.Id, task.Id)] = task;
        cluster.Operators.TaskAdded(task);
        if (!wasUnreachable || record.State.IsTerminal())
            return;
        // As Mesos words it, slip included: scripts may look for it.
        const string message = "Unreachable agent re-reregistered";
        Cluster.Send(framework, cluster.Latest(task, Reason.AgentReregistered, message));
    }

    private static (string Role, ResourceBag Resources) Holding(Framework framework, IReadOnlyList<Resource> resources) =>
        (resources.FirstOrDefault()?.AllocationInfo?.Role ?? framework.Roles.FirstOrDefault() ?? "*", ResourceBag.Of(resources));

    private void Update(Agent agent, ToMaster.Types.UpdateStatus update)
    {
        cluster.Counters.Add("master/messages_status_update");
        if (!cluster.Frameworks.TryGetValue(update.FrameworkId.Value, out var framework))
        {
            cluster.Counters.Add("master/invalid_status_updates");
            if (cluster.CompletedFrameworks.ContainsKey(update.FrameworkId.Value))
                agent.Send(new ToAgent { ShutdownFramework = new() { FrameworkId = update.FrameworkId } });
            return;
        }

        cluster.Counters.Add("master/valid_status_updates");
        var status = update.Status;
        if (framework.Tasks.TryGetValue(status.TaskId.Value, out var task) && task.Agent == agent)
        {
            var isRepeated = task.Unacknowledged is { } last && last.Uuid.Equals(status.Uuid);
            task.Unacknowledged = status;
            task.Record.StatusUpdateState = status.State;
            task.Record.StatusUpdateUuid = status.Uuid;
            if (isRepeated)
                task.Record.State = update.LatestState;
            else
                cluster.Note(task, status, update.LatestState);
            if (update.LatestState.IsTerminal())
                cluster.Release(task);
        }

        Cluster.Send(framework, status);
    }

    private void ExecutorExited(Agent agent, ToMaster.Types.ExitedExecutor exited)
    {
        if (!cluster.Frameworks.TryGetValue(exited.FrameworkId.Value, out var framework))
            return;
        if (agent.Executors.TryGetValue((exited.FrameworkId.Value, exited.ExecutorId.Value), out var executor))
            cluster.Remove(executor);
        var failure = new Event.Types.Failure
        {
            AgentId = agent.Record.Id,
            ExecutorId = exited.ExecutorId,
            Status = exited.Status,
        };
        framework.Send(new Event { Type = EventType.Failure, Failure = failure });
    }

    private void Pass(Agent agent, ToMaster.Types.FrameworkMessage message)
    {
        if (!cluster.Frameworks.TryGetValue(message.FrameworkId.Value, out var framework))
        {
            cluster.Counters.Add("master/invalid_executor_to_framework_messages");
            return;
        }

        cluster.Counters.Add("master/valid_executor_to_framework_messages");
        var passed = new Event.Types.Message
        {
            AgentId = agent.Record.Id,
            ExecutorId = message.ExecutorId,
            Data = message.Data,
        };
        framework.Send(new Event { Type = EventType.Message, Message = passed });
    }

    /// <summary>The agent does not answer: its tasks may still run, and it may come back.</summary>
    private void LoseContact(Agent agent)
    {
        var now = cluster.Now;
        cluster.UnreachableAgents[agent.Id] = now;
        cluster.Counters.Add("master/slave_unreachable_scheduled");
        cluster.Counters.Add("master/slave_unreachable_completed");
        Count("unhealthy");
        foreach (var task in agent.Tasks.Values.ToList())
        {
            var framework = task.Framework;
            task.UnreachableSince = now;
            if (!task.Record.State.IsTerminal())
            {
                var state = framework.PartitionAware ? TaskState.TaskUnreachable : TaskState.TaskLost;
                var status = cluster.MasterUpdate(task.Id, agent.Id, state, Reason.AgentRemoved, "health check timed out");
                status.UnreachableTime = Cluster.Nanoseconds(now);
                cluster.Announce(task, status);
                framework.Unreachable[task.Id] = task;
                if (framework.Unreachable.Count > cluster.Options.MaxUnreachableTasksPerFramework)
                    framework.Unreachable.RemoveAt(0);
            }

            cluster.Release(task);
            framework.Tasks.Remove(task.Id);
        }

        operations.Lose(agent, OperationState.OperationUnreachable);
        Drop(agent);
    }

    /// <summary>The agent is gone for good, and so are its tasks.</summary>
    /// <param name="reason">Under which it is counted; null: only in the sum.</param>
    private void Remove(Agent agent, string why, string? reason)
    {
        Count(reason);
        var message = $"Agent {agent.Record.Hostname} removed: {why}";
        foreach (var task in agent.Tasks.Values.ToList())
        {
            if (!task.Record.State.IsTerminal())
                cluster.Announce(task, cluster.MasterUpdate(task.Id, agent.Id, TaskState.TaskLost, Reason.AgentRemoved, message));
            cluster.Remove(task);
        }

        operations.Lose(agent, OperationState.OperationGoneByOperator);
        Drop(agent);
        cluster.Deactivations.Remove(agent.Id);
        cluster.Operators.AgentRemoved(agent.Id);
    }

    private void Count(string? reason)
    {
        cluster.Counters.Add(Counters.SlaveRemovals);
        if (reason is not null)
            cluster.Counters.Add($"{Counters.SlaveRemovals}/reason_{reason}");
    }

    private void Drop(Agent agent)
    {
        Deactivate(agent);
        foreach (var executor in agent.Executors.Values.ToList())
            cluster.Remove(executor);
        agent.NextPing?.Cancel();
        agent.Connection?.Close();
        agent.Connection = null;
        cluster.Agents.Remove(agent.Id);
        var address = AddressOf(agent.Record, agent.Address);
        if (cluster.AgentsByAddress.TryGetValue(address, out var there) && there == agent)
            cluster.AgentsByAddress.Remove(address);
        cluster.Allocator.Remove(agent.Slot);
        SendFailure(agent.Id);
        Changed();
    }

    private void Deactivate(Agent agent)
    {
        agent.Slot.Active = false;
        foreach (var offer in agent.Offers.Values.ToList())
            cluster.Rescind(offer);
    }

    private void SendFailure(string agent)
    {
        foreach (var framework in cluster.Frameworks.Values)
            framework.Send(new Event { Type = EventType.Failure, Failure = new() { AgentId = new() { Value = agent } } });
    }
}
