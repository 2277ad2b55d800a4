using System.Globalization;

namespace Declarative.Bench.Lb;

/// <summary>Requests per second, CPU of the proxy per request and latency through the balancer, HAProxy and nginx, in turn, before the same backends.</summary>
internal static class Throughput
{
    private const string Reference = "haproxy";

    /// <summary>So long each is driven before it is measured: code is compiled while it runs.</summary>
    private const int WarmUpSeconds = 2;
    /// <summary>Short ones and many: the machine has better and worse seconds, and the middle of many is its own.</summary>
    private const int HalfLoadRounds = 11;

    public static async Task Run(BenchOptions options)
    {
        using var folder = new Folder();
        var ports = Enumerable.Range(0, options.Backends).Select(_ => Target.FreePort()).ToList();
        var backends = ports.Select(folder.Backend).ToList();
        using var sockets = Child.Self("backend");
        var socketPort = int.Parse(sockets.Output.ReadLine()!, CultureInfo.InvariantCulture);
        var targets = new List<Target>();
        try
        {
            foreach (var name in options.Targets)
            {
                targets.Add(name switch { "haproxy" => Target.HaProxy(folder, ports, socketPort), "nginx" => Target.Nginx(folder, ports, socketPort), _ => Target.Declarative(ports, socketPort) });
            }
            foreach (var one in options.Cases)
            {
                if (one == "hostile") Hostile.Run(options, [.. targets.Where(x => x.Name != "nginx")]);
                else await Case(options, one, [.. targets.Where(x => !one.StartsWith("tcp", StringComparison.Ordinal) || x.Tcp > 0)], ports[0]);
            }
            foreach (var target in targets) Console.WriteLine($"{target.Name}: {target.ResidentBytes >> 20} MiB resident at the end");
        }
        finally
        {
            foreach (var target in targets) target.Dispose();
            foreach (var backend in backends) backend.Dispose();
        }
    }

    private static async Task Case(BenchOptions options, string one, List<Target> targets, int direct)
    {
        foreach (var target in targets) await Drive(options, one, target, WarmUpSeconds);
        var results = new Dictionary<string, (Sample Sample, double Micros)>();
        foreach (var target in targets)
        {
            var before = target.Cpu;
            var sample = await Drive(options, one, target, options.Seconds);
            results[target.Name] = (sample, (target.Cpu - before).TotalMicroseconds / Math.Max(1, sample.Requests));
        }
        foreach (var (name, (sample, micros)) in results)
        {
            var ratio = name == Reference || !results.TryGetValue(Reference, out var reference) ? "" : Text($", {reference.Micros / micros:F2} × {Reference}'s requests per CPU second");
            Console.WriteLine(Text($"{one,-6} {name,-11} {sample.PerSecond,7:F0}/s, {sample.Failures} failed, {micros,6:F1} µs CPU each, p50 {sample.P50:F0} µs, p99 {sample.P99:F0} µs{ratio}"));
        }
        if (one is "small" or "tcp" or "1mb") HalfLoad(options, one, targets, direct, results.Values.Min(x => x.Sample.PerSecond) / 2);
    }

    /// <summary>The same rate for all: half of what the slowest one carries.</summary>
    private static void HalfLoad(BenchOptions options, string one, List<Target> targets, int direct, double rate)
    {
        var path = one == "1mb" ? "/1mb" : "/";
        Sample At(int port) => Clients.H2Load($"http://127.0.0.1:{port}{path}", options.Connections / 2, Math.Max(1, options.Seconds / 2), rate, "--h1");
        // In turn, each round beginning with another one: whatever else the machine does hits all of them.
        var rounds = Enumerable.Range(0, HalfLoadRounds).Select(round =>
        {
            var proxies = new Sample[targets.Count];
            for (var i = 0; i < targets.Count; i++)
            {
                var at = (round + i) % targets.Count;
                proxies[at] = At(one == "tcp" ? targets[at].Tcp : targets[at].Http);
            }
            return (Bare: At(direct), Proxies: proxies);
        }).ToList();
        var bare = Middle([.. rounds.Select(x => x.Bare)]);
        var added = targets.Select((x, i) => (x.Name, Sample: Middle([.. rounds.Select(y => y.Proxies[i])]))).ToDictionary(x => x.Name, x => x.Sample);
        Console.WriteLine(Text($"{one,-6} at {rate:F0}/s  without a proxy: p50 {bare.P50:F0} µs, p99 {bare.P99:F0} µs"));
        foreach (var (name, sample) in added)
        {
            // Where the reference adds nothing that can be seen there is nothing to be compared with.
            var ratio = name == Reference || !added.TryGetValue(Reference, out var reference) || reference.P99 <= bare.P99 ? "" : Text($", {(sample.P99 - bare.P99) / (reference.P99 - bare.P99):F2} × {Reference}'s");
            var all = rounds.Select(x => x.Proxies[targets.FindIndex(y => y.Name == name)]).ToList();
            Console.WriteLine(Text($"{one,-6} at {rate:F0}/s  {name,-11} p50 {sample.P50:F0} µs, p99 {sample.P99:F0} µs, {all.Sum(x => x.Failures)} of {all.Sum(x => x.Requests + x.Failures)} failed; added p99 {sample.P99 - bare.P99:F0} µs{ratio}"));
            foreach (var reason in all.Where(x => x.Failures > 0).Take(3).Select(x => x.Reasons)) Console.WriteLine($"{one,-6}   failed through {name}: {reason}");
        }
    }

    /// <summary>The one in the middle by its p99.</summary>
    private static Sample Middle(List<Sample> samples) => samples.OrderBy(x => x.P99).ElementAt(samples.Count / 2);

    private static async Task<Sample> Drive(BenchOptions options, string one, Target target, int seconds)
    {
        switch (one)
        {
            case "close":
                return Clients.Wrk($"http://127.0.0.1:{target.Http}/", options.Connections, seconds, "-H", "Connection: close");
            case "1mb":
                return Clients.Wrk($"http://127.0.0.1:{target.Http}/1mb", options.Connections, seconds);
            case "tcp1mb":
                return Clients.Wrk($"http://127.0.0.1:{target.Tcp}/1mb", options.Connections, seconds);
            case "tcp":
                return Clients.Wrk($"http://127.0.0.1:{target.Tcp}/", options.Connections, seconds);
            case "tls":
                return Clients.Wrk($"https://127.0.0.1:{target.Tls}/", options.Connections, seconds);
            case "h2":
                return Clients.H2Load($"https://127.0.0.1:{target.Tls}/", options.Connections, seconds, 0, "-m4");
            case "ws":
                using (var sockets = await WebSockets.Open(target.Sockets, options.Sockets)) return await sockets.Talk(options.Connections, TimeSpan.FromSeconds(seconds));
            default:
                return Clients.Wrk($"http://127.0.0.1:{target.Http}/", options.Connections, seconds);
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
