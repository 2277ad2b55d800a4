using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Declarative.Sim;

namespace Declarative.Bench.Dns;

/// <summary>The time from writing a task's status to the changed answer, the write included, with queries running beside it.</summary>
internal static class Freshness
{
    private const int QueriesPerSecond = 20_000;

    public static async Task Run(int changes)
    {
        using var stop = new CancellationTokenSource();
        using var stopDns = new CancellationTokenSource();
        var server = await ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), TimeProvider.System, new Random(1), stop.Token);
        var serving = server.Run(stop.Token);
        await server.Bootstrap(stop.Token);
        var part = new DnsPart(new DnsOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), ClusterListen = null, Http = null });
        var running = part.Run(server.As(User.Dns), TimeProvider.System, new Random(1), stopDns.Token);
        await part.Ready;
        var api = server.As(User.Placement);
        var key = ResourceKey.Of(Kind.Pod, "default", "web");
        await server.As(User.Admin).Create(key, Encoding.UTF8.GetBytes("""
            {"metadata":{"name":"web","annotations":{"declarative.mesos/task":"{\"id\":\"u.0\",\"agent\":\"x-S0\",\"ports\":{}}"}},
             "spec":{"nodeName":"agent-0","containers":[{"name":"web","command":["x"]}]}}
            """));
        // A thread of its own: the platform's loops need those of the pool.
        using var enough = new CancellationTokenSource();
        var load = Task.Factory.StartNew(() => Load.Run(part.Address, RecordType.A, i => "web.declarative.mesos", TimeSpan.FromHours(1), clients: 1, QueriesPerSecond, enough.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var times = new List<double>();
        var answer = new byte[512];
        var query = new byte[100];
        var length = Query.Write(query, 1, DnsName.Parse("web.declarative.mesos").Wire, RecordType.A);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Connect(part.Address);
        for (var i = 0; i < changes; i++)
        {
            var ready = i % 2 == 0;
            var start = Stopwatch.GetTimestamp();
            await api.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(
                $$$"""{"status":{"phase":"Running","hostIP":"127.0.0.1","podIP":"127.0.0.1","conditions":[{"type":"Ready","status":"{{{(ready ? "True" : "False")}}}"}]}}"""),
                new WriteOptions { Subresource = "status" });
            int answers;
            do
            {
                await socket.SendAsync(query.AsMemory(0, length));
                answers = Message.Read(answer.AsSpan(0, await socket.ReceiveAsync(answer)))!.Answers.Count;
            } while (answers != (ready ? 1 : 0));
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        await enough.CancelAsync();
        var beside = await load;
        times.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"from a task's status update to the changed answer p50 {times[times.Count / 2]:F2} ms, p99 {times[(int)(times.Count * 0.99)]:F2} ms, at most {times[^1]:F2} ms ({changes} changes, {beside.PerSecond:F0} queries/s beside them)"));
        await stopDns.CancelAsync();
        await running;
        await stop.CancelAsync();
        await serving;
    }
}
