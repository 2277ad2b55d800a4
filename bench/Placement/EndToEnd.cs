using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Bench.Api;
using Declarative.Bench.Lb;
using Declarative.Cli;
using Declarative.Cli.Roles;
using Declarative.Client.Http;
using Declarative.Client.Informers;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Scheduler;
using Microsoft.Extensions.Logging.Abstractions;
using Machine = Declarative.Cli.Machine;
using Target = Declarative.Bench.Api.Target;

namespace Declarative.Bench.Placement;

/// <summary>
/// Deployments are applied, and measured is until each of their pods is stored as Running. API server (SQLite), all controllers and the
/// embedded master know each other by HTTPS and the Mesos HTTP API alone, in one process or in three; the agents are emulated.
/// </summary>
internal sealed class EndToEnd(int agents, int pods, int of, bool processes)
{
    private const int WarmUpPods = 2_000;

    /// <summary>Of a core, and how long it is waited for at most.</summary>
    private const double QuietLoad = 0.15;
    private const int QuietSecondsMax = 30;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);
    private static readonly string[] PartNames = ["mesos", "api", "controllers"];
    private static readonly Machine Machine = new(TimeProvider.System, new Random(1), Task.Run);

    public async Task<bool> Run()
    {
        var directory = Directory.CreateTempSubdirectory("declarative-bench-").FullName;
        var parts = new List<IAsyncDisposable>();
        var children = new Dictionary<string, Child>();
        try
        {
            foreach (var part in PartNames)
            {
                if (processes)
                {
                    children.Add(part, Child.Start(Environment.ProcessPath!, [.. Own(), "placement", "--part", part, directory, agents.ToString(CultureInfo.InvariantCulture)]));
                    await children[part].Output.ReadLineAsync();
                }
                else
                {
                    parts.Add(await Part(part, directory, agents));
                }
            }
            return await Measure(directory, children);
        }
        finally
        {
            parts.Reverse();
            foreach (var part in parts) await part.DisposeAsync();
            foreach (var child in children.Values.Reverse()) child.Dispose();
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>One part as a process of its own: says when it is ready, and ends with its input.</summary>
    public static async Task<int> Serve(string part, string directory, int agents)
    {
        await using var running = await Part(part, directory, agents);
        Console.WriteLine("ready");
        await Console.In.ReadToEndAsync();
        return 0;
    }

    private static IEnumerable<string> Own() => Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [Environment.GetCommandLineArgs()[0]] : [];

    private static async Task<IAsyncDisposable> Part(string part, string directory, int agents)
    {
        var port = Path.Combine(directory, "master-port");
        switch (part)
        {
            case "mesos":
                var mesos = await EmulatedMesos.Start(agents);
                await File.WriteAllTextAsync(port, mesos.Port.ToString(CultureInfo.InvariantCulture));
                return mesos;
            case "api":
                return await ApiServerRole.Start(new(DataDirectory.Hold(directory), new Ports(Free() - 6443), new("127.64.0.0/12", (30000, 30999))), Machine, NullLoggerFactory.Instance, [], CancellationToken.None);
            default:
                var master = new Uri($"http://127.0.0.1:{await File.ReadAllTextAsync(port)}");
                var data = DataDirectory.At(directory);
                var asControllers = Remote(data, "controllers");
                var asPlacement = Remote(data, "placement", asControllers);
                return new ControllersRole(user => user.Name == User.Placement.Name ? asPlacement : asControllers, new() { Masters = new MasterList([master]) }, new(), "bench", Machine, NullLoggerFactory.Instance);
        }
    }

    private static SharedWatches Remote(DataDirectory data, string role, SharedWatches? others = null) => new(new HttpApi(Kubeconfig.Load(data.RoleKubeconfig(role)), TimeProvider.System), others);

    private static int Free()
    {
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>A master over HTTP with agents that have the ports and the room for so many small pods.</summary>
    private sealed class EmulatedMesos(MasterServer server, List<EmulatedAgent> agents, CancellationTokenSource stop, List<Task> running) : IAsyncDisposable
    {
        public int Port => server.Port;

        public static async Task<EmulatedMesos> Start(int count)
        {
            var server = await MasterServer.Start(new(IPAddress.Loopback, 0), port => new MiniMaster(new MasterOptions { Port = port }, TimeProvider.System, new Random(2)), CancellationToken.None);
            var stop = new CancellationTokenSource();
            var agents = Enumerable.Range(0, count).Select(i => new EmulatedAgent(new() { Hostname = $"agent-{i}", Port = 5051 + i, Cpus = 128, Mem = 262_144 }, server.Master, TimeProvider.System, new Random(i))).ToList();
            return new(server, agents, stop, agents.ConvertAll(x => x.Run(stop.Token)));
        }

        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await Task.WhenAll(running);
            foreach (var agent in agents) agent.Dispose();
            await server.DisposeAsync();
            stop.Dispose();
        }
    }

    private async Task<bool> Measure(string directory, Dictionary<string, Child> children)
    {
        var kubeconfig = DataDirectory.At(directory).Kubeconfig;
        using var api = new HttpApi(Kubeconfig.Load(kubeconfig), TimeProvider.System);
        using var target = Target.Read(kubeconfig);
        using var patience = new CancellationTokenSource(Patience);
        while ((await api.List(new(Kind.Node) { Limit = 1 }, patience.Token)) is var some && some.Items.Count + (some.RemainingItems ?? 0) < agents) await Task.Delay(200, patience.Token);
        await Task.Delay(2_000, patience.Token); // the node objects' own writes are done
        // What every process pays once, its compilation above all, is no part of a rate that is sustained.
        await new EndToEnd(agents, WarmUpPods, WarmUpPods, processes).Apply(api, "warm", patience.Token, [], [], []);
        await Quiet(children, patience.Token);
        var running = new List<long>(pods);
        var applied = new Dictionary<string, long>();
        var latencies = new List<double>(pods);
        var requests = await Requests(target);
        var used = Used(children);
        var (allocated, paused, collections) = (GC.GetTotalAllocatedBytes(), GC.GetTotalPauseDuration(), Collections());
        var begin = Stopwatch.GetTimestamp();
        await Apply(api, "web", patience.Token, applied, running, latencies);
        var took = Stopwatch.GetElapsedTime(begin);
        var cpu = Used(children).ToDictionary(x => x.Key, x => x.Value - used[x.Key]);
        Print($"end to end: {running.Count} of {pods} pods on {agents} agents from apply to Running stored in {took.TotalSeconds:0.0} s: {running.Count / took.TotalSeconds:0} pods/s");
        if (running.Count < pods) return false;
        latencies.Sort();
        var (tenth, last) = (running[pods / 10], running[pods * 9 / 10]);
        Print($"  in the middle eight tenths {pods * 0.8 / Stopwatch.GetElapsedTime(tenth, last).TotalSeconds:0} pods/s; after a pod's Deployment was applied p50 {latencies[pods / 2]:0.0} s, p99 {latencies[pods * 99 / 100]:0.0} s");
        Print($"  CPU per pod: {cpu.Values.Sum(x => x.TotalMilliseconds) / pods:0.00} ms{(cpu.Count > 1 ? $" ({string.Join(", ", cpu.Select(x => string.Create(CultureInfo.InvariantCulture, $"{x.Key} {x.Value.TotalMilliseconds / pods:0.00}")))})" : "")}, so two cores do {2000 * pods / cpu.Values.Sum(x => x.TotalMilliseconds):0} pods/s at most");
        if (children.Count == 0)
        {
            Print($"  memory: {(GC.GetTotalAllocatedBytes() - allocated) / 1024.0 / pods:0} KiB allocated per pod, {string.Join(" + ", Collections().Zip(collections, (now, before) => now - before))} collections (generation 0, 1, 2) by {(System.Runtime.GCSettings.IsServerGC ? "all cores" : "one core")} that took {(GC.GetTotalPauseDuration() - paused).TotalMilliseconds / pods:0.00} ms per pod");
        }
        var after = await Requests(target);
        Print($"  API requests per pod: {string.Join(", ", after.Select(x => (x.Key, Count: x.Value - requests.GetValueOrDefault(x.Key))).Where(x => x.Count * 100 >= pods || x.Key.StartsWith("list pods", StringComparison.Ordinal)).OrderByDescending(x => x.Count).Select(x => string.Create(CultureInfo.InvariantCulture, $"{x.Key} {(double)x.Count / pods:0.00}") + (x.Count * 100 < pods ? $" ({x.Count} in all)" : "")))}");
        using var process = Process.GetCurrentProcess();
        Print($"  {(children.Count == 0 ? process.WorkingSet64 : children.Values.Sum(x => x.ResidentBytes)) >> 20} MiB resident");
        return true;

    }

    /// <summary>Applies Deployments and waits for all their pods.</summary>
    /// <param name="running">When each pod was seen running.</param>
    /// <param name="latencies">Seconds from its Deployment's creation to that.</param>
    private async Task Apply(HttpApi api, string prefix, CancellationToken stop, Dictionary<string, long> applied, List<long> running, List<double> latencies)
    {
        var watch = Watch();
        for (var i = 0; i * of < pods; i++)
        {
            var name = $"{prefix}-{i}";
            lock (applied) applied[name] = Stopwatch.GetTimestamp();
            await api.Create(ResourceKey.Of(Kind.Deployment, "default", name), Deployment(name, Math.Min(of, pods - i * of)), stop: stop);
        }
        await watch;

        async Task Watch()
        {
            try
            {
                await foreach (var change in api.Watch(new(Kind.Pod, "default") { Fields = FieldSelector.Parse("status.phase=Running") }, stop))
                {
                    if (change is not { Type: WatchEventType.Added, Object: { } pod } || !pod.Key.Name.StartsWith(prefix, StringComparison.Ordinal)) continue;
                    running.Add(Stopwatch.GetTimestamp());
                    var owner = pod.Key.Name[..pod.Key.Name.IndexOf('-', prefix.Length + 1)];
                    lock (applied) latencies.Add(Stopwatch.GetElapsedTime(applied[owner]).TotalSeconds);
                    if (running.Count == pods) return;
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                Print($"not all pods run after {Patience.TotalMinutes} minutes");
            }
        }
    }

    /// <summary>Until what has been begun is done: compilation in the background, the statuses of workloads.</summary>
    private static async Task Quiet(Dictionary<string, Child> children, CancellationToken stop)
    {
        for (var (seconds, before) = (0, Used(children)); seconds < QuietSecondsMax; seconds++)
        {
            await Task.Delay(1_000, stop);
            var now = Used(children);
            if (now.Sum(x => (x.Value - before[x.Key]).TotalSeconds) < QuietLoad) return;
            before = now;
        }
    }

    /// <summary>By the oldest generation that was collected.</summary>
    private static int[] Collections() => [GC.CollectionCount(0) - GC.CollectionCount(1), GC.CollectionCount(1) - GC.CollectionCount(2), GC.CollectionCount(2)];

    private static Dictionary<string, TimeSpan> Used(Dictionary<string, Child> children) =>
        children.Count == 0 ? new() { ["all"] = Environment.CpuUsage.TotalTime } : children.ToDictionary(x => x.Key, x => x.Value.Cpu);

    /// <summary>Answered requests by verb and resource, from the server's own metrics.</summary>
    private static async Task<Dictionary<string, long>> Requests(Target target)
    {
        var counts = new Dictionary<string, long>();
        foreach (var line in (await target.Send(HttpMethod.Get, "/metrics")).Split('\n'))
        {
            if (!line.StartsWith("apiserver_request_total{", StringComparison.Ordinal)) continue;
            var quoted = line.Split('"');
            var name = $"{quoted[1]} {quoted[3]}{(quoted[5].StartsWith('2') ? "" : " " + quoted[5])}";
            counts[name] = counts.GetValueOrDefault(name) + long.Parse(line.AsSpan(line.LastIndexOf(' ') + 1), CultureInfo.InvariantCulture);
        }
        return counts;
    }

    private static byte[] Deployment(string name, int replicas) => Encoding.UTF8.GetBytes(
        $$$"""
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"{{{name}}}" },"spec":{"replicas":{{{replicas}}},"selector":{"matchLabels":{"app":"{{{name}}}"} },
         "template":{"metadata":{"labels":{"app":"{{{name}}}"} },"spec":{"containers":[{"name":"web","command":["sleep","1000"],"ports":[{"containerPort":80}]}]} } } }
        """);

    private static void Print(FormattableString text) => Console.WriteLine(text.ToString(CultureInfo.InvariantCulture));

    private static void Print(string text) => Console.WriteLine(text);
}
