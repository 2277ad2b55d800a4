using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.ExecutorApi;
using Google.Protobuf;
using EventType = Declarative.Mesos.Protocol.ExecutorApi.Event.Types.Type;
using Reason = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// The executor that a framework brings: a process that subscribes to this agent, is told of its tasks and reports how they do. When it ends,
/// its tasks have failed. It outlives the agent and subscribes to the next one.
/// </summary>
/// <remarks>Thread-safe. What is to be told waits while nobody is subscribed.</remarks>
internal sealed class OwnExecutor(AgentWorld world, ExecutorRun run)
{
    /// <summary>Below the run's directory: what is needed to find the process again.</summary>
    public const string RecordFolder = "process";

    private readonly Lock gate = new();
    private readonly List<(IReadOnlyList<AgentTask> Tasks, bool AsGroup)> waiting = [];
    private readonly Dictionary<string, (AgentTask Task, KillPolicy? Policy)> kills = new(StringComparer.Ordinal);
    private EventStream<Event>? stream;
    private bool shutsDown;
    private (string Message, Reason Reason)? endedBecause;

    /// <summary>Null before its start, and where it could not be started.</summary>
    public RunningProcess? Process { get; private set; }

    public ContainerID Container => run.Container;

    /// <summary>It has subscribed to this agent, at least once.</summary>
    public bool IsKnown { get; private set; }

    /// <summary>Tasks that it has not been told of yet.</summary>
    public IReadOnlyList<AgentTask> Queued
    {
        get
        {
            lock (gate)
                return [.. waiting.SelectMany(one => one.Tasks)];
        }
    }

    /// <summary>Starts the process at the first launch; tells it of the tasks when it has subscribed.</summary>
    public void Launch(IReadOnlyList<AgentTask> tasks, bool asGroup, CancellationToken stop)
    {
        lock (gate)
            waiting.Add((tasks, asGroup));
        if (Process is null && Start(stop) is { } refused)
        {
            foreach (var task in tasks)
                task.Fail(refused);
            // Exit code 1, as of a container that could not be made.
            run.End(waitStatus: 256);
            return;
        }

        Tell();
    }

    /// <summary>Asks it to kill a task. One that it was not told of yet it will not hear of.</summary>
    public void Kill(AgentTask task, KillPolicy? policy)
    {
        bool withdrawn;
        lock (gate)
        {
            var queued = waiting.FindIndex(one => one.Tasks.Contains(task));
            withdrawn = queued >= 0;
            if (withdrawn)
            {
                foreach (var one in waiting[queued].Tasks)
                    one.KilledBeforeStart("Killed before it was delivered to the executor");
                waiting.RemoveAt(queued);
            }
            else if (!kills.TryGetValue(task.Id, out var known) || known.Task != task || policy is not null)
            {
                kills[task.Id] = (task, policy);
                Send(KillOf(task, policy));
            }
        }

        // As in Mesos: an executor that never had a task is not kept.
        if (withdrawn && run.Tasks.All(one => one.IsTerminal))
            ShutDown(world.Options.Executors.ShutdownGrace);
    }

    /// <summary>Tells it to end, and ends it after the grace period.</summary>
    public void ShutDown(TimeSpan grace)
    {
        lock (gate)
        {
            if (shutsDown)
                return;
            shutsDown = true;
            Send(new Event { Type = EventType.Shutdown });
        }

        if (Process is { } process)
            world.Own(KillAfter(process, grace));
    }

    /// <summary>A framework's message; lost while it is not subscribed, as in Mesos.</summary>
    public void Message(ByteString data)
    {
        lock (gate)
            Send(new Event { Type = EventType.Message, Message = new() { Data = data } });
    }

    /// <summary>
    /// A subscription, which ends an earlier one. What was not acknowledged to it is taken, tasks that never reached it are dropped, the waiting
    /// ones launched.
    /// </summary>
    public EventStream<Event> Subscribe(Call.Types.Subscribe call, AgentInfo agent)
    {
        var next = new EventStream<Event>(run.Container.Value);
        next.Send(
            new Event
            {
                Type = EventType.Subscribed,
                Subscribed = new()
                {
                    ExecutorInfo = run.Executor,
                    FrameworkInfo = run.Framework,
                    AgentInfo = agent,
                    ContainerId = run.Container,
                },
            }
        );
        var known = call.UnacknowledgedTasks.Select(task => task.TaskId.Value).Concat(call.UnacknowledgedUpdates.Select(update => update.Status.TaskId.Value)).ToHashSet(StringComparer.Ordinal);
        List<AgentTask> lost;
        lock (gate)
        {
            // Before the first launch on the new stream: what was sent by then went another way.
            lost = [.. run.Tasks.Where(task => task.IsSent && task.IsStaging && !known.Contains(task.Id))];
            stream?.Close();
            stream = next;
            IsKnown = true;
        }

        foreach (var update in call.UnacknowledgedUpdates)
            Update(update.Status, again: true);
        foreach (var task in lost)
            task.Drop("Task launched during agent restart");
        Tell();
        lock (gate)
        {
            foreach (var (task, policy) in kills.Values.Where(one => !one.Task.IsTerminal))
                Send(KillOf(task, policy));
            if (shutsDown)
                Send(new Event { Type = EventType.Shutdown });
        }

        return next;
    }

    /// <summary>The connection of a subscription has ended; it may be an earlier one.</summary>
    public void Disconnected(EventStream<Event> ended)
    {
        ended.Close();
        lock (gate)
        {
            if (stream == ended)
                stream = null;
        }
    }

    /// <summary>Takes an update and says so: from then on the agent keeps it until the framework has it.</summary>
    public void Update(TaskStatus status, bool again = false)
    {
        if (run.Tasks.LastOrDefault(task => task.Id == status.TaskId.Value) is { } task)
            task.Take(status, again);
        lock (gate)
            Send(new Event { Type = EventType.Acknowledged, Acknowledged = new() { TaskId = status.TaskId, Uuid = status.Uuid } });
    }

    /// <summary>Finds the process again that an earlier agent started, and waits for its subscription.</summary>
    public void Resume(CancellationToken stop)
    {
        Process = world.Runner.Adopt(run.Container.Value, RecordDirectory);
        if (Process is null)
        {
            foreach (var task in run.Tasks.Where(task => !task.IsTerminal))
                task.Drop("The agent ended before it had started the executor");
            run.End(waitStatus: 256);
            return;
        }

        foreach (var task in run.Tasks.Where(task => !task.IsTerminal))
            task.ResumeKill();
        var patience = world.Options.Executors.Reregistration;
        world.Own(Follow(Process, patience, $"Executor did not reregister within {Seconds(patience)}secs", Reason.ExecutorReregistrationTimeout, stop));
    }

    private string RecordDirectory => Path.Combine(run.MetaDirectory, RecordFolder);

    // Null, or why there is no process.
    private string? Start(CancellationToken stop)
    {
        var executor = run.Executor!;
        // To the runner it is a task like any other.
        var asTask = new TaskInfo { Name = executor.Name, TaskId = new() { Value = executor.ExecutorId.Value }, Command = executor.Command, Container = executor.Container };
        asTask.Resources.Add(executor.Resources);
        world.Volumes.LinkInto(run.Sandbox, executor.Resources);
        var (launch, refusal) = TaskCommand.Prepare(asTask, ExecutorEnvironment.Of(world, run), run.Container.Value, run.Sandbox, RecordDirectory);
        if (launch is null)
            return refusal;
        var (process, error) = world.Runner.Start(launch);
        if (process is null)
            return error;
        Process = process;
        var patience = world.Options.Executors.Registration;
        world.Own(Follow(process, patience, $"Executor did not register within {Seconds(patience)}secs", Reason.ExecutorRegistrationTimeout, stop));
        return null;
    }

    private async Task Follow(RunningProcess process, TimeSpan patience, string late, Reason lateReason, CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task[] beside = [GiveUp(process, patience, late, lateReason, ended.Token), Beat(ended.Token)];
        try
        {
            var exit = await process.Ended;
            var (message, reason) = endedBecause ?? ("Executor terminated", Reason.ExecutorTerminated);
            foreach (var task in run.Tasks)
                task.EndWithExecutor(message, reason);
            run.End(exit.WaitStatus);
        }
        catch (OperationCanceledException)
        {
            // The agent stops; the executor goes on.
            ended.Cancel();
        }
        finally
        {
            ended.Cancel();
            lock (gate)
                stream?.Close();
            await Task.WhenAll(beside);
        }
    }

    private async Task GiveUp(RunningProcess process, TimeSpan patience, string message, Reason reason, CancellationToken stop)
    {
        try
        {
            await Task.Delay(patience, world.Time, stop);
            if (IsKnown)
                return;
            endedBecause = (message, reason);
            await process.Kill();
        }
        catch (OperationCanceledException)
        {
            // It ended, or the agent stops.
            return;
        }
    }

    private async Task Beat(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await Task.Delay(world.Options.Executors.Heartbeat, world.Time, stop);
                lock (gate)
                    Send(new Event { Type = EventType.Heartbeat });
            }
        }
        catch (OperationCanceledException)
        {
            // The same.
            return;
        }
    }

    private async Task KillAfter(RunningProcess process, TimeSpan grace)
    {
        try
        {
            try
            {
                await process.Ended.WaitAsync(grace, world.Time);
            }
            catch (TimeoutException)
            {
                await process.Kill();
            }
        }
        catch (OperationCanceledException)
        {
            // The agent stops: the next one has the tasks to kill.
            return;
        }
    }

    // What waits is launched when somebody is there to be told.
    private void Tell()
    {
        lock (gate)
        {
            if (stream is null || shutsDown)
                return;
            foreach (var (tasks, asGroup) in waiting)
            {
                foreach (var task in tasks)
                    task.IsSent = true;
                if (asGroup)
                {
                    var group = new Event { Type = EventType.LaunchGroup, LaunchGroup = new() { TaskGroup = new() } };
                    group.LaunchGroup.TaskGroup.Tasks.Add(tasks.Select(task => task.Info));
                    Send(group);
                    continue;
                }

                foreach (var task in tasks)
                    Send(new Event { Type = EventType.Launch, Launch = new() { Task = task.Info } });
            }

            waiting.Clear();
        }
    }

    private void Send(Event message) => stream?.Send(message);

    private static Event KillOf(AgentTask task, KillPolicy? policy)
    {
        var kill = new Event { Type = EventType.Kill, Kill = new() { TaskId = task.Info.TaskId } };
        if (policy is not null)
            kill.Kill.KillPolicy = policy;
        return kill;
    }

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
