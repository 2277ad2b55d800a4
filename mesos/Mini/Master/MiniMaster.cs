using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using OperatorEvent = Declarative.Mesos.Protocol.MasterApi.Event;
using OperatorEventType = Declarative.Mesos.Protocol.MasterApi.Event.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>
/// An embedded Mesos master: the state machine without sockets. Frameworks reach it through <see cref="Client"/> or Mini/Http, agents
/// through <see cref="Connect"/>. One writer at a time; time and chance are handed in, so the same calls give the same events.
/// </summary>
public sealed class MiniMaster : IMasterDoor, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Cluster _cluster;
    private readonly SchedulerDesk _schedulers;
    private readonly AgentDesk _agents;
    private readonly OperatorDesk _operator;
    private readonly Action<Registry>? _save;
    private bool _stopped;
    private bool _saving;

    /// <param name="options">Names and times.</param>
    /// <param name="time">The clock; nothing happens by itself but through its timers.</param>
    /// <param name="random">Ids and the order of agents. Used by this master alone.</param>
    /// <param name="registry">What an earlier master saved: until those agents are back, the master does not say that a task is unknown.</param>
    /// <param name="save">Told of every change of the registry, at most once per 0.1 s, while the master's gate is held.</param>
    public MiniMaster(MasterOptions options, TimeProvider time, Random random, Registry? registry = null, Action<Registry>? save = null)
    {
        _cluster = new Cluster(options, time, random, _gate);
        var operations = new OperationDesk(_cluster);
        var maintenance = new MaintenanceDesk(_cluster) { Remove = (agent, why) => _agents!.TakeDown(agent, why) };
        _schedulers = new SchedulerDesk(_cluster, operations, maintenance);
        _agents = new AgentDesk(_cluster, _schedulers, operations, maintenance) { Changed = SaveSoon };
        var drains = new DrainDesk(_cluster, _agents);
        _cluster.Emptied = drains.Emptied;
        _operator = new OperatorDesk(_cluster, _agents, operations, maintenance, drains);
        _save = save;
        Options = options;
        lock (_gate)
        {
            Recover(registry);
            Beat();
        }
    }

    public MasterOptions Options { get; }

    /// <summary>The id that framework, agent and offer ids begin with.</summary>
    public string Id => _cluster.MasterId;

    public bool IsStopped
    {
        get
        {
            lock (_gate)
                return _stopped;
        }
    }

    /// <summary>A scheduler's view of this master, in the same process.</summary>
    public IMaster Client() => new LocalMaster(this);

    public Task<IAgentConnection> Connect(CancellationToken stop)
    {
        lock (_gate)
        {
            if (_stopped)
                return Task.FromException<IAgentConnection>(new MasterUnavailable("The master has stopped."));
        }

        return Task.FromResult<IAgentConnection>(new AgentConnection(this));
    }

    /// <summary>Ends all streams and connections. What agents run goes on.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_stopped)
                return;
            _stopped = true;
            Save();
            _cluster.Later.Dispose();
            foreach (var framework in _cluster.Frameworks.Values)
                framework.Stream?.Close();
            foreach (var agent in _cluster.Agents.Values)
                agent.Connection?.Close();
            _cluster.Operators.CloseAll();
        }
    }

    /// <summary>Begins a subscription with a call that has passed <see cref="CallValidation"/>. Takes the call over.</summary>
    internal EventStream<Event> Subscribe(Call call)
    {
        lock (_gate)
        {
            Check();
            return _schedulers.Subscribe(call.Subscribe);
        }
    }

    internal void Disconnected(EventStream<Event> stream)
    {
        lock (_gate)
        {
            if (!_stopped)
                _schedulers.Disconnected(stream);
        }
    }

    /// <summary>Any other call that has passed <see cref="CallValidation"/>. Takes the call over.</summary>
    internal CallOutcome Call(Call call, string? streamId)
    {
        lock (_gate)
        {
            Check();
            return _schedulers.Call(call, streamId);
        }
    }

    /// <summary>Looks at the state; what is returned must not refer to anything that still changes.</summary>
    internal T View<T>(Func<Cluster, T> look)
    {
        lock (_gate)
            return look(_cluster);
    }

    /// <summary>The operator API's event stream: a snapshot, then every change after it.</summary>
    internal EventStream<OperatorEvent> Watch()
    {
        lock (_gate)
        {
            Check();
            var stream = new EventStream<OperatorEvent>(_cluster.NewUuid());
            var snapshot = new OperatorEvent.Types.Subscribed
            {
                GetState = OperatorViews.State(_cluster),
                HeartbeatIntervalSeconds = _cluster.Options.HeartbeatInterval.TotalSeconds,
            };
            stream.Send(new OperatorEvent { Type = OperatorEventType.Subscribed, Subscribed = snapshot });
            stream.Send(new OperatorEvent { Type = OperatorEventType.Heartbeat });
            _cluster.Operators.Add(stream);
            return stream;
        }
    }

    internal void Unwatch(EventStream<OperatorEvent> stream)
    {
        lock (_gate)
            _cluster.Operators.Remove(stream);
    }

    /// <summary>What it keeps over a restart, as it would write it now.</summary>
    internal Registry Registry()
    {
        lock (_gate)
            return Written().Clone();
    }

    /// <summary>A change by an operator. What belongs in the registry is in there before this returns.</summary>
    internal CallOutcome Operate(Func<OperatorDesk, CallOutcome> change)
    {
        lock (_gate)
        {
            Check();
            var outcome = change(_operator);
            if (outcome.IsTaken)
                Save();
            return outcome;
        }
    }

    /// <summary>Looks at what operators changed; what is returned must not refer to anything that still changes.</summary>
    internal T ViewOperator<T>(Func<OperatorDesk, T> look)
    {
        lock (_gate)
            return look(_operator);
    }

    internal void Receive(AgentConnection connection, ToMaster message)
    {
        lock (_gate)
        {
            if (!_stopped)
                _agents.Receive(connection, message);
        }
    }

    internal void Disconnected(AgentConnection connection)
    {
        lock (_gate)
        {
            if (!_stopped)
                _agents.Disconnected(connection);
        }
    }

    private void Check()
    {
        if (_stopped)
            throw new MasterUnavailable("The master has stopped.");
    }

    private void Beat()
    {
        _cluster.Operators.Heartbeat();
        _cluster.Later.After(_cluster.Options.HeartbeatInterval, Beat);
    }

    private void Recover(Registry? registry)
    {
        if (registry is null)
            return;
        foreach (var agent in registry.Agents)
            _cluster.RecoveredAgents[agent.Id.Value] = agent;
        foreach (var weight in registry.Weights)
            _cluster.Allocator.Roles.SetWeight(weight.Role, weight.Weight);
        foreach (var lost in registry.Unreachable)
            _cluster.UnreachableAgents[lost.AgentId.Value] = DateTimeOffset.UnixEpoch.AddTicks(lost.Since.Nanoseconds / 100);
        foreach (var gone in registry.Gone)
            _cluster.GoneAgents[gone.AgentId.Value] = DateTimeOffset.UnixEpoch.AddTicks(gone.Since.Nanoseconds / 100);
        foreach (var kept in registry.Deactivated)
            _cluster.Deactivations[kept.AgentId.Value] = new Deactivation { Drain = kept.Drain, DrainStart = kept.DrainStart };
        foreach (var quota in registry.Quotas)
            _cluster.Allocator.Quotas.Set(quota.Clone());
        _operator.Maintenance.Recover(registry.Schedule, registry.DownMachines);
        if (_cluster.RecoveredAgents.Count > 0)
            _cluster.Later.After(_cluster.Options.AgentReregisterTimeout, _agents.GiveUpRecovered);
    }

    // Many agents come at once: they are written together.
    private void SaveSoon()
    {
        if (_save is null || _saving)
            return;
        _saving = true;
        _cluster.Later.After(
            TimeSpan.FromMilliseconds(100),
            () =>
            {
                _saving = false;
                Save();
            }
        );
    }

    private void Save()
    {
        if (_save is not null)
            _save(Written());
    }

    private Registry Written()
    {
        var registry = new Registry();
        registry.Agents.Add(_cluster.Agents.Values.Select(agent => agent.Record));
        registry.Agents.Add(_cluster.RecoveredAgents.Values);
        foreach (var (id, since) in _cluster.UnreachableAgents)
            registry.Unreachable.Add(new Registry.Types.Unreachable { AgentId = new() { Value = id }, Since = Cluster.Nanoseconds(since) });
        registry.Weights.Add(_cluster.Allocator.Roles.Weights.Select(x => new WeightInfo { Role = x.Key, Weight = x.Value }));
        foreach (var (id, since) in _cluster.GoneAgents)
            registry.Gone.Add(new Registry.Types.Unreachable { AgentId = new() { Value = id }, Since = Cluster.Nanoseconds(since) });
        foreach (var (id, kept) in _cluster.Deactivations)
        {
            var deactivated = new Registry.Types.Deactivated { AgentId = new() { Value = id } };
            if (kept.Drain is { } drain)
                (deactivated.Drain, deactivated.DrainStart) = (drain, kept.DrainStart);
            registry.Deactivated.Add(deactivated);
        }

        registry.Quotas.Add(_cluster.Allocator.Quotas.Configs);
        if (_operator.Maintenance.Schedule is { Windows.Count: > 0 } schedule)
            registry.Schedule = schedule;
        registry.DownMachines.Add(_operator.Maintenance.Down);
        return registry;
    }
}
