using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
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
    private readonly RunTable runs = new();
    private readonly AgentWorld world;
    private readonly MasterMessages messages;
    private IAgentConnection? connection;
    private TimeSpan pingTimeout = TimeSpan.FromSeconds(75);

    /// <param name="random">Ids of containers and updates.</param>
    public ProcessAgent(AgentOptions options, TimeProvider time, Random random, ILogger? log = null)
    {
        this.options = options;
        this.time = time;
        this.log = log ?? NullLogger.Instance;
        world = new AgentWorld(options, time, random, this.log, Send);
        messages = new MasterMessages(world, runs);
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

    /// <summary>See <see cref="AgentWorld.ChecksRunning"/>.</summary>
    internal int ChecksRunning => world.ChecksRunning;

    /// <summary>Registered with a master now.</summary>
    public bool IsRegistered { get; private set; }

    /// <summary>Of the master that it registered with last; null before, and where that does not say it.</summary>
    internal string? MasterHostname { get; private set; }

    /// <summary>It has read what an earlier agent left: before, it does not know whose executor speaks to it.</summary>
    internal bool HasRecovered { get; private set; }

    /// <summary>All that it knows, oldest first; ended ones until their sandbox is removed.</summary>
    internal IReadOnlyList<ExecutorRun> Runs => runs.All;

    internal AgentInfo Describe() => AgentDescription.Of(options, world.Id);

    /// <summary>All its resources, with the reservations and volumes that were made of them.</summary>
    internal ResourceBag Total()
    {
        var total = ResourceBag.Of(Describe().Resources);
        total.Restore(world.Volumes.Resources);
        return total;
    }

    /// <summary>The executor of a framework's own that runs under this id; null with the reason where there is none.</summary>
    internal OwnExecutor? ExecutorOf(FrameworkID framework, ExecutorID executor, out string unknown)
    {
        unknown = Runs.Any(run => run.FrameworkId.Equals(framework)) ? "Executor cannot be found" : "Framework cannot be found";
        return runs.Find(framework, executor) is { EndedAt: null } run ? run.Own : null;
    }

    /// <summary>Hands an executor's message on to its framework; lost without a master, as in Mesos.</summary>
    internal void Pass(Protocol.ExecutorApi.Call call) =>
        Send(
            new ToMaster
            {
                FrameworkMessage = new()
                {
                    FrameworkId = call.FrameworkId,
                    ExecutorId = call.ExecutorId,
                    Data = call.Message.Data,
                },
            }
        );

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
                opened.Send(AgentDescription.Introduction(world, Runs));
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
            case ToAgent.MessageOneofCase.Ping:
                Send(new ToMaster { Pong = new() });
                break;
            case ToAgent.MessageOneofCase.Shutdown:
                Log.ShutDown(log, options.Hostname, message.Shutdown.Message);
                await EndAll(stop);
                // Gone for good: started again, it is another agent.
                world.Directory.AgentId = null;
                world.Volumes.Clear();
                shutDown = true;
                break;
            default:
                messages.Handle(message, stop);
                break;
        }
    }

    private void Register(ToAgent.Types.Registered registered)
    {
        if (world.Id is null)
        {
            world.Id = registered.AgentId;
            world.Directory.AgentId = registered.AgentId.Value;
        }

        pingTimeout = TimeSpan.FromSeconds(registered.PingTimeoutSeconds);
        MasterHostname = registered.HasMasterHostname ? registered.MasterHostname : null;
        IsRegistered = true;
        Log.Registered(log, options.Hostname, registered.AgentId.Value);
        messages.Answer(registered.Reconcile);
        world.Outbox.Resend();
    }

    private void Recover(CancellationToken stop)
    {
        if (world.Directory.AgentId is { } id)
            Recover(new AgentID { Value = id }, stop);
        HasRecovered = true;
    }

    private void Recover(AgentID id, CancellationToken stop)
    {
        world.Id = id;
        foreach (var directory in world.Directory.RunMetas())
        {
            try
            {
                if (ExecutorRun.Recover(world, directory) is { } run)
                {
                    runs.Add(run);
                    runs.Index(run);
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
}
