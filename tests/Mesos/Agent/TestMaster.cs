using Xunit;
using System.Threading.Channels;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using TaskStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Tests.Mesos.Agent;

/// <summary>The master's end of the link to one agent, under the test's control.</summary>
internal sealed class TestMaster : IMasterDoor
{
    public static readonly FrameworkInfo Framework = new()
    {
        User = "root",
        Name = "test",
        Id = new FrameworkID { Value = "F-1" },
        Checkpoint = true,
        Capabilities = { new FrameworkInfo.Types.Capability { Type = FrameworkInfo.Types.Capability.Types.Type.TaskKillingState } },
    };

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    private readonly Lock gate = new();
    private readonly List<ToMaster> received = [];
    private readonly HashSet<string> acknowledged = [];
    private Connection? current;

    /// <summary>False: updates stay unacknowledged.</summary>
    public bool Acknowledging { get; set; } = true;

    public Func<IReadOnlyList<TaskRef>> ToReconcile { get; set; } = () => [];

    public IReadOnlyList<ToMaster> Received
    {
        get
        {
            lock (gate)
                return [.. received];
        }
    }

    public Task<IAgentConnection> Connect(CancellationToken stop)
    {
        var connection = new Connection(this);
        lock (gate)
            current = connection;
        return Task.FromResult<IAgentConnection>(connection);
    }

    public void Send(ToAgent message)
    {
        lock (gate)
            current!.Queue.Writer.TryWrite(message);
    }

    /// <summary>Ends the connection, as a master does that dies.</summary>
    public void Cut()
    {
        lock (gate)
            current!.Queue.Writer.TryComplete();
    }

    public void Run(TaskInfo task) => Send(new ToAgent { RunTask = new() { Framework = Framework, Task = task } });

    public void Kill(string task, TimeSpan? grace = null)
    {
        var kill = new ToAgent.Types.KillTask { Task = Ref(task) };
        if (grace is { } given)
            kill.KillPolicy = new() { GracePeriod = new() { Nanoseconds = given.Ticks * 100 } };
        Send(new ToAgent { KillTask = kill });
    }

    public static TaskRef Ref(string task) => new() { FrameworkId = Framework.Id, TaskId = new() { Value = task } };

    /// <summary>The distinct updates of a task, in the order of their arrival.</summary>
    public List<TaskStatus> Updates(string task) =>
        [
            .. Received
                .Where(message => message.UpdateStatus?.Status.TaskId.Value == task)
                .Select(message => message.UpdateStatus.Status)
                .DistinctBy(status => status.Uuid),
        ];

    public List<TaskState> States(string task) => [.. Updates(task).Select(status => status.State)];

    public async Task<TaskStatus> Until(string task, TaskState state) =>
        await Until(() => Updates(task).LastOrDefault(status => status.State == state), () => $"{state} of {task}, got: {string.Join("; ", Updates(task))}");

    public async Task<ToMaster> Until(ToMaster.MessageOneofCase message) =>
        await Until(() => Received.LastOrDefault(known => known.MessageCase == message), () => message.ToString());

    public static async Task<T> Until<T>(Func<T?> condition, Func<string>? what = null)
        where T : class
    {
        for (var waited = TimeSpan.Zero; ; waited += TimeSpan.FromMilliseconds(10))
        {
            if (condition() is { } met)
                return met;
            Assert.True(waited < Deadline, $"not in time: {what?.Invoke()}");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    public static Task Until(Func<bool> condition, Func<string>? what = null) => Until(() => condition() ? "" : null, what);

    private void Take(Connection from, ToMaster message)
    {
        ToAgent? answer = null;
        lock (gate)
        {
            received.Add(message);
            if (message.Register is not null || message.Reregister is not null)
            {
                answer = new ToAgent
                {
                    Registered = new()
                    {
                        AgentId = message.Reregister?.Agent.Id ?? new AgentID { Value = "S-1" },
                        PingTimeoutSeconds = 75,
                        Reconcile = { ToReconcile() },
                    },
                };
            }
            else if (message.UpdateStatus is { } update && Acknowledging && acknowledged.Add(update.Status.Uuid.ToBase64()))
            {
                answer = new ToAgent { AcknowledgeUpdate = new() { Task = Ref(update.Status.TaskId.Value), Uuid = update.Status.Uuid } };
            }
        }

        if (answer is not null)
            from.Queue.Writer.TryWrite(answer);
    }

    private sealed class Connection(TestMaster master) : IAgentConnection
    {
        public Channel<ToAgent> Queue { get; } = Channel.CreateUnbounded<ToAgent>();

        public void Send(ToMaster message) => master.Take(this, message);

        public async ValueTask<ToAgent?> Receive(CancellationToken stop) =>
            await Queue.Reader.WaitToReadAsync(stop) && Queue.Reader.TryRead(out var message) ? message : null;

        public void Dispose() => Queue.Writer.TryComplete();
    }
}
