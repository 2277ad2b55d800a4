using System.Diagnostics;
using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Sqlite;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement;
using Declarative.Controllers.Placement.Matching;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Master;
using Declarative.Sim;

namespace Declarative.Bench.Placement;

/// <summary>
/// The placement loop in one process: API server, embedded master, emulated agents. Pods are created as fast as the API takes them; measured
/// is the time from a pod's creation to TASK_RUNNING stored in its status. And the matcher alone.
/// </summary>
public static class PlacementBench
{
    private const string Usage = """
        bench placement [--agents N] [--pods N] [--journal sqlite|memory] [--matcher-only]
          --agents   emulated agents (default 100)
          --pods     pods (default 5000)
          --journal  of the API server (default sqlite)
        """;

    /// <summary>Exit code: 0, 1 when not every pod came to run, or 2 for wrong options.</summary>
    public static int Run(string[] args)
    {
        var (agents, pods, journal, matcherOnly) = (100, 5_000, "sqlite", false);
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--agents" when int.TryParse(value, out agents) && agents > 0:
                case "--pods" when int.TryParse(value, out pods) && pods > 0:
                    i++;
                    break;
                case "--journal" when value is "sqlite" or "memory":
                    journal = value;
                    i++;
                    break;
                case "--matcher-only":
                    matcherOnly = true;
                    break;
                default:
                    Console.Error.WriteLine($"bench placement: unknown or incomplete option {args[i]}\n{Usage}");
                    return 2;
            }
        }
        Matcher(agents, pods);
        return matcherOnly || EndToEnd(agents, pods, journal).GetAwaiter().GetResult() ? 0 : 1;
    }

    private static void Matcher(int agents, int pods)
    {
        foreach (var mix in Enum.GetValues<Mix>())
        {
            var per = (pods + agents - 1) / agents + 1;
            var slots = Enumerable.Range(0, agents).Select(i => new AgentSlot($"S{i}", new($"agent-{i}", new Dictionary<string, string> { ["zone"] = $"z{i % 10}", ["kubernetes.io/hostname"] = $"agent-{i}" }), new(per * 200, per * 64_000, 0), new PortSet((31000, 31000 + per * 2)))).ToList();
            var nodes = slots.ToDictionary(x => x.Node.Name, x => x.Node);
            var waiting = Enumerable.Range(0, pods).Select(i => new WaitingPod(Pod(i, mix))).ToList();
            var (begin, cpu) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            var matcher = new Matcher(slots, nodes, new Random(1));
            var result = matcher.Run(waiting);
            var took = Stopwatch.GetElapsedTime(begin);
            Print($"matcher, {agents} agents, {mix}: {result.Matches.Count} of {pods} pods placed in {took.TotalMilliseconds:0} ms, {pods / took.TotalSeconds:0} pods/s, {pods / (Environment.CpuUsage.TotalTime - cpu).TotalSeconds:0} per second of CPU, {(double)matcher.Looks / pods:0.0} looks per pod");
        }
    }

    /// <summary>What the pods ask for beside room.</summary>
    private enum Mix
    {
        Plain,

        /// <summary>Half of them a nodeSelector, one in twenty a spread over zones.</summary>
        ZonesAndSelectors,

        /// <summary>Each of twenty classes: a spread over hosts and zones, and every fourth class anti-affinity to itself.</summary>
        HostSpreadAndAntiAffinity,

        /// <summary>Each of twenty classes: wishes to spread over zones and hosts; every fourth packs.</summary>
        Wishes,
    }

    private static Pod Pod(int i, Mix mix)
    {
        var app = $"app-{i % 20}";
        LabelSelectorSpec own = new() { MatchLabels = new Dictionary<string, string> { ["app"] = app } };
        IReadOnlyList<TopologySpreadConstraint> spread = mix switch
        {
            Mix.ZonesAndSelectors when i % 20 == 1 => [new() { MaxSkew = 5, TopologyKey = "zone", LabelSelector = own }],
            Mix.HostSpreadAndAntiAffinity => [new() { MaxSkew = 1, TopologyKey = "zone", LabelSelector = own }, new() { MaxSkew = 1, TopologyKey = "kubernetes.io/hostname", LabelSelector = own }],
            Mix.Wishes => [new() { MaxSkew = 1, TopologyKey = "zone", WhenUnsatisfiable = "ScheduleAnyway", LabelSelector = own }, new() { MaxSkew = 1, TopologyKey = "kubernetes.io/hostname", WhenUnsatisfiable = "ScheduleAnyway", LabelSelector = own }],
            _ => [],
        };
        return new()
        {
            Metadata = new()
            {
                Name = $"web-{i}",
                Namespace = "default",
                Uid = $"u{i}",
                Labels = new Dictionary<string, string> { ["app"] = app },
                Annotations = mix is Mix.Wishes && i % 20 % 4 == 0 ? new Dictionary<string, string> { [WaitingPod.PolicyAnnotation] = "pack" } : new Dictionary<string, string>(),
            },
            Spec = new()
            {
                Containers = [new() { Name = "web", Ports = [new() { Number = 80 }] }],
                NodeSelector = mix is Mix.ZonesAndSelectors && i % 2 == 0 ? new Dictionary<string, string> { ["zone"] = $"z{i % 20 % 10}" } : new Dictionary<string, string>(),
                TopologySpreadConstraints = spread,
                Affinity = mix is Mix.HostSpreadAndAntiAffinity && i % 20 % 4 == 0
                    ? new() { PodAntiAffinity = new() { RequiredDuringSchedulingIgnoredDuringExecution = [new() { TopologyKey = "kubernetes.io/hostname", LabelSelector = own }] } }
                    : null,
            },
        };
    }

    private static async Task<bool> EndToEnd(int agents, int pods, string journal)
    {
        using var stop = new CancellationTokenSource();
        var directory = Directory.CreateTempSubdirectory("declarative-bench-");
        try
        {
            await using IJournal store = journal == "memory" ? new MemoryJournal() : await SqliteJournal.Open(Path.Combine(directory.FullName, "state.db"));
            var server = await ApiServer.ApiServer.Open(store, new ApiServerOptions(), TimeProvider.System, new Random(1), stop.Token);
            var running = new List<Task> { server.Run(stop.Token) };
            await server.Bootstrap(stop.Token);
            using var master = new MiniMaster(new MasterOptions(), TimeProvider.System, new Random(2));
            var per = (pods + agents - 1) / agents + 2;
            for (var i = 0; i < agents; i++)
            {
                var agent = new EmulatedAgent(new() { Hostname = $"agent-{i}", Port = 5051 + i, Cpus = per * 0.2, Mem = per * 64, Ports = (31000, (ulong)(31000 + per * 2)) }, master, TimeProvider.System, new Random(i));
                running.Add(agent.Run(stop.Token));
            }
            var feed = new AgentFeed();
            var placement = new PlacementController(new(), feed);
            running.Add(new NodesController(feed).Run(server.As(User.Placement), TimeProvider.System, new Random(3), stop.Token));
            running.Add(placement.Run(server.As(User.Placement), master.Client(), TimeProvider.System, new Random(4), stop.Token));
            var ended = await Measure(server.As(User.Admin), placement, pods, stop.Token);
            stop.Cancel();
            foreach (var task in running)
            {
                try
                {
                    await task;
                }
                catch (OperationCanceledException)
                {
                    continue;
                }
            }
            return ended;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static async Task<bool> Measure(IApi api, PlacementController placement, int pods, CancellationToken stop)
    {
        var created = new long[pods];
        var latency = new double[pods];
        var seen = new bool[pods];
        using var watching = CancellationTokenSource.CreateLinkedTokenSource(stop);
        watching.CancelAfter(TimeSpan.FromMinutes(5));
        var cpu = Process.GetCurrentProcess().TotalProcessorTime;
        var begin = Stopwatch.GetTimestamp();
        var create = Task.WhenAll(Enumerable.Range(0, 16).Select(worker => Create(worker)));
        var count = 0;
        try
        {
            await foreach (var change in api.Watch(new(Kind.Pod, "default"), watching.Token))
            {
                if (change.Object is not { } stored || change.Type is not WatchEventType.Modified) continue;
                var pod = Declarative.Api.Kinds.Pod.Read(stored.Json);
                if (pod.Status.Phase != "Running") continue;
                var index = int.Parse(pod.Name.AsSpan(4), CultureInfo.InvariantCulture);
                if (seen[index]) continue;
                seen[index] = true;
                latency[index] = Stopwatch.GetElapsedTime(created[index]).TotalMilliseconds;
                if (++count == pods) break;
            }
        }
        catch (OperationCanceledException) when (watching.IsCancellationRequested)
        {
            Print($"only {count} of {pods} pods run after 5 minutes");
        }
        await create;
        var took = Stopwatch.GetElapsedTime(begin);
        using var process = Process.GetCurrentProcess();
        Array.Sort(latency);
        var used = process.TotalProcessorTime - cpu;
        Print($"end to end: {count} pods from create to Running stored in {took.TotalSeconds:0.0} s: {count / took.TotalSeconds:0} pods/s, p50 {latency[pods / 2]:0} ms, p99 {latency[pods * 99 / 100]:0} ms, {used.TotalMilliseconds / pods:0.00} ms CPU per pod, {process.WorkingSet64 >> 20} MiB");
        Print(string.Join(", ", placement.Counters.Snapshot().Select(x => $"{x.Key} {x.Value}")));
        return count == pods;

        async Task Create(int worker)
        {
            await Task.Yield();
            for (var i = worker; i < pods; i += 16)
            {
                created[i] = Stopwatch.GetTimestamp();
                await api.Create(ResourceKey.Of(Kind.Pod, "default", $"web-{i}"), Encoding.UTF8.GetBytes($$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-{{i}}","labels":{"app":"web"} },"spec":{"containers":[{"name":"web","command":["sleep","1000"],"ports":[{"containerPort":80}]}]} }"""), stop: stop);
            }
        }
    }

    private static void Print(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));

    private static void Print(string text) => Console.WriteLine(text);
}
