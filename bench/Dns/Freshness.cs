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

/// <summary>
/// The time from a task's status update to the changed answer, with queries running beside it: of our own tasks from before the status is
/// written to the API, of another framework's tasks from before the master tells it.
/// </summary>
internal static class Freshness
{
    private const int QueriesPerSecond = 20_000;

    public static async Task Run(int changes)
    {
        using var stop = new CancellationTokenSource();
        using var stopDns = new CancellationTokenSource();
        using var master = new EventMaster();
        var server = await ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), TimeProvider.System, new Random(1), stop.Token);
        var serving = server.Run(stop.Token);
        await server.Bootstrap(stop.Token);
        var part = new DnsPart(new DnsOptions { Listen = new IPEndPoint(IPAddress.Loopback, 0), ClusterListen = null, Http = null, Mesos = new MesosOptions { Masters = [master.Address] } });
        var running = part.Run(server.As(User.Dns), TimeProvider.System, new Random(1), stopDns.Token);
        await part.Ready;
        var api = server.As(User.Placement);
        var key = ResourceKey.Of(Kind.Pod, "default", "web");
        await server.As(User.Admin).Create(key, Encoding.UTF8.GetBytes("""
            {"metadata":{"name":"web","annotations":{"declarative.mesos/task":"{\"id\":\"u.0\",\"agent\":\"x-S0\",\"ports\":{}}"}},
             "spec":{"nodeName":"agent-0","containers":[{"name":"web","command":["x"]}]}}
            """));
        await Measure("our own", part.Address, "web.declarative.mesos", changes, ready => api.Patch(key, PatchKind.Merge, Encoding.UTF8.GetBytes(
            $$$"""{"status":{"phase":"Running","hostIP":"127.0.0.1","podIP":"127.0.0.1","conditions":[{"type":"Ready","status":"{{{(ready ? "True" : "False")}}}"}]}}"""),
            new WriteOptions { Subresource = "status" }));
        await Measure("another framework's", part.Address, "web.marathon.mesos", changes, healthy =>
        {
            master.Tell(healthy);
            return Task.CompletedTask;
        });
        await stopDns.CancelAsync();
        await running;
        await stop.CancelAsync();
        await serving;
    }

    /// <param name="whose">For the line printed.</param>
    /// <param name="server">Who is asked.</param>
    /// <param name="name">What changes: it has no address at first.</param>
    /// <param name="changes">How many.</param>
    /// <param name="update">Makes the task ready or unready.</param>
    private static async Task Measure(string whose, IPEndPoint server, string name, int changes, Func<bool, Task> update)
    {
        var times = new List<double>();
        var answer = new byte[512];
        var query = new byte[100];
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 100 };
        socket.Connect(server);
        // Before the master has told its state every name is answered SERVFAIL.
        while (Asked(0) is not { Code: ResponseCode.NxDomain })
            await Task.Delay(10);
        // A thread of its own: the platform's loops need those of the pool.
        using var enough = new CancellationTokenSource();
        var load = Task.Factory.StartNew(() => Load.Run(server, RecordType.A, i => name, TimeSpan.FromHours(1), clients: 1, QueriesPerSecond, enough.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        for (var i = 0; i < changes; i++)
        {
            var ready = i % 2 == 0;
            var start = Stopwatch.GetTimestamp();
            await update(ready);
            for (ushort id = 1; Asked(id)?.Answers.Count != (ready ? 1 : 0); id++)
            {
                if (Stopwatch.GetElapsedTime(start).TotalSeconds > 60)
                    throw new InvalidOperationException($"{name} never changed");
            }
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        await enough.CancelAsync();
        var beside = await load;
        times.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"from the status update of {whose} task to the changed answer: p50 {times[times.Count / 2]:F2} ms, p99 {times[(int)(times.Count * 0.99)]:F2} ms, at most {times[^1]:F2} ms ({changes} changes, {beside.PerSecond:F0} queries/s beside them)"));

        // Null: lost on the way.
        Message? Asked(ushort id)
        {
            socket.Send(query.AsSpan(0, Query.Write(query, id, DnsName.Parse(name).Wire, RecordType.A)));
            try
            {
                while (true)
                {
                    if (Message.Read(answer.AsSpan(0, socket.Receive(answer))) is { } message && message.Header.Id == id)
                        return message;
                }
            }
            catch (SocketException)
            {
                return null;
            }
        }
    }
}
