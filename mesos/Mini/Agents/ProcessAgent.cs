using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Scheduler;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// An embedded Mesos agent that runs real processes. It keeps its id, its tasks and their unacknowledged updates in its work directory: after
/// an orderly stop or a crash the processes go on, and the next agent with that directory finds them again.
/// </summary>
public sealed class ProcessAgent
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan CleanInterval = TimeSpan.FromMinutes(1);

    private readonly AgentOptions options;
    private readonly TimeProvider time;
    private readonly ILogger log;
    private readonly Lock gate = new();
    private readonly List<ExecutorRun> runs = [];
    private readonly AgentWorld world;
    private IAgentConnection? connection;
    private TimeSpan pingTimeout = TimeSpan.FromSeconds(75);

    /// <param name="random">Ids of containers and updates.</param>
    public ProcessAgent(AgentOptions options, TimeProvider time, Random random, ILogger? log = null)
    {
        this.options = options;
        this.time = time;
        this.log = log ?? NullLogger.Instance;
        world = new AgentWorld(options, time, random, this.log, Send);
        Nested = new NestedContainers(this, world);
        Started = time.GetUtcNow();
    }

    public AgentOptions Options => options;
    public DateTimeOffset Started { get; }

    /// <summary>Processes beside its tasks: exec sessions and the like.</summary>
    internal NestedContainers Nested { get; }

    internal TimeSpan Uptime => time.GetUtcNow() - Started;

    /// <summary>Seconds since 1970.</summary>
    internal double Now => world.Now;

    /// <summary>Null before the first registration.</summary>
    public AgentID? Id => world.Id;

    /// <summary>Tasks whose processes run now.</summary>
    public int RunningTasks => Runs.Sum(run => run.Tasks.Count(task => !task.IsTerminal));

    /// <summary>Registered with a master now.</summary>
    public bool IsRegistered { get; private set; }

    /// <summary>All that it knows, oldest first; ended ones until their sandbox is removed.</summary>
    internal IReadOnlyList<ExecutorRun> Runs
    {
        get
        {
            lock (gate)
                return [.. runs];
        }
    }

    /// <summary>
    /// Recovers, then serves the master until <paramref name="stop"/>; the tasks go on. Ends earlier, with all tasks killed, when the master
    /// shuts the agent down. To be called once.
    /// </summary>
    public async Task Run(IMasterDoor door, CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        if (world.Runner.Note is { } note)
            Log.Note(log, options.Hostname, note);
        if (!PrivateMounts.AreAllowed)
            Log.Note(log, options.Hostname, "processes of pods find no services by name: a resolv.conf of their own needs the right to mount");
        Recover(ended.Token);
        var cleaning = Clean(ended.Token);
        try
        {
            await Serve(door, ended);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // An orderly stop.
            IsRegistered = false;
        }
        finally
        {
            ended.Cancel();
            Nested.KillAll();
            world.Dispose();
            await cleaning;
            await world.Settled();
        }
    }

    /// <summary>
    /// Ends all tasks that an earlier agent left running in this work directory (TERM, KILL after the grace period), while no agent runs
    /// there. The next agent reports them as TASK_KILLED.
    /// </summary>
    /// <returns>How many were running.</returns>
    public static async Task<int> EndTasks(AgentOptions options, TimeProvider time, Random random, CancellationToken stop)
    {
        var agent = new ProcessAgent(options, time, random);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        try
        {
            agent.Recover(ended.Token);
            var count = agent.RunningTasks;
            await agent.EndAll(stop);
            return count;
        }
        finally
        {
            ended.Cancel();
            agent.world.Dispose();
            await agent.world.Settled();
        }
    }

    internal AgentInfo Describe()
    {
        var info = new AgentInfo
        {
            Hostname = options.Hostname,
            Port = options.Port,
            Resources =
            {
                Scalar("cpus", options.Cpus),
                Scalar("mem", options.MemoryMegabytes),
                Scalar("disk", options.DiskMegabytes),
                new Resource
                {
                    Name = "ports",
                    Type = Value.Types.Type.Ranges,
                    Ranges = new()
                    {
                        Range = { new Value.Types.Range { Begin = (ulong)options.Ports.Begin, End = (ulong)options.Ports.End } },
                    },
                },
            },
        };
        foreach (var (name, value) in options.Attributes)
            info.Attributes.Add(AttributeOf(name, value));
        if (world.Id is { } id)
            info.Id = id;
        return info;
    }

    private async Task Serve(IMasterDoor door, CancellationTokenSource ended)
    {
        var retry = FirstRetry;
        while (true)
        {
            try
            {
                using var opened = await door.Connect(ended.Token);
                lock (gate)
                    connection = opened;
                opened.Send(Introduction());
                if (await Converse(opened, ended.Token))
                    retry = FirstRetry;
                if (shutDown)
                    return;
            }
            catch (MasterUnavailable none)
            {
                Log.NoMaster(log, options.Hostname, none.Message);
            }
            finally
            {
                IsRegistered = false;
                lock (gate)
                    connection = null;
            }

            await Task.Delay(retry, time, ended.Token);
            retry = retry * 2 < LastRetry ? retry * 2 : LastRetry;
        }
    }

    private bool shutDown;

    // Until the connection ends or the master has been silent for too long. True when it got as far as a registration.
    private async Task<bool> Converse(IAgentConnection opened, CancellationToken stop)
    {
        while (true)
        {
            ToAgent? message;
            using (var silent = new CancellationTokenSource(pingTimeout, time))
            using (var either = CancellationTokenSource.CreateLinkedTokenSource(silent.Token, stop))
            {
                try
                {
                    message = await opened.Receive(either.Token);
                }
                catch (OperationCanceledException) when (!stop.IsCancellationRequested)
                {
                    return IsRegistered;
                }
            }

            if (message is null)
                return IsRegistered;
            await Handle(message, stop);
            if (shutDown)
                return true;
        }
    }

    private async Task Handle(ToAgent message, CancellationToken stop)
    {
        switch (message.MessageCase)
        {
            case ToAgent.MessageOneofCase.Registered:
                Register(message.Registered);
                break;
            case ToAgent.MessageOneofCase.RunTask:
                Launch(message.RunTask.Framework, null, [message.RunTask.Task], stop);
                break;
            case ToAgent.MessageOneofCase.RunGroup:
                Launch(message.RunGroup.Framework, message.RunGroup.Executor, message.RunGroup.Group.Tasks, stop);
                break;
            case ToAgent.MessageOneofCase.KillTask:
                if (Find(message.KillTask.Task) is { } task)
                    task.Kill(message.KillTask.KillPolicy);
                else
                    ReportUnknown(message.KillTask.Task);
                break;
            case ToAgent.MessageOneofCase.AcknowledgeUpdate:
                Acknowledge(message.AcknowledgeUpdate);
                break;
            case ToAgent.MessageOneofCase.ShutdownFramework:
                ShutDown(message.ShutdownFramework.FrameworkId);
                break;
            case ToAgent.MessageOneofCase.ShutdownExecutor:
                foreach (var run in Runs.Where(run => Is(run, message.ShutdownExecutor.FrameworkId, message.ShutdownExecutor.ExecutorId)))
                    run.ShutDown();
                break;
            case ToAgent.MessageOneofCase.Checkpoint:
                Checkpoint(message.Checkpoint);
                break;
            case ToAgent.MessageOneofCase.Drain:
                foreach (var running in Runs.SelectMany(run => run.Tasks))
                    running.Drain(message.Drain.MaxGracePeriod);
                break;
            case ToAgent.MessageOneofCase.Ping:
                Send(new ToMaster { Pong = new() });
                break;
            case ToAgent.MessageOneofCase.Shutdown:
                Log.ShutDown(log, options.Hostname, message.Shutdown.Message);
                await EndAll(stop);
                // Gone for good: started again, it is another agent.
                world.Directory.AgentId = null;
                world.Volumes.Keep([]);
                shutDown = true;
                break;
            case ToAgent.MessageOneofCase.ExecutorMessage:
            case ToAgent.MessageOneofCase.None:
            default:
                // Mesos' built-in executors take no messages either.
                break;
        }
    }

    private ToMaster Introduction()
    {
        var address = new Address
        {
            Hostname = options.Hostname,
            Ip = options.Ip,
            Port = options.Port,
        };
        if (world.Id is null)
        {
            return new ToMaster
            {
                Register = new()
                {
                    Agent = Describe(),
                    Version = options.Version,
                    Address = address,
                },
            };
        }

        var again = new ToMaster.Types.Reregister
        {
            Agent = Describe(),
            Version = options.Version,
            Address = address,
        };
        again.Checkpointed.Add(world.Volumes.Resources);
        foreach (var run in Runs.Where(run => !run.IsSettled))
        {
            if (!again.Frameworks.Any(known => known.Id.Equals(run.FrameworkId)))
                again.Frameworks.Add(run.Framework);
            if (run.Executor is not null && run.EndedAt is null)
                again.Executors.Add(run.Executor);
            foreach (var task in run.Tasks.Where(task => !task.IsSettled).Select(task => task.Record))
            {
                // The latest status is enough for the master.
                while (task.Statuses.Count > 1)
                    task.Statuses.RemoveAt(0);
                again.Tasks.Add(task);
            }
        }

        return new ToMaster { Reregister = again };
    }

    private void Register(ToAgent.Types.Registered registered)
    {
        if (world.Id is null)
        {
            world.Id = registered.AgentId;
            world.Directory.AgentId = registered.AgentId.Value;
        }

        pingTimeout = TimeSpan.FromSeconds(registered.PingTimeoutSeconds);
        IsRegistered = true;
        Log.Registered(log, options.Hostname, registered.AgentId.Value);
        foreach (var known in registered.Reconcile.Where(known => Find(known) is null))
            ReportUnknown(known);
        world.Outbox.Resend();
    }

    private void Launch(FrameworkInfo framework, ExecutorInfo? executor, IReadOnlyList<TaskInfo> tasks, CancellationToken stop)
    {
        ExecutorRun? run;
        lock (gate)
        {
            // A launch sent twice (the connection was lost in between) is one launch.
            if (tasks.All(task => runs.Any(known => known.FrameworkId.Equals(framework.Id) && known.Tasks.Any(other => !other.IsSettled && other.Id == task.TaskId.Value))))
                return;
            run = executor is null ? null : runs.FirstOrDefault(known => Is(known, framework.Id, executor.ExecutorId) && known.EndedAt is null);
        }

        try
        {
            if (run is null)
            {
                run = executor is null ? ExecutorRun.Command(world, framework, tasks[0]) : ExecutorRun.Pod(world, framework, executor);
                run.Make();
                lock (gate)
                    runs.Add(run);
            }

            run.Launch(tasks, stop);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            // A full disk, mostly. Nothing was started: a task's files are written before.
            foreach (var task in tasks.Where(task => run?.Tasks.Any(known => known.Id == task.TaskId.Value && known.Process is not null) != true))
                Report(framework.Id, task.TaskId, TaskState.TaskFailed, $"Failed to make the sandbox: {refused.Message}", TaskStatus.Types.Reason.ContainerLaunchFailed);
        }
    }

    // Without the answer the master sends it again when this agent has come back.
    private void Checkpoint(ToAgent.Types.Checkpoint checkpoint)
    {
        try
        {
            world.Volumes.Keep(checkpoint.Resources);
        }
        catch (Exception full) when (full is IOException or UnauthorizedAccessException)
        {
            Log.CheckpointFailed(log, options.Hostname, options.WorkDirectory, full.Message);
            return;
        }

        Send(new ToMaster { Checkpointed = new() { Operations = { checkpoint.Operations } } });
    }

    private void Acknowledge(ToAgent.Types.AcknowledgeUpdate acknowledged)
    {
        if (Find(acknowledged.Task) is { } task)
            task.Acknowledge(acknowledged.Uuid);
        else
            world.Outbox.Acknowledge(acknowledged.Task.FrameworkId, acknowledged.Task.TaskId, acknowledged.Uuid);
    }

    private void ShutDown(FrameworkID framework)
    {
        foreach (var run in Runs.Where(run => run.FrameworkId.Equals(framework)))
        {
            run.ShutDown();
            foreach (var task in run.Tasks)
                task.Settle();
        }

        world.Outbox.Forget(framework);
    }

    private void ReportUnknown(TaskRef task) =>
        Report(task.FrameworkId, task.TaskId, TaskState.TaskDropped, "The task is unknown to the agent", TaskStatus.Types.Reason.Reconciliation);

    private void Report(FrameworkID framework, TaskID task, TaskState state, string message, TaskStatus.Types.Reason reason) =>
        world.Outbox.Add(
            framework,
            new TaskStatus
            {
                TaskId = task,
                State = state,
                Message = message,
                Source = TaskStatus.Types.Source.Agent,
                Reason = reason,
                AgentId = world.Id,
                Timestamp = world.Now,
                Uuid = world.NewUuid(),
            }
        );

    private AgentTask? Find(TaskRef task) =>
        Runs.Where(run => run.FrameworkId.Equals(task.FrameworkId))
            .SelectMany(run => run.Tasks)
            .LastOrDefault(known => known.Id == task.TaskId.Value);

    private static bool Is(ExecutorRun run, FrameworkID framework, ExecutorID executor) =>
        run.FrameworkId.Equals(framework) && run.ExecutorId.Equals(executor);

    private void Recover(CancellationToken stop)
    {
        if (world.Directory.AgentId is not { } id)
            return;
        world.Id = new AgentID { Value = id };
        foreach (var directory in world.Directory.RunMetas())
        {
            try
            {
                if (ExecutorRun.Recover(world, directory) is { } run)
                {
                    lock (gate)
                        runs.Add(run);
                }
            }
            catch (Exception unreadable) when (unreadable is IOException or Google.Protobuf.InvalidProtocolBufferException or FormatException)
            {
                Log.CheckpointUnreadable(log, options.Hostname, directory, unreadable.Message);
            }
        }

        var unended = Runs.SelectMany(run => run.Tasks).Count(task => !task.IsTerminal);
        foreach (var run in Runs)
            run.Resume(stop);
        var running = RunningTasks;
        Log.Recovered(log, options.Hostname, running, unended - running);
    }

    private async Task EndAll(CancellationToken stop)
    {
        foreach (var run in Runs)
            run.ShutDown();
        // The watch over each task ends after its last update is written down.
        await world.Settled().WaitAsync(stop);
    }

    private async Task Clean(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await Task.Delay(CleanInterval, time, stop);
                RemoveOld();
            }
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
            return;
        }
    }

    /// <summary>Deletes the sandboxes whose time is over, of tasks whose last update is acknowledged.</summary>
    internal void RemoveOld()
    {
        var before = time.GetUtcNow() - options.SandboxAge;
        foreach (var run in Runs.Where(run => run.EndedAt <= before && run.IsSettled))
        {
            try
            {
                world.Directory.Delete(run.Container.Value, run.Sandbox);
                lock (gate)
                    runs.Remove(run);
            }
            catch (IOException busy)
            {
                Log.Note(log, options.Hostname, $"sandbox {run.Sandbox} cannot be removed yet: {busy.Message}");
            }
        }
    }

    private void Send(ToMaster message)
    {
        IAgentConnection? current;
        lock (gate)
            current = connection;
        current?.Send(message);
    }

    // As Mesos reads its flag: what is a number is a scalar.
    private static Protocol.Attribute AttributeOf(string name, string value) =>
        double.TryParse(value, System.Globalization.NumberStyles.AllowDecimalPoint, System.Globalization.CultureInfo.InvariantCulture, out var number)
            ? new() { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = number } }
            : new() { Name = name, Type = Value.Types.Type.Text, Text = new() { Value = value } };

    private static Resource Scalar(string name, double value) =>
        new()
        {
            Name = name,
            Type = Value.Types.Type.Scalar,
            Scalar = new() { Value = value },
        };
}
