using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Capability = Declarative.Mesos.Protocol.FrameworkInfo.Types.Capability.Types.Type;
using Reason = Declarative.Mesos.Protocol.TaskStatus.Types.Reason;
using Source = Declarative.Mesos.Protocol.TaskStatus.Types.Source;

namespace Declarative.Mesos.Mini.Emulated;

/// <summary>The tasks of one emulated agent. Called with the agent's gate held.</summary>
internal sealed class EmulatedTasks : IDisposable
{
    private readonly EmulatedAgentOptions _options;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Deadlines _later;
    private readonly Action<ToMaster> _send;
    private readonly Dictionary<(string Framework, string Task), EmulatedTask> _tasks = [];
    private readonly Dictionary<(string Framework, string Executor), EmulatedExecutor> _executors = [];
    private UpdateOutbox _outbox;
    private AgentID? _agent;

    public EmulatedTasks(EmulatedAgentOptions options, TimeProvider time, Random random, Deadlines later, Action<ToMaster> send)
    {
        _options = options;
        _time = time;
        _random = random;
        _later = later;
        _send = send;
        _outbox = new UpdateOutbox(time, send);
    }

    public IReadOnlyList<(string, TaskState)> List() => [.. _tasks.Values.Select(task => (task.Id, task.Record.State))];

    public void Handle(ToAgent message)
    {
        switch (message.MessageCase)
        {
            case ToAgent.MessageOneofCase.RunTask:
                Launch(message.RunTask.Framework, message.RunTask.Task, null);
                break;
            case ToAgent.MessageOneofCase.RunGroup:
                Launch(message.RunGroup);
                break;
            case ToAgent.MessageOneofCase.KillTask:
                Kill(message.KillTask);
                break;
            case ToAgent.MessageOneofCase.AcknowledgeUpdate:
                Acknowledge(message.AcknowledgeUpdate);
                break;
            case ToAgent.MessageOneofCase.ShutdownFramework:
                Drop(message.ShutdownFramework.FrameworkId);
                break;
            case ToAgent.MessageOneofCase.Drain:
                var drain = message.Drain.MaxGracePeriod is { } grace ? TimeSpan.FromTicks(grace.Nanoseconds / 100) : TimeSpan.MaxValue;
                foreach (var task in _tasks.Values.Where(task => task is { IsOver: false, IsKilled: false }).ToList())
                    Kill(task, drain < _options.KillDelay ? drain : _options.KillDelay, Reason.AgentDraining);
                break;
            case ToAgent.MessageOneofCase.ShutdownExecutor:
                var key = (message.ShutdownExecutor.FrameworkId.Value, message.ShutdownExecutor.ExecutorId.Value);
                if (_executors.TryGetValue(key, out var executor))
                    KillAll(executor);
                break;
            default:
                break;
        }
    }

    /// <summary>After a registration: what the master misses and this agent does not have is reported as dropped; updates are sent again.</summary>
    public void Reconcile(AgentID id, IEnumerable<TaskRef> missing)
    {
        _agent = id;
        _outbox.Resend();
        foreach (var reference in missing)
        {
            if (_tasks.ContainsKey((reference.FrameworkId.Value, reference.TaskId.Value)))
                continue;
            var status = new TaskStatus
            {
                TaskId = reference.TaskId,
                State = TaskState.TaskDropped,
                Message = "Task unknown to the agent",
                Source = Source.Agent,
                Reason = Reason.Reconciliation,
                AgentId = id,
                Timestamp = Timestamp,
                Uuid = NewUuid(),
            };
            _outbox.Add(reference.FrameworkId, status);
        }
    }

    public void Describe(ToMaster.Types.Reregister message)
    {
        foreach (var task in _tasks.Values)
        {
            message.Tasks.Add(task.Record.Clone());
            if (!message.Frameworks.Contains(task.Framework))
                message.Frameworks.Add(task.Framework);
        }

        foreach (var executor in _executors.Values)
            message.Executors.Add(executor.Record);
    }

    public bool Exit(string id, int exitCode)
    {
        if (Live(id) is not { } task)
            return false;
        Over(task, exitCode == 0 ? TaskState.TaskFinished : TaskState.TaskFailed, $"Command exited with status {exitCode}");
        return true;
    }

    public bool SetHealth(string id, bool healthy)
    {
        if (Live(id) is not { } task)
            return false;
        var status = StatusOf(task, TaskState.TaskRunning);
        status.Healthy = healthy;
        status.Reason = Reason.TaskHealthCheckStatusUpdated;
        Report(task, status);
        return true;
    }

    public bool SetCheck(string id, bool passes)
    {
        if (Live(id) is not { Info.Check: { } check } task)
            return false;
        var status = StatusOf(task, TaskState.TaskRunning);
        status.Reason = Reason.TaskCheckStatusUpdated;
        status.CheckStatus = new() { Type = check.Type };
        switch (check.Type)
        {
            case CheckInfo.Types.Type.Http:
                status.CheckStatus.Http = new() { StatusCode = passes ? 200u : 503u };
                break;
            case CheckInfo.Types.Type.Tcp:
                status.CheckStatus.Tcp = new() { Succeeded = passes };
                break;
            default:
                status.CheckStatus.Command = new() { ExitCode = passes ? 0 : 1 };
                break;
        }

        Report(task, status);
        return true;
    }

    public bool KillUnhealthy(string id)
    {
        if (Live(id) is not { } task || !SetHealth(id, healthy: false))
            return false;
        Over(task, TaskState.TaskKilled, "Command terminated with signal Terminated", healthy: false);
        return true;
    }

    public void Clear()
    {
        foreach (var task in _tasks.Values)
            task.Next?.Cancel();
        _tasks.Clear();
        _executors.Clear();
        _outbox.Dispose();
        _outbox = new UpdateOutbox(_time, _send);
    }

    public void Dispose() => _outbox.Dispose();

    private EmulatedTask? Live(string id) => _tasks.Values.FirstOrDefault(task => task.Id == id && !task.IsOver);

    private void Launch(ToAgent.Types.RunGroup group)
    {
        var key = (group.Framework.Id.Value, group.Executor.ExecutorId.Value);
        if (!_executors.TryGetValue(key, out var executor))
            _executors[key] = executor = new EmulatedExecutor(group.Executor, NewContainer());
        foreach (var task in group.Group.Tasks)
            Launch(group.Framework, task, executor);
        EndIfIdle(executor);
    }

    private void Launch(FrameworkInfo framework, TaskInfo info, EmulatedExecutor? executor)
    {
        // A launch that arrives twice is one launch.
        if (_tasks.ContainsKey((framework.Id.Value, info.TaskId.Value)))
            return;
        var record = TaskRecord.Of(info, framework.Id, executor?.Record.ExecutorId);
        var task = new EmulatedTask(record, framework, info, NewContainer()) { Executor = executor };
        _tasks.Add((framework.Id.Value, task.Id), task);
        executor?.Tasks.Add(task);
        Report(task, StatusOf(task, TaskState.TaskStarting));
        task.Next = _later.After(_options.StartDelay, () => Started(task));
    }

    private void Started(EmulatedTask task)
    {
        Report(task, StatusOf(task, TaskState.TaskRunning));
        if (task.Info.HealthCheck is null && task.Info.Check is null)
            return;
        task.Next = _later.After(
            _options.CheckDelay,
            () =>
            {
                if (task.Info.HealthCheck is not null)
                    SetHealth(task.Id, healthy: true);
                if (task.Info.Check is not null)
                    SetCheck(task.Id, passes: true);
            }
        );
    }

    private void Kill(ToAgent.Types.KillTask kill)
    {
        var reference = kill.Task;
        if (!_tasks.TryGetValue((reference.FrameworkId.Value, reference.TaskId.Value), out var task) || task.IsOver || task.IsKilled)
            return;
        var policy = kill.KillPolicy ?? task.Info.KillPolicy;
        var grace = TimeSpan.FromTicks((policy?.GracePeriod?.Nanoseconds ?? 3_000_000_000) / 100);
        Kill(task, grace < _options.KillDelay ? grace : _options.KillDelay);
    }

    private void Kill(EmulatedTask task, TimeSpan delay, Reason? why = null)
    {
        task.Next?.Cancel();
        task.IsKilled = true;
        task.KilledBecause = why;
        if (task.Framework.Capabilities.Any(capability => capability.Type == Capability.TaskKillingState))
            Report(task, StatusOf(task, TaskState.TaskKilling));
        task.Next = _later.After(delay, () => Over(task, TaskState.TaskKilled, "Command terminated with signal Terminated"));
    }

    private void KillAll(EmulatedExecutor executor)
    {
        foreach (var task in executor.Tasks.Where(task => task is { IsOver: false, IsKilled: false }).ToList())
            Kill(task, _options.KillDelay);
    }

    private void Over(EmulatedTask task, TaskState state, string message, bool? healthy = null)
    {
        task.Next?.Cancel();
        var status = StatusOf(task, state);
        status.Message = message;
        if (healthy is { } last)
            status.Healthy = last;
        Report(task, status);
        if (task.Executor is not { } executor)
            return;
        // One that is killed or fails takes its group with it; one that is done does not.
        if (state != TaskState.TaskFinished)
            KillAll(executor);
        EndIfIdle(executor);
    }

    private void EndIfIdle(EmulatedExecutor executor)
    {
        var framework = executor.Record.FrameworkId;
        if (!executor.Tasks.TrueForAll(task => task.IsOver) || !_executors.Remove((framework.Value, executor.Record.ExecutorId.Value)))
            return;
        var exited = new ToMaster.Types.ExitedExecutor
        {
            FrameworkId = framework,
            ExecutorId = executor.Record.ExecutorId,
            Status = 0,
        };
        _send(new ToMaster { ExitedExecutor = exited });
    }

    private void Acknowledge(ToAgent.Types.AcknowledgeUpdate acknowledge)
    {
        var (framework, task) = (acknowledge.Task.FrameworkId, acknowledge.Task.TaskId);
        if (_outbox.Acknowledge(framework, task, acknowledge.Uuid) is { } status && status.State.IsTerminal())
            _tasks.Remove((framework.Value, task.Value));
    }

    private void Drop(FrameworkID framework)
    {
        _outbox.Forget(framework);
        foreach (var task in _tasks.Values.Where(task => task.Framework.Id.Equals(framework)).ToList())
        {
            task.Next?.Cancel();
            _tasks.Remove((framework.Value, task.Id));
        }

        foreach (var key in _executors.Keys.Where(key => key.Framework == framework.Value).ToList())
            _executors.Remove(key);
    }

    private void Report(EmulatedTask task, TaskStatus status)
    {
        task.Record.State = status.State;
        task.Record.Statuses.Clear();
        task.Record.Statuses.Add(status);
        _outbox.Add(task.Framework.Id, status);
    }

    private TaskStatus StatusOf(EmulatedTask task, TaskState state)
    {
        var container = new ContainerID { Value = task.Container };
        if (task.Executor is { } executor)
            container.Parent = new() { Value = executor.Container };
        var network = new NetworkInfo();
        network.IpAddresses.Add(new NetworkInfo.Types.IPAddress { Protocol = NetworkInfo.Types.Protocol.Ipv4, IpAddress = "127.0.0.1" });
        var status = new TaskStatus
        {
            TaskId = task.Record.TaskId,
            State = state,
            Source = Source.Executor,
            ExecutorId = task.Record.ExecutorId ?? new ExecutorID { Value = task.Id },
            Timestamp = Timestamp,
            Uuid = NewUuid(),
            ContainerStatus = new() { ContainerId = container },
        };
        if (_agent is not null)
            status.AgentId = _agent;
        if (task.KilledBecause is { } why)
            status.Reason = why;
        // A real agent knows the address of a pod's container only while it runs.
        if (task.Executor is null || state == TaskState.TaskRunning)
            status.ContainerStatus.NetworkInfos.Add(network);
        return status;
    }

    private double Timestamp => (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / 1e7;

    public ByteString NewUuid()
    {
        var bytes = new byte[16];
        _random.NextBytes(bytes);
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    private string NewContainer()
    {
        Span<byte> bytes = stackalloc byte[16];
        _random.NextBytes(bytes);
        return new Guid(bytes).ToString();
    }
}
