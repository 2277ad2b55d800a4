using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Declarative.Bench.Api;

/// <summary>One writer flat out, many watchers on connections of their own: events per second, and the time from the write's answer to the event.</summary>
internal static class WatchLoad
{
    private const int StampDigits = 20;

    /// <summary>Of every so many watchers the latency of each event is kept.</summary>
    private const int SampledEvery = 16;
    private static ReadOnlySpan<byte> Marker => "\"sent\":\""u8;

    private static ReadOnlySpan<byte> Revision => "\"resourceVersion\":\""u8;

    /// <param name="warmUpSeconds">Before anything is measured.</param>
    public static async Task<string> Run(Target target, int watchers, double warmUpSeconds, double seconds)
    {
        var path = "/api/v1/namespaces/bench-watch/configmaps";
        using (var list = JsonDocument.Parse(await target.Send(HttpMethod.Get, path)))
        {
            path += "?watch=true&resourceVersion=" + list.RootElement.GetProperty("metadata").GetProperty("resourceVersion").GetString();
        }
        var (events, disorder) = (0L, 0L);
        var received = Enumerable.Range(0, watchers).Select(_ => new List<(long Sent, long At)>()).ToList();
        var revisions = new long[watchers];
        using var readers = new WatchReaders(target, watchers, ApiConnection.Request("GET", path), (watch, bytes) =>
        {
            if (watch % SampledEvery == 0) Times(bytes, received[watch]);
            if (!Ascends(bytes, ref revisions[watch])) Interlocked.Increment(ref disorder);
            Interlocked.Add(ref events, Count(bytes));
        });
        using var writer = ApiConnection.Open(target);
        var acknowledged = new Dictionary<long, long>();
        await Write(warmUpSeconds);
        await target.Quiet();
        events = 0;
        foreach (var times in received) times.Clear();

        var before = await target.Used();
        var own = Process.GetCurrentProcess().TotalProcessorTime;
        var started = Stopwatch.GetTimestamp();
        var written = await Write(seconds);
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var generator = (Process.GetCurrentProcess().TotalProcessorTime - own).TotalSeconds;
        var after = await target.Used();
        // Some see an event before the writer sees its answer.
        var delays = received.SelectMany(x => x).Select(x => Math.Max(0, Stopwatch.GetElapsedTime(acknowledged[x.Sent], x.At).TotalMilliseconds)).Order().ToList();
        var missing = written * watchers - events;
        return ApiLoad.Line($"events, 1 writer, {watchers} watchers", events, elapsed, delays, after.CpuSeconds - before.CpuSeconds, generator, after.ResidentMiB)
            + $"  ({written / elapsed:F0} writes/s; latency from the write's answer)" + (missing != 0 ? $"  {missing} EVENTS MISSING" : "") + (disorder != 0 ? $"  {disorder} READS OUT OF ORDER" : "");

        // Returns how many; each has been seen by all, or 10 s have passed.
        async Task<long> Write(double length)
        {
            var (written, before, began) = (0L, Interlocked.Read(ref events), Stopwatch.GetTimestamp());
            while (Stopwatch.GetElapsedTime(began).TotalSeconds < length)
            {
                var sent = Stopwatch.GetTimestamp();
                var body = $"{{\"data\":{{\"sent\":\"{sent:D20}\"}}}}";
                if (writer.Send(ApiConnection.Request("PATCH", "/api/v1/namespaces/bench-watch/configmaps/hot", body, type: "application/merge-patch+json")).Code != 200) throw new IOException("a write was refused");
                acknowledged[sent] = Stopwatch.GetTimestamp();
                written++;
            }
            var limit = Stopwatch.GetTimestamp();
            while (Interlocked.Read(ref events) - before < written * watchers && Stopwatch.GetElapsedTime(limit).TotalSeconds < 10) await Task.Delay(5);
            return written;
        }
    }

    private static long Count(ReadOnlySpan<byte> bytes)
    {
        var events = 0L;
        var rest = bytes;
        while (rest.IndexOf("}\n"u8) is >= 0 and var end)
        {
            if (end == 0 || rest[end - 1] == (byte)'}') events++;
            rest = rest[(end + 2)..];
        }
        return events;
    }

    /// <summary>Whether each event is of a higher revision than the one before. One that is cut by the end of a read is left out.</summary>
    private static bool Ascends(ReadOnlySpan<byte> bytes, ref long last)
    {
        while (bytes.IndexOf(Revision) is >= 0 and var at)
        {
            bytes = bytes[(at + Revision.Length)..];
            if (!Utf8Parser.TryParse(bytes, out long revision, out var length) || length == bytes.Length) return true;
            if (revision <= last) return false;
            last = revision;
        }
        return true;
    }

    // As above, an event whose mark is cut is left out.
    private static void Times(ReadOnlySpan<byte> bytes, List<(long Sent, long At)> times)
    {
        var now = Stopwatch.GetTimestamp();
        while (bytes.IndexOf(Marker) is >= 0 and var at && at + Marker.Length + StampDigits <= bytes.Length)
        {
            bytes = bytes[(at + Marker.Length)..];
            if (long.TryParse(bytes[..StampDigits], CultureInfo.InvariantCulture, out var sent)) times.Add((sent, now));
        }
    }
}
