using System.Diagnostics;
using System.Globalization;

namespace Declarative.Bench.Api;

/// <summary>
/// What a user who asks now and then notices of one who floods: the same few requests alone, beside a flood of the same kind, and beside as much work that
/// asks nothing of the server. The last is what the machine does by itself, as the flood's clients share it; what is beyond it is the server's.
/// </summary>
internal static class FloodLoad
{
    private const int Flooding = 128;

    /// <param name="warmUpSeconds">Before anything of a kind is measured.</param>
    public static async Task Run(Target target, string run, double warmUpSeconds, double seconds)
    {
        foreach (var (what, code, request) in ((string, int, Func<string, byte[]>)[])
        [
            ("list 10 ConfigMaps", 200, user => ApiConnection.Request("GET", "/api/v1/namespaces/default/configmaps?limit=10", user: user)),
            ("create ConfigMap", 201, user => ApiConnection.Request("POST", "/api/v1/namespaces/default/configmaps", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"f-"},"data":{"a":"b"}}""", user: user)),
        ])
        {
            await ApiLoad.Run(target, "warm-up", Flooding, warmUpSeconds, code, (_, _) => request("warm-" + run));
            await target.Quiet();
            var alone = await Calm("alone");
            var flood = Task.Run(() => ApiLoad.Run(target, $"{what}, {Flooding} flooding", Flooding, seconds + 1, code, (_, _) => request("flood-" + run)));
            var beside = await Calm("beside a flood");
            var flooded = await flood;
            Console.WriteLine(flooded);
            // All that was busy, less what the calm client makes busy by itself.
            var processors = Math.Max(0, beside.Processors - alone.Processors * beside.Rate / alone.Rate);
            using var stop = new CancellationTokenSource();
            var threads = Enumerable.Range(0, Flooding).Select(_ => Busy(processors / flooded.Rate, flooded.Rate / Flooding, stop.Token)).ToList();
            var machine = await Calm("beside as much work");
            await stop.CancelAsync();
            foreach (var thread in threads) thread.Join();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  p99 beside the flood: {beside.P99 / alone.P99:F1} x alone; beside as much work that is not the server's ({processors:F2} processors): {machine.P99 / alone.P99:F1} x alone"));

            async Task<ApiMeasure> Calm(string when)
            {
                var measured = await ApiLoad.Run(target, $"{what}, 1 client {when}", 1, seconds, code, (_, _) => request("calm-" + run));
                Console.WriteLine(measured);
                return measured;
            }
        }
    }

    /// <summary>A thread that works so long, so often.</summary>
    private static Thread Busy(double workSeconds, double perSecond, CancellationToken stop)
    {
        var thread = new Thread(() =>
        {
            var due = Stopwatch.GetTimestamp() + (long)(Random.Shared.NextDouble() / perSecond * Stopwatch.Frequency);
            while (!stop.IsCancellationRequested)
            {
                if (due - Stopwatch.GetTimestamp() is > 0 and var early) Thread.Sleep((int)(early * 1000 / Stopwatch.Frequency) + 1);
                var until = Stopwatch.GetTimestamp() + (long)(workSeconds * Stopwatch.Frequency);
                while (Stopwatch.GetTimestamp() < until) Thread.SpinWait(20);
                due += (long)(Stopwatch.Frequency / perSecond);
            }
        });
        thread.Start();
        return thread;
    }
}
