using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;

namespace Declarative.Bench.Api;

/// <summary>
/// Creates over HTTP/2, as kubectl and other clients in Go ask: all of one process by one connection, as many streams as it has requests. The generator is
/// .NET's own client and costs more than the server does, so that the server's CPU per request is what counts.
/// </summary>
internal static class Http2Load
{
    /// <param name="connections">The clients take turns in them.</param>
    /// <param name="body">Of a client's request of that number.</param>
    public static async Task<string> Run(Target target, string name, int clients, int connections, double seconds, string path, Func<int, long, string> body)
    {
        var senders = Enumerable.Range(0, connections).Select(_ => target.NewClient()).ToList();
        var latencies = Enumerable.Range(0, clients).Select(_ => new List<double>(16_384)).ToList();
        var before = await target.Used();
        var own = Process.GetCurrentProcess().TotalProcessorTime;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(x => Task.Run(() => Client(x))));
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var generator = (Process.GetCurrentProcess().TotalProcessorTime - own).TotalSeconds;
        var after = await target.Used();
        foreach (var sender in senders) sender.Dispose();
        var all = latencies.SelectMany(x => x).Order().ToList();
        return ApiLoad.Line(name, all.Count, elapsed, all, after.CpuSeconds - before.CpuSeconds, generator, after.ResidentMiB);

        async Task Client(int client)
        {
            for (long i = 0; Stopwatch.GetElapsedTime(started).TotalSeconds < seconds; i++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, path) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
                request.Content = new StringContent(body(client, i), new MediaTypeHeaderValue("application/json"));
                var sent = Stopwatch.GetTimestamp();
                using var answer = await senders[client % connections].SendAsync(request);
                await answer.Content.CopyToAsync(Stream.Null);
                if (answer.StatusCode != HttpStatusCode.Created) throw new IOException($"a create was answered {(int)answer.StatusCode}");
                latencies[client].Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
            }
        }
    }
}
