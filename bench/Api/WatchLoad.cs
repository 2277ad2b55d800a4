using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace Declarative.Bench.Api;

/// <summary>One writer flat out, many watchers on connections of their own: events per second, and the time from the write's answer to the event.</summary>
internal static class WatchLoad
{
    private static readonly byte[] Marker = "\"sent\":\""u8.ToArray();

    public static async Task<string> Run(Target target, int watchers, double seconds)
    {
        var path = "/api/v1/namespaces/bench-watch/configmaps";
        using (var list = JsonDocument.Parse(await target.Send(HttpMethod.Get, path)))
        {
            path += "?watch=true&resourceVersion=" + list.RootElement.GetProperty("metadata").GetProperty("resourceVersion").GetString();
        }
        var request = ApiConnection.Request("GET", path);
        var connections = Enumerable.Range(0, watchers).Select(_ => ApiConnection.Open(target)).ToList();
        foreach (var connection in connections)
        {
            if (connection.Begin(request) != 200) throw new IOException("a watch was refused");
        }
        using var stop = new CancellationTokenSource();
        var events = 0L;
        var delays = new List<double>();
        var before = await target.Used();
        var own = Process.GetCurrentProcess().TotalProcessorTime;
        var started = Stopwatch.GetTimestamp();
        var reading = connections.Select(Read).ToList();

        using var writer = ApiConnection.Open(target);
        var written = 0L;
        while (Stopwatch.GetElapsedTime(started).TotalSeconds < seconds)
        {
            var body = $"{{\"data\":{{\"sent\":\"{Stopwatch.GetTimestamp():D20}\"}}}}";
            if (writer.Send(ApiConnection.Request("PATCH", "/api/v1/namespaces/bench-watch/configmaps/hot", body, type: "application/merge-patch+json")).Code != 200) throw new IOException("a write was refused");
            written++;
        }
        var limit = Stopwatch.GetTimestamp();
        while (Interlocked.Read(ref events) < written * watchers && Stopwatch.GetElapsedTime(limit).TotalSeconds < 10) await Task.Delay(20);
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var generator = (Process.GetCurrentProcess().TotalProcessorTime - own).TotalSeconds;
        var after = await target.Used();
        await stop.CancelAsync();
        await Task.WhenAll(reading);
        foreach (var connection in connections) connection.Dispose();
        lock (delays) delays.Sort();
        var missing = written * watchers - events;
        return ApiLoad.Line($"events, 1 writer, {watchers} watchers", events, elapsed, delays, after.CpuSeconds - before.CpuSeconds, generator, after.ResidentMiB)
            + $"  ({written / elapsed:F0} writes/s; latency from sending the write)" + (missing != 0 ? $"  {missing} EVENTS MISSING" : "");

        async Task Read(ApiConnection connection)
        {
            await Task.Yield();
            var mine = new List<double>();
            try
            {
                while (true)
                {
                    var bytes = await connection.ReadSome(stop.Token);
                    if (bytes.IsEmpty) break;
                    var count = Count(bytes.Span, mine);
                    Interlocked.Add(ref events, count);
                }
            }
            catch (Exception ended) when (ended is OperationCanceledException or IOException)
            {
                lock (delays) delays.AddRange(mine);
            }
        }
    }

    // An event whose mark is cut by the end of a read is counted by its line end all the same; only its latency is left out.
    private static long Count(ReadOnlySpan<byte> bytes, List<double> delays)
    {
        var events = 0L;
        var rest = bytes;
        while (rest.IndexOf("}\n"u8) is >= 0 and var end)
        {
            if (end == 0 || rest[end - 1] == (byte)'}') events++;
            rest = rest[(end + 2)..];
        }
        if (bytes.LastIndexOf(Marker) is >= 0 and var at && at + Marker.Length + 20 <= bytes.Length
            && long.TryParse(Encoding.ASCII.GetString(bytes.Slice(at + Marker.Length, 20)), out var sent))
        {
            delays.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
        }
        return events;
    }
}
