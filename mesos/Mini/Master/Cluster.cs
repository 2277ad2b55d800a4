using Declarative.Mesos.Mini.Allocator;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Resources;
using Google.Protobuf;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>
/// The state of an embedded master and the small steps on it that its desks share. One writer at a time: everything here is called
/// with the master's gate held.
/// </summary>
internal sealed class Cluster
{
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly DateTimeOffset _started;
    private long _offers;
    private long _frameworks;
    private long _agents;
    private Deadlines.Deadline? _batch;
    private DateTimeOffset _batchAt = DateTimeOffset.MaxValue;

    public Cluster(MasterOptions options, TimeProvider time, Random random, Lock gate)
    {
        Options = options;
        _time = time;
        _random = random;
        _started = time.GetUtcNow();
        MasterId = NewUuid();
        Later = new Deadlines(time, gate);
        Allocator = new OfferAllocator(random);
    }

    public MasterOptions Options { get; }
    public string MasterId { get; }
    public DateTimeOffset Started => _started;
    public Deadlines Later { get; }
    public OfferAllocator Allocator { get; }
    public OperatorEvents Operators { get; } = new();
    public Counters Counters { get; } = new();
    public DateTimeOffset Now => _time.GetUtcNow();

    public Dictionary<string, Framework> Frameworks { get; } = new(StringComparer.Ordinal);
    public OrderedDictionary<string, Framework> CompletedFrameworks { get; } = new(StringComparer.Ordinal);
    public Dictionary<string, Agent> Agents { get; } = new(StringComparer.Ordinal);

    /// <summary>By the address they answer at: an agent that registers anew at one replaces the agent that was there.</summary>
    public Dictionary<(string Host, int Port), Agent> AgentsByAddress { get; } = [];

    public Dictionary<string, Offer> Offers { get; } = new(StringComparer.Ordinal);

    /// <summary>Agents that were given up, with the time; they may come back.</summary>
    public Dictionary<string, DateTimeOffset> UnreachableAgents { get; } = new(StringComparer.Ordinal);

    /// <summary>Agents that an operator marked gone, with the time; they are not let in again.</summary>
    public Dictionary<string, DateTimeOffset> GoneAgents { get; } = new(StringComparer.Ordinal);

    /// <summary>Agents that an operator keeps from being offered, registered now or not.</summary>
    public Dictionary<string, Deactivation> Deactivations { get; } = new(StringComparer.Ordinal);

    /// <summary>Told when a task or an executor of an agent is forgotten.</summary>
    public Action<Agent> Emptied { get; set; } = _ => { };

    /// <summary>Agents of the time before this master started that have not come back yet.</summary>
    public Dictionary<string, AgentInfo> RecoveredAgents { get; } = new(StringComparer.Ordinal);

    public double Timestamp => (Now - DateTimeOffset.UnixEpoch).Ticks / 1e7;

    public static TimeInfo Nanoseconds(DateTimeOffset moment) => new() { Nanoseconds = (moment - DateTimeOffset.UnixEpoch).Ticks * 100 };

    public string NextFrameworkId() => $"{MasterId}-{_frameworks++:D4}";

    public string NextAgentId() => $"{MasterId}-S{_agents++}";

    public string NextOfferId() => $"{MasterId}-O{_offers++}";

    public ByteString NewUuidBytes()
    {
        var bytes = new byte[16];
        _random.NextBytes(bytes);
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    public string NewUuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        _random.NextBytes(bytes);
        bytes[7] = (byte)((bytes[7] & 0x0f) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new Guid(bytes).ToString();
    }

    /// <summary>Makes offers out of allocations: one event per framework.</summary>
    public void MakeOffers(List<Allocation> allocations)
    {
        if (allocations.Count == 0)
            return;
        Dictionary<Framework, Event.Types.Offers> events = [];
        foreach (var allocation in allocations)
        {
            var framework = Frameworks[allocation.Claimant.Id];
            var agent = Agents[allocation.Slot.Id];
            var offer = new Offer(NextOfferId(), framework, agent, allocation.Role, allocation.Resources);
            Offers.Add(offer.Id, offer);
            framework.Offers.Add(offer.Id, offer);
            agent.Offers.Add(offer.Id, offer);
            if (Options.OfferTimeout is { } timeout)
                offer.Timeout = Later.After(timeout, () => Rescind(offer));
            if (!events.TryGetValue(framework, out var list))
                events[framework] = list = new();
            list.Offers_.Add(OfferMessages.Of(offer));
        }

        foreach (var (framework, list) in events)
            framework.Send(new Event { Type = EventType.Offers, Offers = list });
    }

    /// <summary>Offers all that is free to whoever may have it, now.</summary>
    public void Allocate()
    {
        Counters.Add("allocator/mesos/allocation_runs");
        MakeOffers(Allocator.Allocate(Now));
        ScheduleBatch();
    }

    public void Allocate(Agent agent)
    {
        Counters.Add("allocator/mesos/allocation_runs");
        MakeOffers(Allocator.Allocate([agent.Slot], Now));
        ScheduleBatch();
    }

    /// <summary>The next round is at the next full interval after something became free or a refusal ends; without either there is none.</summary>
    public void ScheduleBatch()
    {
        var now = Now;
        var wanted = Allocator.IsDirty ? now : Allocator.NextRefusalEnd(now);
        if (wanted is not { } from)
            return;
        var interval = Options.AllocationInterval.Ticks;
        var rounds = ((from - _started).Ticks / interval) + 1;
        var due = _started.AddTicks(rounds * interval);
        if (due >= _batchAt && _batchAt > now)
            return;
        _batch?.Cancel();
        _batchAt = due;
        _batch = Later.At(
            due,
            () =>
            {
                _batchAt = DateTimeOffset.MaxValue;
                Allocate();
            }
        );
    }

    /// <summary>Takes an offer back and tells the framework so.</summary>
    public void Rescind(Offer offer)
    {
        offer.Framework.Send(
            new Event { Type = EventType.Rescind, Rescind = new() { OfferId = new() { Value = offer.Id } } }
        );
        Withdraw(offer);
        Recover(offer);
    }

    /// <summary>The offer is no longer valid. Its resources are still counted as taken.</summary>
    public void Withdraw(Offer offer)
    {
        offer.Timeout?.Cancel();
        Offers.Remove(offer.Id);
        offer.Framework.Offers.Remove(offer.Id);
        offer.Agent.Offers.Remove(offer.Id);
    }

    public void Recover(Offer offer) => Recover(offer.Framework, offer.Agent, offer.Role, offer.Resources);

    public void Recover(Framework framework, Agent agent, string role, ResourceBag resources)
    {
        if (resources.IsEmpty)
            return;
        Allocator.Recover(framework.Claimant, agent.Slot, role, resources);
        ScheduleBatch();
    }

    /// <summary>An update that the master itself makes: without uuid, so nobody acknowledges it.</summary>
    public TaskStatus MasterUpdate(string task, string? agent, TaskState state, TaskStatus.Types.Reason reason, string message)
    {
        var status = new TaskStatus
        {
            TaskId = new() { Value = task },
            State = state,
            Message = message,
            Source = TaskStatus.Types.Source.Master,
            Reason = reason,
            Timestamp = Timestamp,
        };
        if (agent is not null)
            status.AgentId = new() { Value = agent };
        return status;
    }

    /// <summary>The last known state of a task, with what its agent last said about health and container.</summary>
    public TaskStatus Latest(Launched task, TaskStatus.Types.Reason reason, string message)
    {
        var status = MasterUpdate(task.Id, task.Agent.Id, task.Record.State, reason, message);
        if (task.Record.ExecutorId is { } executor)
            status.ExecutorId = executor;
        if (task.Record.Statuses.LastOrDefault() is not { } last)
            return status;
        if (last.HasHealthy)
            status.Healthy = last.Healthy;
        if (last.CheckStatus is { } check)
            status.CheckStatus = check;
        if (last.ContainerStatus is { } container)
            status.ContainerStatus = container;
        return status;
    }

    public static void Send(Framework framework, TaskStatus status) =>
        framework.Send(new Event { Type = EventType.Update, Update = new() { Status = status } });

    /// <summary>A task has reached a state that the master decided: the framework and the operators hear of it.</summary>
    public void Announce(Launched task, TaskStatus status)
    {
        // Only the framework is told the executor, as recorded.
        Note(task, status, status.State);
        if (task.Record.ExecutorId is { } executor)
        {
            status = status.Clone();
            status.ExecutorId = executor;
        }

        Send(task.Framework, status);
    }

    /// <summary>Keeps the status in the task's record, the last one of each run of equal states, and tells the operators.</summary>
    public void Note(Launched task, TaskStatus status, TaskState latest)
    {
        var record = task.Record;
        if (latest.IsTerminal() && !record.State.IsTerminal())
            Counters.Ended(status);
        record.State = latest;
        var statuses = record.Statuses;
        if (statuses.Count > 0 && statuses[^1].State == status.State)
            statuses[^1] = status;
        else
            statuses.Add(status);
        Operators.TaskUpdated(task, status, latest);
    }

    /// <summary>The task needs its resources no more.</summary>
    public void Release(Launched task)
    {
        if (!task.HoldsResources)
            return;
        task.HoldsResources = false;
        Recover(task.Framework, task.Agent, task.Role, task.Resources);
    }

    /// <summary>Forgets a task that is over; it stays in the list of completed ones.</summary>
    public void Remove(Launched task)
    {
        Release(task);
        task.Framework.Tasks.Remove(task.Id);
        task.Agent.Tasks.Remove((task.Framework.Id, task.Id));
        task.Framework.Complete(task, Options.MaxCompletedTasksPerFramework);
        Emptied(task.Agent);
    }

    public void Remove(Executor executor)
    {
        executor.Framework.Executors.Remove((executor.Agent.Id, executor.Id));
        executor.Agent.Executors.Remove((executor.Framework.Id, executor.Id));
        Recover(executor.Framework, executor.Agent, executor.Role, executor.Resources);
        Emptied(executor.Agent);
    }

    /// <summary>
    /// The framework is gone: its tasks are killed without updates, its offers withdrawn. Its id is not accepted again.
    /// </summary>
    public void Remove(Framework framework)
    {
        framework.Failover?.Cancel();
        framework.Heartbeat?.Cancel();
        framework.Claimant.Active = false;
        foreach (var offer in framework.Offers.Values.ToList())
        {
            Withdraw(offer);
            Recover(offer);
        }

        var agentsOfIt = framework
            .Tasks.Values.Select(task => task.Agent)
            .Concat(framework.Executors.Values.Select(one => one.Agent))
            .Concat(framework.Operations.Values.Select(one => one.Agent));
        var shutdown = new ToAgent { ShutdownFramework = new() { FrameworkId = new() { Value = framework.Id } } };
        foreach (var agent in agentsOfIt.Distinct().ToList())
            agent.Send(shutdown);
        foreach (var task in framework.Tasks.Values.ToList())
        {
            if (!task.Record.State.IsTerminal())
            {
                var status = MasterUpdate(
                    task.Id,
                    task.Agent.Id,
                    TaskState.TaskKilled,
                    TaskStatus.Types.Reason.FrameworkRemoved,
                    $"Framework {framework.Id} removed"
                );
                Note(task, status, TaskState.TaskKilled);
            }

            Remove(task);
        }

        foreach (var executor in framework.Executors.Values.ToList())
            Remove(executor);
        OperationDesk.Forget(framework);
        framework.InverseOffers.Clear();
        framework.Unregistered = Now;
        framework.Stream?.Close();
        framework.Stream = null;
        Frameworks.Remove(framework.Id);
        Allocator.Remove(framework.Claimant);
        CompletedFrameworks[framework.Id] = framework;
        if (CompletedFrameworks.Count > Options.MaxCompletedFrameworks)
            CompletedFrameworks.RemoveAt(0);
        Operators.FrameworkRemoved(framework);
    }

}
