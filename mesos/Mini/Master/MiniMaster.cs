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
    private readonly Lock gate = new();
    private readonly Cluster cluster;
    private readonly SchedulerDesk schedulers;
    private readonly AgentDesk agents;
    private readonly Action<Registry>? save;
    private bool stopped;
    private bool saving;

    /// <param name="options">Names and times.</param>
    /// <param name="time">The clock; nothing happens by itself but through its timers.</param>
    /// <param name="random">Ids and the order of agents. Used by this master alone.</param>
    /// <param name="registry">What an earlier master saved: until those agents are back, the master does not say that a task is unknown.</param>
    /// <param name="save">Told of every change of the registry, at most once per 0.1 s, while the master's gate is held.</param>
    public MiniMaster(MasterOptions options, TimeProvider time, Random random, Registry? registry = null, Action<Registry>? save = null)
    {
        cluster = new Cluster(options, time, random, gate);
        schedulers = new SchedulerDesk(cluster);
        agents = new AgentDesk(cluster, schedulers) { Changed = SaveSoon };
        this.save = save;
        Options = options;
        lock (gate)
        {
            Recover(registry);
            Beat();
        }
    }

    public MasterOptions Options { get; }

    /// <summary>The id that framework, agent and offer ids begin with.</summary>
    public string Id => cluster.MasterId;

    public bool IsStopped
    {
        get
        {
            lock (gate)
                return stopped;
        }
    }

    /// <summary>A scheduler's view of this master, in the same process.</summary>
    public IMaster Client() => new LocalMaster(this);

    public Task<IAgentConnection> Connect(CancellationToken stop)
    {
        lock (gate)
        {
            if (stopped)
                return Task.FromException<IAgentConnection>(new MasterUnavailable("The master has stopped."));
        }

        return Task.FromResult<IAgentConnection>(new AgentConnection(this));
    }

    /// <summary>Ends all streams and connections. What agents run goes on.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            if (stopped)
                return;
            stopped = true;
            Save();
            cluster.Later.Dispose();
            foreach (var framework in cluster.Frameworks.Values)
                framework.Stream?.Close();
            foreach (var agent in cluster.Agents.Values)
                agent.Connection?.Close();
            cluster.Operators.CloseAll();
        }
    }

    /// <summary>Begins a subscription with a call that has passed <see cref="CallValidation"/>. Takes the call over.</summary>
    internal EventStream<Event> Subscribe(Call call)
    {
        lock (gate)
        {
            Check();
            return schedulers.Subscribe(call.Subscribe);
        }
    }

    internal void Disconnected(EventStream<Event> stream)
    {
        lock (gate)
        {
            if (!stopped)
                schedulers.Disconnected(stream);
        }
    }

    /// <summary>Any other call that has passed <see cref="CallValidation"/>. Takes the call over.</summary>
    internal CallOutcome Call(Call call, string? streamId)
    {
        lock (gate)
        {
            Check();
            return schedulers.Call(call, streamId);
        }
    }

    /// <summary>Looks at the state; what is returned must not refer to anything that still changes.</summary>
    internal T View<T>(Func<Cluster, T> look)
    {
        lock (gate)
            return look(cluster);
    }

    /// <summary>The operator API's event stream: a snapshot, then every change after it.</summary>
    internal EventStream<OperatorEvent> Watch()
    {
        lock (gate)
        {
            Check();
            var stream = new EventStream<OperatorEvent>(cluster.NewUuid());
            var snapshot = new OperatorEvent.Types.Subscribed
            {
                GetState = OperatorViews.State(cluster),
                HeartbeatIntervalSeconds = cluster.Options.HeartbeatInterval.TotalSeconds,
            };
            stream.Send(new OperatorEvent { Type = OperatorEventType.Subscribed, Subscribed = snapshot });
            stream.Send(new OperatorEvent { Type = OperatorEventType.Heartbeat });
            cluster.Operators.Add(stream);
            return stream;
        }
    }

    internal void Unwatch(EventStream<OperatorEvent> stream)
    {
        lock (gate)
            cluster.Operators.Remove(stream);
    }

    /// <summary>TEARDOWN by an operator.</summary>
    internal CallOutcome Teardown(FrameworkID id)
    {
        lock (gate)
        {
            Check();
            if (!cluster.Frameworks.TryGetValue(id.Value, out var framework))
                return CallOutcome.Refused($"No framework found with ID {id.Value}");
            cluster.Remove(framework);
            return CallOutcome.Done;
        }
    }

    internal void Receive(AgentConnection connection, ToMaster message)
    {
        lock (gate)
        {
            if (!stopped)
                agents.Receive(connection, message);
        }
    }

    internal void Disconnected(AgentConnection connection)
    {
        lock (gate)
        {
            if (!stopped)
                agents.Disconnected(connection);
        }
    }

    private void Check()
    {
        if (stopped)
            throw new MasterUnavailable("The master has stopped.");
    }

    private void Beat()
    {
        cluster.Operators.Heartbeat();
        cluster.Later.After(cluster.Options.HeartbeatInterval, Beat);
    }

    private void Recover(Registry? registry)
    {
        if (registry is null)
            return;
        foreach (var agent in registry.Agents)
            cluster.RecoveredAgents[agent.Id.Value] = agent;
        foreach (var lost in registry.Unreachable)
            cluster.UnreachableAgents[lost.AgentId.Value] = DateTimeOffset.UnixEpoch.AddTicks(lost.Since.Nanoseconds / 100);
        if (cluster.RecoveredAgents.Count > 0)
            cluster.Later.After(cluster.Options.AgentReregisterTimeout, agents.GiveUpRecovered);
    }

    // Many agents come at once: they are written together.
    private void SaveSoon()
    {
        if (save is null || saving)
            return;
        saving = true;
        cluster.Later.After(
            TimeSpan.FromMilliseconds(100),
            () =>
            {
                saving = false;
                Save();
            }
        );
    }

    private void Save()
    {
        if (save is null)
            return;
        var registry = new Registry();
        registry.Agents.Add(cluster.Agents.Values.Select(agent => agent.Record));
        registry.Agents.Add(cluster.RecoveredAgents.Values);
        foreach (var (id, since) in cluster.UnreachableAgents)
            registry.Unreachable.Add(new Registry.Types.Unreachable { AgentId = new() { Value = id }, Since = Cluster.Nanoseconds(since) });
        save(registry);
    }
}
