using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>One task from its launch to the acknowledgement of its last update.</summary>
internal sealed class AgentTask
{
    private const string TaskFile = "task";
    private const string UpdatesFile = "updates";
    private const string KillFile = "kill";
    private const int OutputTailBytes = 400;
    private const int CommandNotFound = 127;
    private static readonly TimeSpan DefaultGrace = TimeSpan.FromSeconds(3);

    private readonly Lock gate = new();
    private readonly AgentWorld world;
    private readonly ExecutorRun run;
    private readonly UpdateLog updates;
    private readonly MesosTask record;
    private RunningProcess? process;
    private bool killRequested;
    private bool outOfTime;
    private TaskStatus.Types.Reason? killedBecause;
    private bool settled;

    /// <param name="name">Its own among the tasks of the run; of its container too, where it has one.</param>
    public AgentTask(AgentWorld world, ExecutorRun run, TaskInfo info, string name, int group)
    {
        this.world = world;
        this.run = run;
        Info = info;
        Container = run.ContainerOf(name);
        Group = group;
        RecordDirectory = Path.Combine(run.MetaDirectory, "tasks", $"{group}.{name}");
        updates = new UpdateLog(Path.Combine(RecordDirectory, UpdatesFile));
        record = TaskRecord.Of(info, run.FrameworkId, run.Executor?.ExecutorId);
        CheckStatus = info.Check is null ? null : TaskChecks.NoResult(info.Check);
    }

    public TaskInfo Info { get; }
    public string Id => Info.TaskId.Value;
    public ContainerID Container { get; }

    /// <summary>Tasks of one group live and die together; an executor may get a second group.</summary>
    public int Group { get; }
    public string RecordDirectory { get; }
    public string Sandbox => run.SandboxOf(this);

    /// <summary>What the agent gives, without the task's own.</summary>
    public IReadOnlyList<(string Name, string Value)> Environment => ExecutorEnvironment.Of(world, run, this, Sandbox);

    public bool? Healthy { get; private set; }
    public CheckStatusInfo? CheckStatus { get; private set; }
    public RunningProcess? Process => process;

    /// <summary>Its executor, one that the framework brings, was told to launch it.</summary>
    public bool IsSent { get; set; }

    /// <summary>Nothing was ever reported of it.</summary>
    public bool IsStaging
    {
        get
        {
            lock (gate)
                return record.State == TaskState.TaskStaging;
        }
    }

    /// <summary>A process of it in whose mounts others are to run, its resolv.conf among them; null where it sees the machine's.</summary>
    public int? Mounts => process is { } running && File.Exists(Path.Combine(RecordDirectory, PodResolver.FileName)) ? running.KeeperPid : null;

    public bool IsTerminal
    {
        get
        {
            lock (gate)
                return record.State.IsTerminal();
        }
    }

    /// <summary>Its last update is acknowledged: nobody needs to hear of it any more.</summary>
    public bool IsSettled
    {
        get
        {
            lock (gate)
                return settled;
        }
    }

    /// <summary>A copy: the original changes.</summary>
    public MesosTask Record
    {
        get
        {
            lock (gate)
                return record.Clone();
        }
    }

    /// <summary>Writes the task down, so that a later agent knows that it was to be launched.</summary>
    public void Begin()
    {
        Directory.CreateDirectory(RecordDirectory);
        WorkDirectory.Write(Path.Combine(RecordDirectory, TaskFile), Info);
    }

    /// <summary>Starts the process and reports TASK_STARTING: what never started has no such update.</summary>
    /// <returns>Null when it runs, else why it cannot.</returns>
    public string? Start(ProcessLaunch launch)
    {
        var (started, error) = world.Runner.Start(launch);
        process = started;
        if (started is not null)
            Post(TaskState.TaskStarting);
        return error;
    }

    public void Fail(string message) =>
        Post(TaskState.TaskFailed, message, TaskStatus.Types.Source.Agent, TaskStatus.Types.Reason.ContainerLaunchFailed);

    public void KilledBeforeStart(string message) =>
        Post(TaskState.TaskKilled, message, TaskStatus.Types.Source.Executor, TaskStatus.Types.Reason.TaskKilledDuringLaunch);

    public void Drop(string message) =>
        Post(TaskState.TaskDropped, message, TaskStatus.Types.Source.Agent, TaskStatus.Types.Reason.AgentRestarted);

    /// <summary>Reports that it runs, watches over it and reports how it ended. Canceled when the agent stops: then the process goes on.</summary>
    public async Task Watch(CancellationToken stop)
    {
        var running = process!;
        if (!HasRun)
            Post(TaskState.TaskRunning);
        var started = Started();
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var checks = new TaskChecks(this, world, Environment, Sandbox);
        List<Task> beside = [];
        if (Info.HealthCheck is { } health)
            beside.Add(checks.Health(health, started, ended.Token));
        if (Info.Check is { } check)
            beside.Add(checks.Check(check, ended.Token));
        if (Info.MaxCompletionTime is { } most)
            beside.Add(EndAfter(started + Duration(most), ended.Token));
        try
        {
            var exit = await running.Ended;
            Conclude(running, exit);
        }
        finally
        {
            ended.Cancel();
            await Task.WhenAll(beside.Select(Quiet));
        }
    }

    /// <summary>TERM, and KILL after the grace period of the policy, else of the task's own. A later call can only shorten it.</summary>
    public void Kill(KillPolicy? policy, TimeSpan? defaultGrace = null)
    {
        if (run.Own is { } own)
        {
            NoteKill();
            own.Kill(this, policy);
            return;
        }

        Kill((policy ?? Info.KillPolicy)?.GracePeriod is { } given ? Duration(given) : defaultGrace ?? DefaultGrace);
    }

    /// <summary>The agent drains: as a kill, with its own reason and a grace period that is cut to this one.</summary>
    public void Drain(DurationInfo? most)
    {
        var own = Info.KillPolicy?.GracePeriod is { } given ? Duration(given) : DefaultGrace;
        lock (gate)
        {
            if (!killRequested)
                killedBecause = TaskStatus.Types.Reason.AgentDraining;
        }

        var grace = most is not null && Duration(most) < own ? Duration(most) : own;
        if (run.Own is not null)
            Kill(new KillPolicy { GracePeriod = new() { Nanoseconds = grace.Ticks * TimeSpan.NanosecondsPerTick } });
        else
            Kill(grace);
    }

    private void Kill(TimeSpan grace)
    {
        bool first;
        lock (gate)
        {
            if (record.State.IsTerminal() || process is null)
                return;
            first = !killRequested;
            killRequested = true;
        }

        if (first)
        {
            NoteKill();
            // As in Mesos: a task that is out of time is not said to be killed.
            if (run.KnowsKilling && !outOfTime && record.State != TaskState.TaskKilling)
                Post(TaskState.TaskKilling, reason: killedBecause);
        }

        world.Own(End(process, first, grace));
    }

    // A later agent goes on with the kill.
    private void NoteKill() => Checkpoint(() => File.WriteAllText(Path.Combine(RecordDirectory, KillFile), ""));

    /// <summary>An update of the framework's own executor, with its uuid. One that is known already is not taken twice.</summary>
    /// <param name="again">It may have been sent before: the executor has subscribed anew.</param>
    public void Take(TaskStatus given, bool again)
    {
        if (again && updates.Read().Updates.Exists(known => known.Uuid.Equals(given.Uuid)))
            return;
        var status = given.Clone();
        status.Source = TaskStatus.Types.Source.Executor;
        status.AgentId = world.Id;
        status.ExecutorId = run.ExecutorId;
        if (!status.HasTimestamp)
            status.Timestamp = world.Now;
        if (killedBecause is { } why && status.State == TaskState.TaskKilled)
            status.Reason = why;
        status.ContainerStatus ??= run.StatusOf(this, status.State.IsTerminal());
        Keep(status);
    }

    /// <summary>The executor that the framework brought has ended before it told how the task did.</summary>
    public void EndWithExecutor(string message, TaskStatus.Types.Reason reason) => Post(TaskState.TaskFailed, message, TaskStatus.Types.Source.Agent, reason);

    public void ReportHealth(bool healthy)
    {
        Healthy = healthy;
        Post(
            TaskState.TaskRunning,
            reason: TaskStatus.Types.Reason.TaskHealthCheckStatusUpdated
        );
    }

    public void ReportCheck(CheckStatusInfo result)
    {
        CheckStatus = result;
        Post(TaskState.TaskRunning, reason: TaskStatus.Types.Reason.TaskCheckStatusUpdated);
    }

    public void Acknowledge(ByteString uuid)
    {
        if (world.Outbox.Acknowledge(run.FrameworkId, Info.TaskId, uuid) is not { } acknowledged)
            return;
        Checkpoint(() => updates.Acknowledged(uuid));
        if (!acknowledged.State.IsTerminal())
            return;
        lock (gate)
            settled = true;
    }

    /// <summary>Nobody waits for its updates any more.</summary>
    public void Settle()
    {
        lock (gate)
            settled = true;
    }

    /// <summary>Reads what an earlier agent left. Unacknowledged updates go out again; the process is found, or its exit, or that it never started.</summary>
    public static AgentTask? Recover(AgentWorld world, ExecutorRun run, string directory)
    {
        var name = Path.GetFileName(directory);
        var file = Path.Combine(directory, TaskFile);
        // Without the file the agent died before it promised anything about this task.
        if (!File.Exists(file) || name.IndexOf('.', StringComparison.Ordinal) is not (> 0 and var dot))
            return null;
        var info = TaskInfo.Parser.ParseFrom(File.ReadAllBytes(file));
        var task = new AgentTask(world, run, info, name[(dot + 1)..], int.Parse(name.AsSpan(0, dot), System.Globalization.CultureInfo.InvariantCulture)) { IsSent = true };
        var (known, acknowledged) = task.updates.Read();
        for (var i = 0; i < known.Count; i++)
        {
            task.Remember(known[i]);
            if (i >= acknowledged)
                world.Outbox.Add(run.FrameworkId, known[i]);
        }

        // As recorded: an agent that was started anew says which update was last on its way while one is.
        if (acknowledged >= known.Count)
        {
            task.record.ClearStatusUpdateState();
            task.record.ClearStatusUpdateUuid();
        }

        task.settled = task.record.State.IsTerminal() && acknowledged >= known.Count;
        if (!task.record.State.IsTerminal() && run.Kind != ExecutorKind.Own)
            task.process = world.Runner.Adopt(task.Container.Value, task.RecordDirectory, TaskCommand.Input(info) == ProcessInput.Terminal ? Path.Combine(task.Sandbox, "stdout") : null);
        return task;
    }

    /// <summary>Kills again what an earlier agent was killing when it died.</summary>
    public void ResumeKill()
    {
        if (File.Exists(Path.Combine(RecordDirectory, KillFile)))
            Kill(policy: null);
    }

    private bool HasRun => record.Statuses.Any(status => status.State is TaskState.TaskRunning or TaskState.TaskKilling);

    private DateTimeOffset Started()
    {
        lock (gate)
        {
            var first = record.Statuses.FirstOrDefault(status => status.State == TaskState.TaskRunning) ?? record.Statuses[^1];
            return DateTimeOffset.UnixEpoch + TimeSpan.FromSeconds(first.Timestamp);
        }
    }

    private async Task EndAfter(DateTimeOffset deadline, CancellationToken stop)
    {
        var left = deadline - world.Time.GetUtcNow();
        if (left > TimeSpan.Zero)
            await Task.Delay(left, world.Time, stop);
        outOfTime = true;
        Kill(policy: null);
    }

    private async Task End(RunningProcess running, bool first, TimeSpan grace)
    {
        if (first)
            running.Terminate();
        try
        {
            await running.Ended.WaitAsync(grace, world.Time);
        }
        catch (TimeoutException)
        {
            try
            {
                await running.Kill();
            }
            catch (OperationCanceledException)
            {
                // The agent stops; the note of the kill lets the next one finish it.
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // The same.
            return;
        }
    }

    private void Conclude(RunningProcess running, ProcessExit exit)
    {
        bool killed;
        lock (gate)
            killed = killRequested;
        if (outOfTime)
            Post(TaskState.TaskFailed, exit.ToString(), reason: TaskStatus.Types.Reason.MaxCompletionTimeReached);
        else if (killed)
            Post(TaskState.TaskKilled, exit.ToString(), reason: killedBecause);
        else if (exit.Succeeded)
            Post(TaskState.TaskFinished, exit.ToString());
        else if (running.RanOutOfMemory)
            Post(TaskState.TaskFailed, "Memory limit exceeded: " + MemoryLimit(), TaskStatus.Types.Source.Agent, TaskStatus.Types.Reason.ContainerLimitationMemory);
        else if (exit == ProcessExit.Unseen)
            Post(TaskState.TaskFailed, exit.ToString(), TaskStatus.Types.Source.Agent, TaskStatus.Types.Reason.ExecutorTerminated);
        else
            Post(TaskState.TaskFailed, exit.Code == CommandNotFound ? $"{exit}: {LastError()}" : exit.ToString());
    }

    private string MemoryLimit() =>
        Info.Limits.TryGetValue("mem", out var limit) ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{limit.Value} MB") : "none set";

    // A shell says on stderr which command it did not find.
    private string LastError()
    {
        using var file = new FileStream(Path.Combine(Sandbox, "stderr"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Seek(-Math.Min(file.Length, OutputTailBytes), SeekOrigin.End);
        using var reader = new StreamReader(file);
        return reader.ReadToEnd().TrimEnd().Split('\n')[^1];
    }

    private void Post(
        TaskState state,
        string? message = null,
        TaskStatus.Types.Source source = TaskStatus.Types.Source.Executor,
        TaskStatus.Types.Reason? reason = null
    )
    {
        var status = new TaskStatus
        {
            TaskId = Info.TaskId,
            State = state,
            Source = source,
            AgentId = world.Id,
            ExecutorId = run.ExecutorId,
            Timestamp = world.Now,
            Uuid = world.NewUuid(),
        };
        if (message is not null)
            status.Message = message;
        if (reason is { } why)
            status.Reason = why;
        var terminal = state.IsTerminal();
        // As Mesos' executors do: TASK_KILLING says nothing about health, the last update says it again when it was bad.
        if (Healthy is { } healthy && (state == TaskState.TaskRunning || (terminal && !healthy)))
            status.Healthy = healthy;
        if (CheckStatus is not null && state is TaskState.TaskStarting or TaskState.TaskRunning)
            status.CheckStatus = CheckStatus;
        if (source == TaskStatus.Types.Source.Executor)
            status.ContainerStatus = run.StatusOf(this, terminal);
        Keep(status);
    }

    private void Keep(TaskStatus status)
    {
        lock (gate)
        {
            if (record.State.IsTerminal())
                return;
            // A result that came while the task was being killed says nothing new.
            if (record.State == TaskState.TaskKilling && status.State == TaskState.TaskRunning)
                return;
            Remember(status);
            Checkpoint(() => updates.Append(status));
            world.Outbox.Add(run.FrameworkId, status);
        }
    }

    // Only the last of several updates with the same state is kept: a task may flap for years.
    private void Remember(TaskStatus status)
    {
        if (record.Statuses is [.., var last] && last.State == status.State && last.State != TaskState.TaskRunning)
            record.Statuses.RemoveAt(record.Statuses.Count - 1);
        else if (record.Statuses.Count(known => known.State == TaskState.TaskRunning) > 1 && record.Statuses[^1].State == status.State)
            record.Statuses.RemoveAt(record.Statuses.Count - 1);
        record.Statuses.Add(status);
        record.State = status.State;
        record.StatusUpdateState = status.State;
        record.StatusUpdateUuid = status.Uuid;
        if (status.HasHealthy)
            Healthy = status.Healthy;
        if (status.CheckStatus is not null)
            CheckStatus = status.CheckStatus;
    }

    private void Checkpoint(Action write)
    {
        try
        {
            write();
        }
        catch (IOException full)
        {
            // The task goes on; only a crash of the agent now would forget this step.
            Log.CheckpointFailed(world.Log, world.Options.Hostname, RecordDirectory, full.Message);
        }
    }

    private static async Task Quiet(Task beside)
    {
        try
        {
            await beside;
        }
        catch (OperationCanceledException)
        {
            // Ended because the task did.
            return;
        }
    }

    private static TimeSpan Duration(DurationInfo duration) => TimeSpan.FromTicks(duration.Nanoseconds / TimeSpan.NanosecondsPerTick);
}
