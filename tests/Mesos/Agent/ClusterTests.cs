using System.Diagnostics;
using System.Net;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;
using Xunit;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Offer = Declarative.Mesos.Protocol.Offer;
using TaskStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Tests.Mesos.Agent;

/// <summary>Master, agent and a framework over real sockets, with real processes.</summary>
public sealed class ClusterTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("cluster-").FullName;
    private readonly CancellationTokenSource stop = new();
    private readonly Lock gate = new();
    private readonly List<Event> events = [];
    private MasterServer server = null!;
    private ProcessAgent agent = null!;
    private HttpMaster framework = null!;
    private FrameworkID id = null!;
    private Task running = Task.CompletedTask;
    private Task subscribed = Task.CompletedTask;

    private AgentOptions Options =>
        new()
        {
            WorkDirectory = folder,
            Hostname = "agent-0",
            Cpus = 1000,
            MemoryMegabytes = 100_000,
            DiskMegabytes = 1000,
            Ports = (31000, 31099),
        };

    public async ValueTask InitializeAsync()
    {
        server = await MasterServer.Start(
            new IPEndPoint(IPAddress.Loopback, 0),
            port => new MiniMaster(new MasterOptions { Port = port }, TimeProvider.System, new Random(1)),
            CancellationToken.None
        );
        agent = new ProcessAgent(Options, TimeProvider.System, new Random(2));
        running = agent.Run(server.Master, stop.Token);
        framework = new HttpMaster(new() { Masters = new MasterList($"http://127.0.0.1:{server.Port}") }, TimeProvider.System);
        subscribed = Subscribe();
        await TestMaster.Until(() => Offers().Count > 0, () => "no offer");
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await subscribed;
        await running;
        await framework.DisposeAsync();
        await server.DisposeAsync();
        await ProcessAgent.EndTasks(Options, TimeProvider.System, new Random(3), CancellationToken.None);
        stop.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_framework_launches_and_kills_processes_through_the_scheduler_API()
    {
        var clock = Stopwatch.StartNew();
        await Launch("sleeps", "fails");
        await TestMaster.Until(() => States("sleeps").Contains(TaskState.TaskRunning));
        TestContext.Current.SendDiagnosticMessage("ACCEPT to TASK_RUNNING: {0} ms", clock.Elapsed.TotalMilliseconds);
        // Its keeper starts the process a moment after the task is said to run.
        var process = agent.Runs.SelectMany(run => run.Tasks).Single(task => task.Id == "sleeps").Process!;
        await TestMaster.Until(() => process.Pid is { } pid && AgentBench.IsAlive(pid));
        await TestMaster.Until(() => States("fails").Contains(TaskState.TaskFailed));
        Assert.Equal("Command exited with status 3", Updates("fails")[^1].Message);
        await Call(new Call { Type = CallType.Kill, Kill = new() { TaskId = new() { Value = "sleeps" } } });
        await TestMaster.Until(() => States("sleeps").Contains(TaskState.TaskKilled));
        Assert.Equal([TaskState.TaskStarting, TaskState.TaskRunning, TaskState.TaskKilling, TaskState.TaskKilled], States("sleeps"));
        await TestMaster.Until(() => agent.Runs.All(run => run.IsSettled));
    }

    [Fact]
    public async Task A_restarted_agent_keeps_its_tasks_and_the_framework_sees_no_end_of_them()
    {
        await Launch("sleeps");
        await TestMaster.Until(() => States("sleeps").Contains(TaskState.TaskRunning));
        using var restart = new CancellationTokenSource();
        await stop.CancelAsync();
        await running;
        await subscribed;
        agent = new ProcessAgent(Options, TimeProvider.System, new Random(4));
        running = agent.Run(server.Master, restart.Token);
        await TestMaster.Until(() => agent.IsRegistered);
        Assert.Equal(1, agent.RunningTasks);
        Assert.DoesNotContain(States("sleeps"), state => state is not (TaskState.TaskStarting or TaskState.TaskRunning));
        await restart.CancelAsync();
        await running;
    }

    [Fact]
    public async Task Two_hundred_sleeps_run()
    {
        var clock = Stopwatch.StartNew();
        string[] names = [.. Enumerable.Range(0, 200).Select(i => $"s{i}")];
        await Launch(names);
        await TestMaster.Until(() => agent.RunningTasks == 200 && names.All(name => States(name).Contains(TaskState.TaskRunning)), () => $"{agent.RunningTasks} run");
        TestContext.Current.SendDiagnosticMessage("200 sleeps run after {0} ms", clock.ElapsedMilliseconds);
    }

    private async Task Subscribe()
    {
        var subscribe = new Call.Types.Subscribe { FrameworkInfo = TestFramework.Describe() };
        try
        {
            await foreach (var one in framework.Subscribe(subscribe, null, stop.Token))
            {
                lock (gate)
                    events.Add(one);
                if (one.Type == EventType.Subscribed)
                    id = one.Subscribed.FrameworkId;
                if (one.Type == EventType.Update && one.Update.Status.HasUuid)
                {
                    var status = one.Update.Status;
                    await Call(
                        new Call
                        {
                            Type = CallType.Acknowledge,
                            Acknowledge = new() { AgentId = status.AgentId, TaskId = status.TaskId, Uuid = status.Uuid },
                        }
                    );
                }
            }
        }
        catch (OperationCanceledException)
        {
            return;
        }
    }

    private Task Launch(params string[] names)
    {
        var offer = Offers()[^1];
        var launch = new Offer.Types.Operation { Type = Offer.Types.Operation.Types.Type.Launch, Launch = new() };
        foreach (var name in names)
        {
            var task = TestFramework.TaskOf(name, offer);
            if (name == "fails")
                task.Command.Value = "exit 3";
            launch.Launch.TaskInfos.Add(task);
        }

        return Call(new Call { Type = CallType.Accept, Accept = new() { OfferIds = { offer.Id }, Operations = { launch } } });
    }

    private Task Call(Call call)
    {
        call.FrameworkId = id;
        return framework.Call(call, CancellationToken.None);
    }

    private List<Event> Events()
    {
        lock (gate)
            return [.. events];
    }

    private List<Offer> Offers() => [.. Events().Where(one => one.Type == EventType.Offers).SelectMany(one => one.Offers.Offers_)];

    private List<TaskStatus> Updates(string task) =>
        [.. Events().Where(one => one.Type == EventType.Update && one.Update.Status.TaskId.Value == task).Select(one => one.Update.Status)];

    private List<TaskState> States(string task) => [.. Updates(task).Select(status => status.State)];
}
