using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Declarative.Bench.Api;

/// <summary>Closed-loop clients: each sends its next request when the answer to the last is there.</summary>
internal static class ApiLoad
{
    /// <param name="beside">Rates of others in the same run, whose multiple is told.</param>
    public static async Task<ApiMeasure> Run(Target target, string name, int clients, double seconds, int expected, Func<int, long, byte[]> request, int countMax = int.MaxValue, IEnumerable<(string Name, double Rate)>? beside = null)
    {
        var connections = Enumerable.Range(0, clients).Select(_ => ApiConnection.Open(target)).ToList();
        var before = await target.Used();
        var own = Process.GetCurrentProcess().TotalProcessorTime;
        var latencies = new List<double>[clients];
        var left = countMax;
        var wrong = new ConcurrentDictionary<int, int>();
        var started = Stopwatch.GetTimestamp();
        var threads = connections.Select((connection, client) =>
        {
            var mine = latencies[client] = new List<double>(16_384);
            var thread = new Thread(() =>
            {
                for (long i = 0; Stopwatch.GetElapsedTime(started).TotalSeconds < seconds && Interlocked.Decrement(ref left) >= 0; i++)
                {
                    var bytes = request(client, i);
                    var sent = Stopwatch.GetTimestamp();
                    if (connection.Send(bytes).Code is var code && code != expected) wrong.AddOrUpdate(code, 1, static (_, count) => count + 1);
                    mine.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
                }
            });
            thread.Start();
            return thread;
        }).ToList();
        foreach (var thread in threads) thread.Join();
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var generator = (Process.GetCurrentProcess().TotalProcessorTime - own).TotalSeconds;
        var after = await target.Used();
        foreach (var connection in connections) connection.Dispose();
        var all = latencies.SelectMany(x => x).Order().ToList();
        var multiples = string.Concat((beside ?? []).Select(x => string.Create(CultureInfo.InvariantCulture, $"  {all.Count / elapsed / x.Rate:F2} x {x.Name}")));
        var server = after.CpuSeconds - before.CpuSeconds;
        return new(Line(name, all.Count, elapsed, all, server, generator, after.ResidentMiB) + multiples + string.Concat(wrong.OrderBy(x => x.Key).Select(x => $"  {x.Value} WRONG ANSWERS: {x.Key}")))
        {
            Rate = all.Count / elapsed,
            P99 = At(all, 0.99),
            Processors = (server + generator) / elapsed,
        };
    }

    public static string Heading => "  what                                 rate/s    p50 ms    p99 ms  server µs CPU/op  client µs  server MiB";

    public static string Line(string name, long operations, double elapsed, IReadOnlyList<double> sorted, double cpuSeconds, double generatorSeconds, double residentMiB) =>
        string.Create(CultureInfo.InvariantCulture,
            $"  {name,-34}{operations / elapsed,9:F0}{At(sorted, 0.5),10:F2}{At(sorted, 0.99),10:F2}{cpuSeconds * 1e6 / Math.Max(1, operations),18:F0}{generatorSeconds * 1e6 / Math.Max(1, operations),11:F0}{residentMiB,12:F0}");

    private static double At(IReadOnlyList<double> sorted, double quantile) => sorted.Count == 0 ? 0 : sorted[(int)((sorted.Count - 1) * quantile)];
}

/// <summary>What a load came to; as text, its line of the table.</summary>
internal sealed record ApiMeasure(string Line)
{
    /// <summary>Operations per second.</summary>
    public double Rate { get; init; }

    /// <summary>Milliseconds.</summary>
    public double P99 { get; init; }

    /// <summary>Busy with this, the generator's share among it.</summary>
    public double Processors { get; init; }

    public override string ToString() => Line;
}
