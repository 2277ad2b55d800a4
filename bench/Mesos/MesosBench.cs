using System.Diagnostics;
using System.Globalization;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using Offer = Declarative.Mesos.Protocol.Offer;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;
using Task = System.Threading.Tasks.Task;

namespace Declarative.Bench.Mesos;

/// <summary>The embedded Mesos alone: how many emulated agents it takes, and how fast one agent starts processes.</summary>
public static class MesosBench
{
    private const string Usage = """
        bench mesos [--agents N] [--tasks N]
          --agents  emulated agents that register and are offered (default 50000)
          --tasks   processes (sleep) that one agent starts (default 1000)
        """;

    /// <summary>Exit code: 0, or 2 for wrong options.</summary>
    public static int Run(string[] args)
    {
        var (agents, tasks) = (50_000, 1_000);
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--agents" when int.TryParse(value, out agents) && agents >= 0:
                case "--tasks" when int.TryParse(value, out tasks) && tasks >= 0:
                    break;
                default:
                    Console.Error.WriteLine($"bench mesos: unknown or incomplete option {args[i]}\n{Usage}");
                    return 2;
            }
        }

        Task.Run(async () =>
        {
            if (agents > 0)
                await Agents(agents);
            if (tasks > 0)
                await Tasks(tasks);
        }).GetAwaiter().GetResult();
        return 0;
    }

    private static async Task Agents(int count)
    {
        using var stop = new CancellationTokenSource();
        using var master = new MiniMaster(new MasterOptions(), TimeProvider.System, new Random(1));
        var begin = Stopwatch.GetTimestamp();
        var all = Enumerable.Range(0, count).Select(i => new EmulatedAgent(new() { Hostname = $"agent-{i}", Port = i }, master, TimeProvider.System, new Random(i))).ToList();
        var runs = all.ConvertAll(agent => agent.Run(stop.Token));
        while (all.Exists(agent => !agent.IsConnected))
            await Task.Delay(20);
        var registered = Stopwatch.GetElapsedTime(begin);
        begin = Stopwatch.GetTimestamp();
        var offers = 0;
        await foreach (var message in master.Client().Subscribe(new() { FrameworkInfo = Framework() }, null, stop.Token))
        {
            offers += message.Type == EventType.Offers ? message.Offers.Offers_.Count : 0;
            if (offers == count)
                break;
        }

        var offered = Stopwatch.GetElapsedTime(begin);
        using var process = Process.GetCurrentProcess();
        Print($"{count} emulated agents: registered in {registered.TotalSeconds:0.0} s, all offered {offered.TotalSeconds:0.00} s after SUBSCRIBE, {process.WorkingSet64 >> 20} MiB resident");
        await stop.CancelAsync();
        await Task.WhenAll(runs);
        all.ForEach(agent => agent.Dispose());
    }

    private static async Task Tasks(int count)
    {
        using var stop = new CancellationTokenSource();
        using var master = new MiniMaster(new MasterOptions(), TimeProvider.System, new Random(1));
        var folder = Directory.CreateTempSubdirectory("declarative-bench-");
        var options = new AgentOptions
        {
            WorkDirectory = folder.FullName,
            Hostname = "agent-0",
            Cpus = count,
            MemoryMegabytes = count * 32,
            DiskMegabytes = 1024,
            Ports = (31000, 32000),
        };
        var agent = new ProcessAgent(options, TimeProvider.System, new Random(2));
        var serving = agent.Run(master, stop.Token);
        var scheduler = new OneByOne(master.Client());
        var reading = scheduler.Read(stop.Token);
        var latencies = new List<double>();
        for (var i = 0; i < 20; i++)
            latencies.Add((await scheduler.Launch($"one-{i}", 1)).TotalMilliseconds);
        latencies.Sort();
        Print($"one process agent: ACCEPT to TASK_RUNNING p50 {latencies[10]:0.0} ms, worst of 20 {latencies[^1]:0.0} ms");
        var took = await scheduler.Launch("many", count - 20);
        Print($"one process agent: {count - 20} sleeps in one ACCEPT all TASK_RUNNING in {took.TotalSeconds:0.0} s: {(count - 20) / took.TotalSeconds:0}/s");
        await stop.CancelAsync();
        await serving;
        await reading;
        var begin = Stopwatch.GetTimestamp();
        var ended = await ProcessAgent.EndTasks(options, TimeProvider.System, new Random(3), CancellationToken.None);
        Print($"one process agent: {ended} processes ended in {Stopwatch.GetElapsedTime(begin).TotalSeconds:0.0} s");
        folder.Delete(recursive: true);
    }

    private static FrameworkInfo Framework()
    {
        var info = new FrameworkInfo { User = System.Environment.UserName, Name = "bench", FailoverTimeout = 60, Checkpoint = true };
        info.Roles.Add("bench");
        info.Capabilities.Add(new FrameworkInfo.Types.Capability { Type = FrameworkInfo.Types.Capability.Types.Type.MultiRole });
        return info;
    }

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    /// <summary>A scheduler that launches sleeps and waits until they run.</summary>
    private sealed class OneByOne(IMaster master)
    {
        private readonly Dictionary<string, TaskCompletionSource> _running = [];
        private readonly Lock _gate = new();
        private FrameworkID? _id;
        private Offer? _offer;

        public async Task Read(CancellationToken stop)
        {
            try
            {
                await foreach (var message in master.Subscribe(new() { FrameworkInfo = Framework() }, null, stop))
                    await Take(message);
            }
            catch (OperationCanceledException)
            {
                // The end of the measurement.
                return;
            }
        }

        public async Task<TimeSpan> Launch(string name, int count)
        {
            while (Volatile.Read(ref _offer) is null)
                await Task.Delay(1);
            var offer = Interlocked.Exchange(ref _offer, null)!;
            var launch = new Operation.Types.Launch();
            var waits = new List<Task>();
            for (var i = 0; i < count; i++)
            {
                var id = $"{name}-{i}";
                var task = new TaskInfo { Name = id, TaskId = new() { Value = id }, AgentId = offer.AgentId, Command = new() { Value = "sleep 1000" } };
                task.Resources.Add(Scalar("cpus", 0.1));
                task.Resources.Add(Scalar("mem", 32));
                launch.TaskInfos.Add(task);
                var wait = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                lock (_gate)
                    _running[id] = wait;
                waits.Add(wait.Task);
            }

            var call = new Call { Type = CallType.Accept, FrameworkId = _id, Accept = new() { Filters = new() { RefuseSeconds = 0 } } };
            call.Accept.OfferIds.Add(offer.Id);
            call.Accept.Operations.Add(new Operation { Type = Operation.Types.Type.Launch, Launch = launch });
            var begin = Stopwatch.GetTimestamp();
            await master.Call(call, CancellationToken.None);
            await Task.WhenAll(waits);
            return Stopwatch.GetElapsedTime(begin);
        }

        private async Task Take(Event message)
        {
            switch (message.Type)
            {
                case EventType.Subscribed:
                    _id = message.Subscribed.FrameworkId;
                    break;
                case EventType.Offers:
                    Volatile.Write(ref _offer, message.Offers.Offers_[^1]);
                    break;
                case EventType.Update when message.Update.Status is var status:
                    if (status.HasUuid)
                        await master.Call(new Call { Type = CallType.Acknowledge, FrameworkId = _id, Acknowledge = new() { AgentId = status.AgentId, TaskId = status.TaskId, Uuid = status.Uuid } }, CancellationToken.None);
                    lock (_gate)
                    {
                        if (status.State != TaskState.TaskStarting && _running.TryGetValue(status.TaskId.Value, out var wait))
                            wait.TrySetResult();
                    }

                    break;
            }
        }

        private static Resource Scalar(string name, double value) => new() { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = value } };
    }
}
