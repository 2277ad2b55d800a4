using System.Diagnostics;
using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Lb;
using Declarative.Sim;

namespace Declarative.Bench.Lb;

/// <summary>Many Services: the time to read and route them all, their memory, and the time from an endpoint's change in the API to the changed route.</summary>
internal static class Changes
{
    public static async Task Run(BenchOptions options)
    {
        using var stop = new CancellationTokenSource();
        using var stopServer = new CancellationTokenSource();
        var server = await ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), TimeProvider.System, new Random(1), stop.Token);
        var serving = server.Run(stopServer.Token);
        await server.Bootstrap(stop.Token);
        var api = server.As(User.Admin);
        foreach (var batch in Enumerable.Range(0, options.Services).Chunk(500))
        {
            await Task.WhenAll(batch.Select(async i =>
            {
                await api.Create(ResourceKey.Of(Kind.Service, "default", $"s{i}"), Encoding.UTF8.GetBytes($$"""{"apiVersion":"v1","kind":"Service","metadata":{"name":"s{{i}}"},"spec":{"selector":{"a":"s{{i}}"},"ports":[{"port":{{10_000 + i % 1000}},"appProtocol":"http"}]} }"""));
                await api.Create(ResourceKey.Of(Kind.EndpointSlice, "default", $"s{i}-1"), OurOwn.Slice($"s{i}-1", $"s{i}", 31000, 0));
            }));
        }
        var before = GC.GetTotalMemory(forceFullCollection: true);
        using var self = Process.GetCurrentProcess();
        var cpu = self.TotalProcessorTime;
        var watch = Stopwatch.StartNew();
        using var lb = new LbPart(new LbOptions { HttpPort = 0, H2cPort = 0, HttpsPort = 0, AdminPort = 0 });
        var running = lb.Run(server.As(User.Lb), TimeProvider.System, new Random(1), stop.Token);
        while (!lb.IsReady) await Task.Delay(1);
        watch.Stop();
        self.Refresh();
        cpu = self.TotalProcessorTime - cpu;
        var memory = GC.GetTotalMemory(forceFullCollection: true) - before;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{lb.Routes.Table.Services.Count()} services on {lb.Routes.Table.Listeners.Count} listeners routed in {watch.ElapsedMilliseconds} ms ({cpu.TotalMilliseconds:F0} ms of CPU), {memory / options.Services} bytes each"));

        var (times, after) = (new List<double>(), new List<double>());
        for (var i = 0; i < options.Changes; i++)
        {
            var service = i * 7 % options.Services;
            var cluster = lb.Routes.Table.Cluster(new("default", $"s{service}"), 10_000 + service % 1000)!;
            var port = 31001 + i % 500;
            var start = Stopwatch.GetTimestamp();
            await api.Update(ResourceKey.Of(Kind.EndpointSlice, "default", $"s{service}-1"), OurOwn.Slice($"s{service}-1", $"s{service}", port, 0));
            var stored = Stopwatch.GetTimestamp();
            while (cluster.Destinations is not [{ } only] || only.Port != port) await Task.Yield();
            times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            after.Add(Stopwatch.GetElapsedTime(stored).TotalMicroseconds);
        }
        times.Sort();
        after.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"endpoint change to routed: from the request to the API p50 {times[times.Count / 2]:F0} µs, p99 {times[times.Count * 99 / 100]:F0} µs; from its answer, the store has it, p50 {after[after.Count / 2]:F0} µs, p99 {after[after.Count * 99 / 100]:F0} µs"));
        await stop.CancelAsync();
        await running;
        await stopServer.CancelAsync();
        await serving;
    }
}
