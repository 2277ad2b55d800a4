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
    private readonly EmulatedAgentOptions options;
    private readonly IMasterDoor master;
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly EmulatedTasks tasks;
    private readonly Deadlines later;
    private AgentInfo record;
    private IAgentConnection? connection;
    private DateTimeOffset lastPing;

    public EmulatedAgent(EmulatedAgentOptions options, IMasterDoor master, TimeProvider time, Random random)
    {
        this.options = options;
        this.master = master;
        this.time = time;
        later = new Deadlines(time, gate);
        tasks = new EmulatedTasks(options, time, random, later, Send);
        record = Describe(options);
    }

    /// <summary>The id the master gave it; null before the first registration.</summary>
    public string? Id
    {
        get
        {
            lock (gate)
                return record.Id?.Value;
        }
    }

    /// <summary>Whether the master has it now.</summary>
    public bool IsConnected
    {
        get
        {
            lock (gate)
                return connection is not null && record.Id is not null;
        }
    }

    /// <summary>Ids and states of the tasks that the agent knows, in the order of their launch.</summary>
    public IReadOnlyList<(string Id, TaskState State)> Tasks
    {
        get
        {
            lock (gate)
                return tasks.List();
        }
    }

    /// <summary>Registers and serves until <paramref name="stop"/>; connects again whenever the connection is lost.</summary>
    public async Task Run(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                try
                {
                    using var link = await master.Connect(stop);
                    await Serve(link, stop);
                }
                catch (MasterUnavailable)
                {
                    // There is none now: try again below.
                }

                await Task.Delay(options.ReconnectDelay, time, stop);
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
        lock (gate)
            return tasks.Exit(task, exitCode);
    }

    /// <summary>The task's health check passes or fails from now on. A failing one is reported; it does not kill by itself.</summary>
    public bool SetHealth(string task, bool healthy)
    {
        lock (gate)
            return tasks.SetHealth(task, healthy);
    }

    /// <summary>The task's check (CheckInfo) succeeds or fails from now on.</summary>
    public bool SetCheck(string task, bool passes)
    {
        lock (gate)
            return tasks.SetCheck(task, passes);
    }

    /// <summary>What an agent does to a task whose health check failed too often: TASK_KILLED with healthy false.</summary>
    public bool KillUnhealthy(string task)
    {
        lock (gate)
            return tasks.KillUnhealthy(task);
    }

    /// <summary>Cuts the connection; the agent connects again after its delay.</summary>
    public void Disconnect()
    {
        IAgentConnection? cut;
        lock (gate)
            (cut, connection) = (connection, null);
        cut?.Dispose();
    }

    /// <summary>The machine is lost: tasks and id are forgotten, the next registration is a new agent's.</summary>
    public void Forget()
    {
        Disconnect();
        lock (gate)
        {
            tasks.Clear();
            record = Describe(options);
        }
    }

    /// <summary>The agent keeps its id but has no tasks any more, as if its launches had never arrived.</summary>
    public void LoseTasks()
    {
        Disconnect();
        lock (gate)
            tasks.Clear();
    }

    public void Dispose()
    {
        Disconnect();
        lock (gate)
        {
            later.Dispose();
            tasks.Dispose();
        }
    }

    private async Task Serve(IAgentConnection link, CancellationToken stop)
    {
        lock (gate)
        {
            connection = link;
            lastPing = time.GetUtcNow();
            link.Send(Introduction());
        }

        try
        {
            while (await link.Receive(stop) is { } message)
            {
                lock (gate)
                    Handle(message);
            }
        }
        finally
        {
            lock (gate)
            {
                if (connection == link)
                    connection = null;
            }
        }
    }

    private ToMaster Introduction()
    {
        var address = new Address
        {
            Hostname = options.Hostname,
            Ip = "127.0.0.1",
            Port = options.Port,
        };
        if (record.Id is null)
        {
            return new ToMaster
            {
                Register = new()
                {
                    Agent = record,
                    Version = Version.Text,
                    Address = address,
                },
            };
        }

        var message = new ToMaster.Types.Reregister
        {
            Agent = record,
            Version = Version.Text,
            Address = address,
        };
        tasks.Describe(message);
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
                lastPing = time.GetUtcNow();
                Send(new ToMaster { Pong = new() });
                break;
            case ToAgent.MessageOneofCase.Shutdown:
                tasks.Clear();
                break;
            default:
                tasks.Handle(message);
                break;
        }
    }

    private void Welcomed(ToAgent.Types.Registered registered)
    {
        if (record.Id is null)
        {
            record = record.Clone();
            record.Id = registered.AgentId;
        }

        tasks.Reconcile(record.Id, registered.Reconcile);
        Watch(TimeSpan.FromSeconds(registered.PingTimeoutSeconds), connection);
    }

    // A master that pings no more has given this agent up, or is gone without a word.
    private void Watch(TimeSpan timeout, IAgentConnection? watched) =>
        later.After(
            timeout,
            () =>
            {
                if (connection is null || connection != watched)
                    return;
                if (time.GetUtcNow() - lastPing < timeout)
                    Watch(timeout, watched);
                else
                    watched.Dispose();
            }
        );

    private void Send(ToMaster message)
    {
        lock (gate)
            connection?.Send(message);
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
