using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Lb;
using Declarative.Sim;

namespace Declarative.Bench.Lb;

/// <summary>Requests per second, latency and CPU per request through the balancer, and through HAProxy on the same backends.</summary>
internal static partial class Throughput
{
    public static async Task Run(BenchOptions options)
    {
        var backends = Enumerable.Range(0, options.Backends).Select(_ => Child.Self("backend")).ToList();
        try
        {
            var ports = backends.Select(x => int.Parse(x.Output.ReadLine()!, CultureInfo.InvariantCulture)).ToList();
            await OurOwn(options, ports);
            if (options.HaProxy) HaProxy(options, ports);
        }
        finally
        {
            foreach (var backend in backends) backend.Dispose();
        }
    }

    private static async Task OurOwn(BenchOptions options, List<int> backends)
    {
        using var stop = new CancellationTokenSource();
        using var stopServer = new CancellationTokenSource();
        var server = await ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), TimeProvider.System, new Random(1), stop.Token);
        var serving = server.Run(stopServer.Token);
        await server.Bootstrap(stop.Token);
        using var lb = new LbPart(new LbOptions { HttpPort = 0, H2cPort = 0, HttpsPort = 0, AdminPort = 0 });
        var running = lb.Run(server.As(User.Lb), TimeProvider.System, new Random(1), stop.Token);
        var api = server.As(User.Admin);
        var (http, tcp) = (FreePort(), FreePort());
        await Publish(api, "http", http, "http", backends);
        await Publish(api, "tcp", tcp, "tcp", backends);
        while (lb.Routes.Table.Clusters.Count(x => x.ReadyCount == backends.Count) < 2) await Task.Delay(10);
        using var self = Process.GetCurrentProcess();
        foreach (var one in options.Cases)
        {
            Measure(options, "declarative", one, one == "tcp" ? tcp : http, () =>
            {
                self.Refresh();
                return self.TotalProcessorTime;
            });
        }
        self.Refresh();
        Console.WriteLine($"declarative: {self.WorkingSet64 >> 20} MiB resident, API server included");
        await stop.CancelAsync();
        await running;
        await stopServer.CancelAsync();
        await serving;
    }

    private static void HaProxy(BenchOptions options, List<int> backends)
    {
        var (http, tcp) = (FreePort(), FreePort());
        var servers = string.Join('\n', backends.Select((x, i) => $"    server s{i} 127.0.0.1:{x}"));
        var file = Path.GetTempFileName();
        File.WriteAllText(file, $"""
            global
                maxconn 4000
            defaults
                timeout connect 3s
                timeout client 30s
                timeout server 30s
                http-reuse always
            listen http
                mode http
                option forwardfor
                bind 127.0.0.1:{http}
            {servers}
            listen tcp
                mode tcp
                bind 127.0.0.1:{tcp}
            {servers}

            """);
        try
        {
            Against(options, file, http, tcp);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static void Against(BenchOptions options, string file, int http, int tcp)
    {
        using var haproxy = Child.Start("haproxy", ["-db", "-f", file]);
        while (!Connects(http))
        {
            if (haproxy.HasExited) throw new InvalidOperationException("haproxy does not run; what it says stands above");
            Thread.Sleep(10);
        }
        foreach (var one in options.Cases) Measure(options, "haproxy", one, one == "tcp" ? tcp : http, () => haproxy.Cpu);
        Console.WriteLine($"haproxy: {haproxy.ResidentBytes >> 20} MiB resident");
    }

    private static void Measure(BenchOptions options, string what, string which, int port, Func<TimeSpan> cpu)
    {
        var path = which switch { "1mb" => "/1mb", "close" => "/close", _ => "/" };
        Drive(options, port, path, 2); // warm-up: compilation in tiers
        var before = cpu();
        var (requests, failures, p50, p99) = Drive(options, port, path, options.Seconds);
        var perRequest = (cpu() - before).TotalMicroseconds / Math.Max(1, requests);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{what,-11} {which,-5} {requests / options.Seconds,7} requests/s, {failures} failed, p50 {p50:F0} µs, p99 {p99:F0} µs, {perRequest:F1} µs CPU per request"));
    }

    private static (long Requests, long Failures, double P50, double P99) Drive(BenchOptions options, int port, string path, int seconds)
    {
        if (options.Wrk && path != "/close")
        {
            using var wrk = Child.Start("wrk", ["-t1", $"-c{options.Connections}", $"-d{seconds}s", "--latency", $"http://127.0.0.1:{port}{path}"]);
            var text = wrk.Output.ReadToEnd();
            var count = long.Parse(Count().Match(text).Groups[1].Value, CultureInfo.InvariantCulture);
            var failed = Failed().Matches(text).SelectMany(x => x.Groups.Cast<Group>().Skip(1)).Where(x => x.Success).Sum(x => long.Parse(x.Value, CultureInfo.InvariantCulture));
            return (count, failed, Micros(text, "50%"), Micros(text, "99%"));
        }
        using var load = Child.Self("load", $"{port}", path, $"{options.Connections}", $"{seconds}");
        var words = load.Output.ReadLine()!.Split(' ');
        return (long.Parse(words[0], CultureInfo.InvariantCulture), long.Parse(words[1], CultureInfo.InvariantCulture), double.Parse(words[2], CultureInfo.InvariantCulture), double.Parse(words[3], CultureInfo.InvariantCulture));
    }

    private static double Micros(string text, string percentile)
    {
        var match = Regex.Match(text, Regex.Escape(percentile) + @"\s+([\d.]+)(us|ms|s)");
        var unit = match.Groups[2].Value switch { "us" => 1, "ms" => 1e3, _ => 1e6 };
        return double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) * unit;
    }

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex Count();

    [GeneratedRegex(@"Non-2xx or 3xx responses: (\d+)|connect (\d+), read (\d+), write (\d+), timeout (\d+)")]
    private static partial Regex Failed();

    internal static async Task Publish(IApi api, string name, int port, string protocol, IReadOnlyList<int> backends)
    {
        await api.Create(ResourceKey.Of(Kind.Service, "default", name), Encoding.UTF8.GetBytes(
            $$"""{"apiVersion":"v1","kind":"Service","metadata":{"name":"{{name}}"},"spec":{"type":"LoadBalancer","selector":{"a":"{{name}}"},"ports":[{"port":{{port}},"appProtocol":"{{protocol}}"}]} }"""));
        for (var i = 0; i < backends.Count; i++)
        {
            await api.Create(ResourceKey.Of(Kind.EndpointSlice, "default", $"{name}-{i}"), Slice($"{name}-{i}", name, backends[i], i));
        }
    }

    internal static byte[] Slice(string name, string service, int port, int pod) => Encoding.UTF8.GetBytes(
        $$"""
        {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","metadata":{"name":"{{name}}","labels":{"kubernetes.io/service-name":"{{service}}"} },
         "ports":[{"name":"","port":{{port}},"protocol":"TCP"}],
         "endpoints":[{"addresses":["127.0.0.1"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","name":"pod-{{pod}}","uid":"uid-{{name}}-{{pod}}"} }]}
        """);

    internal static int FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    private static bool Connects(int port)
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            probe.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
