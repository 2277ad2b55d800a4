using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Scheduler;

namespace Declarative.Mesos.Mini.Emulated;

/// <summary>
/// An agent without processes, for simulation and for tests of scale: it registers, runs tasks by a script (STARTING, RUNNING after a
/// delay, checks pass), reports and repeats updates as a real one, and comes back with its tasks. What else happens to its tasks is
/// commanded from outside.
/// </summary>
/// <remarks>
/// A crash and restart is: cancel <see cref="Run"/>, call it again. A loss of the machine: <see cref="Forget"/> in between. Thread-safe.
/// </remarks>
public sealed class EmulatedAgent : IDisposable
{
    private readonly EmulatedAgentOptions _options;
    private readonly IMasterDoor _master;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly EmulatedTasks _tasks;
    private readonly Deadlines _later;
    private AgentInfo _record;
    private IAgentConnection? _connection;
    private DateTimeOffset _lastPing;
    private ToAgent.Types.Checkpoint _checkpoint = new();
    private bool _shutDown;

    public EmulatedAgent(EmulatedAgentOptions options, IMasterDoor master, TimeProvider time, Random random)
    {
        _options = options;
        _master = master;
        _time = time;
        _later = new Deadlines(time, _gate);
        _tasks = new EmulatedTasks(options, time, random, _later, Send);
        _record = Describe(options);
    }

    /// <summary>The id the master gave it; null before the first registration.</summary>
    public string? Id
    {
        get
        {
            lock (_gate)
                return _record.Id?.Value;
        }
    }

    /// <summary>Whether the master has it now.</summary>
    public bool IsConnected
    {
        get
        {
            lock (_gate)
                return _connection is not null && _record.Id is not null;
        }
    }

    /// <summary>The dynamic reservations and persistent volumes that it keeps.</summary>
    public IReadOnlyList<Resource> Reserved
    {
        get
        {
            lock (_gate)
                return [.. _checkpoint.Resources];
        }
    }

    /// <summary>Ids and states of the tasks that the agent knows, in the order of their launch.</summary>
    public IReadOnlyList<(string Id, TaskState State)> Tasks
    {
        get
        {
            lock (_gate)
                return _tasks.List();
        }
    }

    /// <summary>
    /// Registers and serves until <paramref name="stop"/>, or until the master shuts it down; connects again whenever the connection is lost.
    /// </summary>
    public async Task Run(CancellationToken stop)
    {
        try
        {
            _shutDown = false;
            while (true)
            {
                try
                {
                    using var link = await _master.Connect(stop);
                    await Serve(link, stop);
                    if (_shutDown)
                        return;
                }
                catch (MasterUnavailable)
                {
                    // There is none now: try again below.
                }

                await Task.Delay(_options.ReconnectDelay, _time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The owner stopped it: the tasks stay for the next Run.
        }
    }

    /// <summary>A task's process ends by itself. False when there is no such live task.</summary>
    public bool Exit(string task, int exitCode)
    {
        lock (_gate)
            return _tasks.Exit(task, exitCode);
    }

    /// <summary>The task's health check passes or fails from now on. A failing one is reported; it does not kill by itself.</summary>
    public bool SetHealth(string task, bool healthy)
    {
        lock (_gate)
            return _tasks.SetHealth(task, healthy);
    }

    /// <summary>The task's check (CheckInfo) succeeds or fails from now on.</summary>
    public bool SetCheck(string task, bool passes)
    {
        lock (_gate)
            return _tasks.SetCheck(task, passes);
    }

    /// <summary>What an agent does to a task whose health check failed too often: TASK_KILLED with healthy false.</summary>
    public bool KillUnhealthy(string task)
    {
        lock (_gate)
            return _tasks.KillUnhealthy(task);
    }

    /// <summary>Cuts the connection; the agent connects again after its delay.</summary>
    public void Disconnect()
    {
        IAgentConnection? cut;
        lock (_gate)
            (cut, _connection) = (_connection, null);
        cut?.Dispose();
    }

    /// <summary>The machine is lost: tasks and id are forgotten, the next registration is a new agent's.</summary>
    public void Forget()
    {
        Disconnect();
        lock (_gate)
        {
            _tasks.Clear();
            _record = Describe(_options);
            _checkpoint = new();
        }
    }

    /// <summary>The agent keeps its id but has no tasks any more, as if its launches had never arrived.</summary>
    public void LoseTasks()
    {
        Disconnect();
        lock (_gate)
            _tasks.Clear();
    }

    public void Dispose()
    {
        Disconnect();
        lock (_gate)
        {
            _later.Dispose();
            _tasks.Dispose();
        }
    }

    private async Task Serve(IAgentConnection link, CancellationToken stop)
    {
        lock (_gate)
        {
            _connection = link;
            _lastPing = _time.GetUtcNow();
            link.Send(Introduction());
        }

        try
        {
            while (await link.Receive(stop) is { } message)
            {
                lock (_gate)
                    Handle(message);
            }
        }
        finally
        {
            lock (_gate)
            {
                if (_connection == link)
                    _connection = null;
            }
        }
    }

    private ToMaster Introduction()
    {
        var address = new Address
        {
            Hostname = _options.Hostname,
            Ip = "127.0.0.1",
            Port = _options.Port,
        };
        if (_record.Id is null)
        {
            return new ToMaster
            {
                Register = new()
                {
                    Agent = _record,
                    Version = Version.Text,
                    Address = address,
                },
            };
        }

        var message = new ToMaster.Types.Reregister
        {
            Agent = _record,
            Version = Version.Text,
            Address = address,
        };
        message.Checkpointed.Add(_checkpoint.Resources);
        message.Operations.Add(_checkpoint.Operations);
        _tasks.Describe(message);
        foreach (var owner in _checkpoint.Frameworks.Where(owner => !message.Frameworks.Any(known => known.Id.Equals(owner.Id))))
            message.Frameworks.Add(owner);
        return new ToMaster { Reregister = message };
    }

    private void Handle(ToAgent message)
    {
        switch (message.MessageCase)
        {
            case ToAgent.MessageOneofCase.Registered:
                Welcomed(message.Registered);
                break;
            case ToAgent.MessageOneofCase.Ping:
                _lastPing = _time.GetUtcNow();
                Send(new ToMaster { Pong = new() });
                break;
            case ToAgent.MessageOneofCase.Checkpoint:
                (_checkpoint, var finished) = Checkpoints.Take(_checkpoint, message.Checkpoint, _tasks.NewUuid);
                Send(new ToMaster { Checkpointed = new() { Operations = { finished } } });
                break;
            case ToAgent.MessageOneofCase.AcknowledgeOperation:
                _checkpoint = Checkpoints.Without(_checkpoint, known => known.Uuid.Value.Equals(message.AcknowledgeOperation.Operation));
                break;
            case ToAgent.MessageOneofCase.ShutdownFramework:
                _checkpoint = Checkpoints.Without(_checkpoint, known => known.FrameworkId.Equals(message.ShutdownFramework.FrameworkId));
                _tasks.Handle(message);
                break;
            case ToAgent.MessageOneofCase.Shutdown:
                // Gone for good: run again, it is another agent.
                _tasks.Clear();
                _record = Describe(_options);
                _checkpoint = new();
                _shutDown = true;
                break;
            default:
                _tasks.Handle(message);
                break;
        }
    }

    private void Welcomed(ToAgent.Types.Registered registered)
    {
        if (_record.Id is null)
        {
            _record = _record.Clone();
            _record.Id = registered.AgentId;
        }

        _tasks.Reconcile(_record.Id, registered.Reconcile);
        Watch(TimeSpan.FromSeconds(registered.PingTimeoutSeconds), _connection);
    }

    // A master that pings no more has given this agent up, or is gone without a word.
    private void Watch(TimeSpan timeout, IAgentConnection? watched) =>
        _later.After(
            timeout,
            () =>
            {
                if (_connection is null || _connection != watched)
                    return;
                if (_time.GetUtcNow() - _lastPing < timeout)
                    Watch(timeout, watched);
                else
                    watched.Dispose();
            }
        );

    private void Send(ToMaster message)
    {
        lock (_gate)
            _connection?.Send(message);
    }

    private static AgentInfo Describe(EmulatedAgentOptions options)
    {
        var described = new AgentInfo { Hostname = options.Hostname, Port = options.Port };
        described.Resources.Add(Scalar("cpus", options.Cpus));
        described.Resources.Add(Scalar("mem", options.Mem));
        described.Resources.Add(Scalar("disk", options.Disk));
        var ports = new Resource { Name = "ports", Type = Value.Types.Type.Ranges, Ranges = new() };
        ports.Ranges.Range.Add(new Value.Types.Range { Begin = options.Ports.First, End = options.Ports.Last });
        described.Resources.Add(ports);
        described.Resources.Add(options.More);
        described.Attributes.Add(options.Attributes);
        if (options.Domain is { } domain)
            described.Domain = domain;
        return described;
    }

    private static Resource Scalar(string name, double value) =>
        new()
        {
            Name = name,
            Type = Value.Types.Type.Scalar,
            Scalar = new() { Value = value },
        };
}
