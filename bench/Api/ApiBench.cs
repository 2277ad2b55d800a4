using System.Diagnostics;
using System.Globalization;
using Declarative.Api;
using Declarative.ApiServer;
using Declarative.ApiServer.Authorization;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Etcd;
using Declarative.ApiServer.Storage.Sqlite;
using Declarative.Sim;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Bench.Api;

/// <summary>Load on the API server over HTTPS: creates, gets, lists, watch events; latency, CPU of the server per operation, memory.</summary>
public static class ApiBench
{
    private const string Usage = """
        bench api [--kubeconfig PATH] [--journal sqlite|memory|URL] [--seconds S] [--pods N] [--watchers N] [--objects N,N] [--only WORD]
          --kubeconfig  measure a server that runs already (as its administrator); default: one of its own, in a process of its own
          --journal     of the server of its own (default sqlite); a URL is that of an etcd
          --seconds     length of each measurement (default 3)
          --clients     of creates and gets, with commas (default 1,16,64)
          --pods        pods of the list measurement, and of the writes of a pod's life (default 10000)
          --watchers    watchers of the event measurement (default 1000)
          --objects     sizes of the measurement by size, with commas (default 1000,20000; 1000,100000,500000 takes ten minutes)
          --only        creates, gets, lists, events, sizes, flood, http2 (default all of these) or large: start, memory and lists of the product's own
                        process, empty and with up to 50000 pods
        Rates are also told as multiples of what etcd (Debian packages etcd-server and hey) and SQLite itself do in the same run.
        """;

    /// <summary>So long does the compiler of the runtime take processor time of its own.</summary>
    private const double WarmUpSeconds = 6;
    private const int WarmUpClients = 16;
    private const string TableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io";

    /// <summary>Exit code: 0, or 2 for wrong options.</summary>
    public static int Run(string[] args)
    {
        var (kubeconfig, journal, only, serve, sizes) = ("", "sqlite", "", "", (IReadOnlyList<int>)[1000, 20_000]);
        var (seconds, pods, watchers) = (3.0, 10_000, 1_000);
        IReadOnlyList<int> clients = [1, 16, 64];
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            var known = value.Length > 0;
            switch (args[i])
            {
                case "--kubeconfig":
                    kubeconfig = value;
                    break;
                case "--serve":
                    serve = value;
                    break;
                case "--journal" when value is "sqlite" or "memory" || value.StartsWith("http", StringComparison.Ordinal):
                    journal = value;
                    break;
                case "--only" when value is "creates" or "gets" or "lists" or "events" or "sizes" or "flood" or "http2" or "large":
                    only = value;
                    break;
                case "--objects" when Numbers(value) is { } numbers:
                    sizes = [.. numbers.Order()];
                    break;
                case "--clients" when Numbers(value) is { } numbers:
                    clients = numbers;
                    break;
                case "--seconds" when double.TryParse(value, CultureInfo.InvariantCulture, out seconds) && seconds > 0:
                case "--pods" when int.TryParse(value, out pods) && pods > 0:
                case "--watchers" when int.TryParse(value, out watchers) && watchers > 0:
                    break;
                default:
                    known = false;
                    break;
            }
            if (!known)
            {
                Console.Error.WriteLine($"bench api: unknown or incomplete option {args[i]}\n{Usage}");
                return 2;
            }
            i++;
        }
        if (only == "large") LargeLoad.Run(name => Pod(name, LargePodFiller), TableAccept).GetAwaiter().GetResult();
        else if (serve.Length > 0) Serve(serve, journal).GetAwaiter().GetResult();
        else if (kubeconfig.Length > 0) Measure(kubeconfig, seconds, clients, pods, watchers, sizes, only).GetAwaiter().GetResult();
        else WithOwnServer(journal, path => Measure(path, seconds, clients, pods, watchers, sizes, only)).GetAwaiter().GetResult();
        return 0;
    }

    /// <summary>null where one of them is none, or 0.</summary>
    private static List<int>? Numbers(string text) =>
        text.Split(',').All(x => int.TryParse(x, out var number) && number > 0) ? [.. text.Split(',').Select(x => int.Parse(x, CultureInfo.InvariantCulture))] : null;

    private static async Task Measure(string kubeconfig, double seconds, IReadOnlyList<int> clientCounts, int pods, int watchers, IReadOnlyList<int> sizes, string only)
    {
        using var target = Target.Read(kubeconfig);
        var etcd = only is "" or "creates" or "gets" ? await Calibrator.Etcd(clientCounts) : null;
        var commits = only is "" or "creates" ? Calibrator.SqliteCommits(seconds) : 0;
        if (etcd is not null) Console.WriteLine($"  calibrator: etcd puts/s with {string.Join(", ", etcd.Select(x => string.Create(CultureInfo.InvariantCulture, $"{x.Key} clients {x.Value:F0}")))}");
        else if (only is "" or "creates" or "gets") Console.WriteLine("  no calibrator: etcd and hey are not installed (Debian packages etcd-server and hey)");
        if (commits > 0) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  calibrator: SQLite one-row commits/s {commits:F0}"));
        Console.WriteLine(ApiLoad.Heading);
        var idle = await target.Used();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  idle: {idle.ResidentMiB:F0} MiB"));
        var run = Guid.NewGuid().ToString("n")[..8];
        foreach (var ns in (string[])["bench", "bench-watch", "bench-pods", "bench-warm", PodWrites.Namespace]) await MakeNamespace(target, ns);
        if (only is "" or "creates")
        {
            await ApiLoad.Run(target, "warm-up", WarmUpClients, WarmUpSeconds, 201, (client, i) => Create(Map($"w-{run}-{client}-{i}")));
            await target.Quiet();
            foreach (var clients in clientCounts)
            {
                Console.WriteLine(await ApiLoad.Run(target, $"create ConfigMap, {clients} clients", clients, seconds, 201, (client, i) => Create(Map($"c-{run}-{clients}-{client}-{i}")), beside: Calibrators(clients)));
            }
            await PodWrites.Run(target, run, pods, WarmUpSeconds, name => Pod(name));
        }
        if (only is "" or "gets")
        {
            await Ignore(target.Send(HttpMethod.Post, "/api/v1/namespaces/bench/configmaps", Map("one")));
            var get = ApiConnection.Request("GET", "/api/v1/namespaces/bench/configmaps/one");
            await ApiLoad.Run(target, "warm-up", WarmUpClients, WarmUpSeconds, 200, (_, _) => get);
            await target.Quiet();
            foreach (var clients in clientCounts) Console.WriteLine(await ApiLoad.Run(target, $"get ConfigMap, {clients} clients", clients, seconds, 200, (_, _) => get, beside: Calibrators(clients).Take(1)));
        }
        if (only is "" or "lists")
        {
            await ApiLoad.Run(target, "fill", 32, 600, 201, (client, i) => ApiConnection.Request("POST", "/api/v1/namespaces/bench-pods/pods", Pod($"p-{run}-{client}-{i}")), pods);
            foreach (var (name, accept) in ((string, string)[])[("JSON", "application/json"), ("Table", TableAccept)]) await List(name, accept);
        }
        if (only is "" or "events")
        {
            await Ignore(target.Send(HttpMethod.Post, "/api/v1/namespaces/bench-watch/configmaps", Map("hot")));
            Console.WriteLine(await WatchLoad.Run(target, watchers, WarmUpSeconds, seconds));
        }
        if (only is "" or "sizes")
        {
            var made = 0;
            var some = ApiConnection.Request("GET", "/api/v1/namespaces/bench-warm/configmaps?limit=500");
            await ApiLoad.Run(target, "warm-up", WarmUpClients, WarmUpSeconds, 201, (client, i) => ApiConnection.Request("POST", "/api/v1/namespaces/bench-warm/configmaps", Map($"w-{run}-{client}-{i}")));
            await ApiLoad.Run(target, "warm-up", WarmUpClients, WarmUpSeconds / 2, 200, (_, _) => some);
            await target.Send(HttpMethod.Delete, "/api/v1/namespaces/bench-warm/configmaps");
            await target.Quiet();
            foreach (var size in sizes)
            {
                var (first, missing) = (made, size - made);
                await ApiLoad.Run(target, "fill", 64, 3600, 201, (client, i) => Create(Map($"s-{run}-{first}-{client}-{i}")), missing);
                made = size;
                var one = ApiConnection.Request("GET", $"/api/v1/namespaces/bench/configmaps/s-{run}-{first}-0-0");
                var page = ApiConnection.Request("GET", "/api/v1/namespaces/bench/configmaps?limit=500");
                Console.WriteLine(await ApiLoad.Run(target, $"create among {size}, 16 clients", 16, seconds, 201, (client, i) => Create(Map($"t-{run}-{size}-{client}-{i}"))));
                Console.WriteLine(await ApiLoad.Run(target, $"get among {size}, 16 clients", 16, seconds, 200, (_, _) => one));
                Console.WriteLine(await ApiLoad.Run(target, $"list 500 among {size}, 1 client", 1, seconds, 200, (_, _) => page));
            }
        }

        IEnumerable<(string, double)> Calibrators(int clients)
        {
            if (etcd is not null) yield return ("etcd's puts", etcd[clients]);
            if (clients == 1 && commits > 0) yield return ("SQLite's commits", commits);
        }

        if (only is "" or "flood") await FloodLoad.Run(target, run, WarmUpSeconds, seconds);

        if (only is "" or "http2")
        {
            foreach (var (told, connections) in ((bool, int)[])[(false, 1), (true, 1), (true, WarmUpClients)])
            {
                var line = await Http2Load.Run(target, $"create, {WarmUpClients} by {connections} HTTP/2", WarmUpClients, connections, told ? seconds : WarmUpSeconds, "/api/v1/namespaces/bench/configmaps", (client, i) => Map($"h-{run}-{connections}-{told}-{client}-{i}".ToLowerInvariant()));
                if (told) Console.WriteLine(line);
                else await target.Quiet();
            }
        }

        async Task List(string name, string accept)
        {
            using var connection = ApiConnection.Open(target);
            var request = ApiConnection.Request("GET", "/api/v1/namespaces/bench-pods/pods", accept: accept);
            connection.Send(request);
            var before = await target.Used();
            var times = new List<double>();
            var length = 0L;
            for (var i = 0; i < 5; i++)
            {
                var sent = Stopwatch.GetTimestamp();
                length = connection.Send(request).Length;
                times.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
            }
            times.Sort();
            var after = await target.Used();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  list of pods as {name}, {length / 1e6:F1} MB: best {times[0]:F0} ms, median {times[2]:F0} ms, server {(after.CpuSeconds - before.CpuSeconds) * 200:F0} ms CPU each, {after.ResidentMiB:F0} MiB"));
        }
    }

    /// <summary>A server in a process of its own, so that its CPU time and memory are its own.</summary>
    private static async Task WithOwnServer(string journal, Func<string, Task> measure)
    {
        var directory = Directory.CreateTempSubdirectory("declarative-bench-").FullName;
        var self = typeof(ApiBench).Assembly.Location;
        var start = new ProcessStartInfo("dotnet", ["exec", self, "api", "--serve", directory, "--journal", journal]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        using var server = Process.Start(start)!;
        try
        {
            if (await server.StandardOutput.ReadLineAsync() is not { Length: > 0 } kubeconfig) throw new IOException("the server did not start");
            await measure(kubeconfig);
        }
        finally
        {
            server.StandardInput.Close();
            if (!server.WaitForExit(TimeSpan.FromSeconds(10))) server.Kill();
            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task Serve(string directory, string journalKind)
    {
        await using IJournal journal = journalKind == "memory" ? new MemoryJournal()
            : journalKind.StartsWith("http", StringComparison.Ordinal) ? await EtcdJournal.Open(new([new(journalKind)]) { Prefix = "/bench-" + Path.GetFileName(directory) }, NullLogger.Instance, default)
            : await SqliteJournal.Open(Path.Combine(directory, "state.db"));
        using var log = LoggerFactory.Create(static x => x.SetMinimumLevel(LogLevel.Error).AddConsole(static console => console.LogToStandardErrorThreshold = LogLevel.Trace));
        using var stop = new CancellationTokenSource();
        var authorizer = new Authorizer();
        var server = await Declarative.ApiServer.ApiServer.Open(journal, new() { Authorize = authorizer.Check, BootstrapObjects = BootstrapPolicy.Objects, WatchPace = TimeProvider.System }, TimeProvider.System, Random.Shared, stop.Token);
        var running = server.Run(stop.Token);
        await server.Bootstrap(stop.Token);
        var following = authorizer.Run(server.As(User.ApiServer), TimeProvider.System, stop.Token);
        await using (var face = await HttpFace.Start(server.As, authorizer, new() { Directory = directory, Port = 0, Kinds = server.Kinds, Log = log }, TimeProvider.System, stop.Token))
        {
            Console.WriteLine(face.KubeconfigPath);
            await Console.In.ReadLineAsync(); // the parent closes it at the end
        }
        await stop.CancelAsync();
        await Task.WhenAll(running, following);
    }

    private static byte[] Create(string map) => ApiConnection.Request("POST", "/api/v1/namespaces/bench/configmaps", map);

    private static async Task MakeNamespace(Target target, string name) =>
        await Ignore(target.Send(HttpMethod.Post, "/api/v1/namespaces", $$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"{{{name}}}"}}"""));

    /// <summary>What exists already from an earlier run may stay.</summary>
    private static async Task Ignore(Task<string> creating)
    {
        try
        {
            await creating;
        }
        catch (HttpRequestException exists) when (exists.Message.Contains("AlreadyExists", StringComparison.Ordinal))
        {
            return;
        }
    }

    private static string Map(string name) =>
        $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","labels":{"app":"bench"}},"data":{"value":"{{{Filler}}}"}}""";

    private static string Pod(string name, string? note = null) => $$$"""
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}","labels":{"app":"bench","tier":"front","pod-template-hash":"5bdfc87595"},
        "annotations":{"declarative.mesos/name":"bench","note":"{{{note ?? Filler}}}"}},
        "spec":{"containers":[{"name":"web","image":"registry.example/web:1.2.3","command":["serve","--port","8080"],
        "ports":[{"name":"http","containerPort":8080}],"env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],
        "resources":{"requests":{"cpu":"100m","memory":"64Mi"},"limits":{"memory":"128Mi"}},
        "readinessProbe":{"httpGet":{"path":"/","port":"http"},"periodSeconds":5}}]}}
        """;

    private static readonly string Filler = new('x', 850);

    /// <summary>Makes a pod as large as those that the bars were measured with: 2.9 KB as it is listed.</summary>
    private static readonly string LargePodFiller = new('x', 1650);
}
