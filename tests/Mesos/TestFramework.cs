using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using Capability = Declarative.Mesos.Protocol.FrameworkInfo.Types.Capability;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using TaskStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Tests.Mesos;

/// <summary>A scheduler that keeps all events and does only what a test says.</summary>
internal sealed class TestFramework(MasterWorld world, IMaster master) : IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly List<Event> events = [];
    private CancellationTokenSource stop = new();
    private Task run = Task.CompletedTask;

    public FrameworkInfo Info { get; init; } = Describe();
    public FrameworkID? Id { get; set; }
    public bool AcknowledgeAll { get; set; } = true;
    /// <summary>Offers that a test has used.</summary>
    public HashSet<string> Taken { get; } = [];

    public Exception? Lost { get; private set; }
    public bool Ended { get; private set; }

    public IReadOnlyList<Event> Events
    {
        get
        {
            lock (gate)
                return [.. events];
        }
    }

    public IEnumerable<Offer> Offers => Events.Where(one => one.Type == EventType.Offers).SelectMany(one => one.Offers.Offers_);
    public IEnumerable<TaskStatus> Updates => Events.Where(one => one.Type == EventType.Update).Select(one => one.Update.Status);

    public static FrameworkInfo Describe(
        string role = "test",
        double failoverTimeout = 60,
        bool checkpoint = true,
        bool partitionAware = true
    )
    {
        var info = new FrameworkInfo
        {
            User = "root",
            Name = "test",
            FailoverTimeout = failoverTimeout,
            Checkpoint = checkpoint,
        };
        info.Roles.Add(role);
        info.Capabilities.Add(new Capability { Type = Capability.Types.Type.MultiRole });
        info.Capabilities.Add(new Capability { Type = Capability.Types.Type.ReservationRefinement });
        info.Capabilities.Add(new Capability { Type = Capability.Types.Type.TaskKillingState });
        if (partitionAware)
            info.Capabilities.Add(new Capability { Type = Capability.Types.Type.PartitionAware });
        return info;
    }

    public async Task Subscribe(params string[] suppressed)
    {
        var before = Events.Count;
        Ended = false;
        Lost = null;
        stop = new();
        var subscribe = new Call.Types.Subscribe { FrameworkInfo = Info.Clone() };
        subscribe.SuppressedRoles.Add(suppressed);
        run = Read(subscribe);
        await world.Until(() => Events.Count > before || Lost is not null, "a first event");
        if (Events.Skip(before).FirstOrDefault() is { Type: EventType.Subscribed } first)
            Id = first.Subscribed.FrameworkId;
    }

    public async Task Disconnect()
    {
        await stop.CancelAsync();
        await run;
    }

    public Task Send(CallType type, Action<Call>? fill = null)
    {
        var call = new Call { Type = type, FrameworkId = Id };
        fill?.Invoke(call);
        return master.Call(call, CancellationToken.None);
    }

    public Task Accept(IEnumerable<Offer> offers, double refuseSeconds, params TaskInfo[] tasks) =>
        Accept(offers, refuseSeconds, new Operation { Type = Operation.Types.Type.Launch, Launch = new() { TaskInfos = { tasks } } });

    public Task Accept(IEnumerable<Offer> offers, double refuseSeconds, Operation operation) =>
        Send(
            CallType.Accept,
            call =>
            {
                call.Accept = new() { Filters = new() { RefuseSeconds = refuseSeconds } };
                call.Accept.OfferIds.Add(offers.Select(offer => offer.Id));
                call.Accept.Operations.Add(operation);
            }
        );

    public Task Decline(Offer offer, double refuseSeconds) =>
        Send(
            CallType.Decline,
            call =>
            {
                call.Decline = new() { Filters = new() { RefuseSeconds = refuseSeconds } };
                call.Decline.OfferIds.Add(offer.Id);
            }
        );

    public Task Kill(string task) => Send(CallType.Kill, call => call.Kill = new() { TaskId = new() { Value = task } });

    public Task Reconcile(params (string Task, string? Agent)[] tasks) =>
        Send(
            CallType.Reconcile,
            call =>
            {
                call.Reconcile = new();
                foreach (var (task, agent) in tasks)
                {
                    var one = new Call.Types.Reconcile.Types.Task { TaskId = new() { Value = task } };
                    if (agent is not null)
                        one.AgentId = new() { Value = agent };
                    call.Reconcile.Tasks.Add(one);
                }
            }
        );

    public Task Acknowledge(TaskStatus status) =>
        Send(
            CallType.Acknowledge,
            call =>
                call.Acknowledge = new()
                {
                    AgentId = status.AgentId,
                    TaskId = status.TaskId,
                    Uuid = status.Uuid,
                }
        );

    public Task Until(Func<bool> condition, string what) => world.Until(condition, what);

    /// <summary>The n-th offer since the start that satisfies the condition.</summary>
    public async Task<Offer> Offer(Func<Offer, bool>? which = null, int count = 1)
    {
        await world.Until(() => Offers.Count(which ?? (_ => true)) >= count, "an offer");
        return Offers.Where(which ?? (_ => true)).ElementAt(count - 1);
    }

    public async Task<TaskStatus> Update(string task, TaskState state, Func<TaskStatus, bool>? which = null, int count = 1)
    {
        bool Wanted(TaskStatus status) => status.TaskId.Value == task && status.State == state && (which is null || which(status));
        await world.Until(() => Updates.Count(Wanted) >= count, $"{task} {state}");
        return Updates.Where(Wanted).ElementAt(count - 1);
    }

    public static TaskInfo TaskOf(string id, Offer offer, double cpus = 0.1, double mem = 32)
    {
        var task = new TaskInfo
        {
            Name = id,
            TaskId = new() { Value = id },
            AgentId = offer.AgentId,
            Command = new() { Value = "sleep 1000" },
        };
        task.Resources.Add(Scalar("cpus", cpus));
        task.Resources.Add(Scalar("mem", mem));
        return task;
    }

    public static Resource Scalar(string name, double value) =>
        new()
        {
            Name = name,
            Type = Value.Types.Type.Scalar,
            Scalar = new() { Value = value },
        };

    public async ValueTask DisposeAsync()
    {
        await Disconnect();
        stop.Dispose();
    }

    private async Task Read(Call.Types.Subscribe subscribe)
    {
        try
        {
            await foreach (var one in master.Subscribe(subscribe, Id, stop.Token))
            {
                lock (gate)
                    events.Add(one);
                if (AcknowledgeAll && one.Type == EventType.Update && one.Update.Status.HasUuid)
                    await Acknowledge(one.Update.Status);
            }

            Ended = true;
        }
        catch (OperationCanceledException)
        {
            Ended = true;
        }
        catch (Exception lost) when (lost is MasterUnavailable or CallRefused)
        {
            Lost = lost;
        }
    }
}
