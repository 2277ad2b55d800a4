using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Xunit;

namespace Declarative.Tests.Dns;

public class DrainUnderLoadTests
{
    private const int Pods = 10;
    private const int TtlSeconds = 1;

    /// <summary>
    /// Clients ask without pause while pods go away one after the other. Whenever the report says that nothing is in flight for a pod, every
    /// answer that named it must be older than the TTL, also those that come in later. Times are those of the queries, which are before the
    /// answers', so that the comparison holds on any machine.
    /// </summary>
    [Fact]
    public async Task ReportNeverSaysDrainedWhileAnAnswerMayBeCached()
    {
        await using var dns = await RunningDns.Start(new DnsOptions { Times = new() { Ttl = TtlSeconds } });
        var uids = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < Pods; i++)
            uids[(await dns.Apply(Pod(i))).Uid] = $"10.0.0.{i}";
        await ServerTests.Eventually(dns, "web.declarative.mesos", RecordType.A, Pods);

        using var stop = new CancellationTokenSource();
        var lastAsked = new ConcurrentDictionary<string, long>(StringComparer.Ordinal);
        var clients = Enumerable.Range(0, 3).Select(i => Ask(dns, i == 2, lastAsked, stop.Token)).ToArray();
        var drained = new Dictionary<string, long>(StringComparer.Ordinal);
        var deletions = Task.Run(async () =>
        {
            for (var i = 0; i < Pods - 1; i++)
            {
                await dns.Api.Delete(ResourceKey.Of(Kind.Pod, "default", $"web-{i}"), new DeleteOptions { GracePeriodSeconds = 60 }, stop.Token);
                await Task.Delay(50, stop.Token);
            }
        }, TestContext.Current.CancellationToken);
        var end = DateTime.UtcNow.AddSeconds(60);
        while (drained.Count < Pods - 1)
        {
            Assert.True(DateTime.UtcNow < end, $"only {drained.Count} were drained");
            var report = TrafficReport.Read((await dns.Api.Get(ResourceKey.Of(Kind.TrafficReport, "", "dns-local"), stop: stop.Token)).Json);
            var now = Stopwatch.GetTimestamp();
            foreach (var pod in report.Status.Draining.Where(p => p.InFlight == 0))
                drained.TryAdd(uids[pod.PodUID], now);
        }
        await deletions;
        await stop.CancelAsync();
        await Task.WhenAll(clients);
        foreach (var (address, at) in drained)
        {
            var age = Stopwatch.GetElapsedTime(lastAsked[address], at);
            Assert.True(age >= TimeSpan.FromSeconds(TtlSeconds), $"{address} was called drained {age.TotalMilliseconds:F0} ms after a query whose answer named it");
        }
    }

    private static async Task Ask(RunningDns dns, bool stream, ConcurrentDictionary<string, long> lastAsked, CancellationToken stop)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, stream ? SocketType.Stream : SocketType.Dgram, stream ? ProtocolType.Tcp : ProtocolType.Udp);
        await socket.ConnectAsync(dns.Address, stop);
        var prefix = stream ? 2 : 0;
        var query = new byte[300];
        var length = Query.Write(query.AsSpan(prefix), 1, DnsName.Parse("web.declarative.mesos").Wire, RecordType.A);
        if (stream)
            query[1] = (byte)length;
        var answer = new byte[4096];
        try
        {
            while (true)
            {
                var asked = Stopwatch.GetTimestamp();
                await socket.SendAsync(query.AsMemory(0, length + prefix), stop);
                // One answer is far smaller than a segment of the loopback: it comes whole.
                var got = await socket.ReceiveAsync(answer, stop);
                foreach (var record in Message.Read(answer.AsSpan(prefix, got - prefix))!.Answers)
                    lastAsked.AddOrUpdate(record.Address.ToString(), asked, (_, before) => Math.Max(before, asked));
            }
        }
        catch (OperationCanceledException)
        {
            return;
        }
    }

    private static string Pod(int number) => $$$"""
        apiVersion: v1
        kind: Pod
        metadata:
          name: web-{{{number}}}
          annotations: {declarative.mesos/name: web, declarative.mesos/task: '{"id":"u{{{number}}}.0","agent":"x-S0","ports":{}}'}
        spec:
          nodeName: agent-0
          containers: [{name: web, command: [x]}]
        status: {phase: Running, hostIP: 127.0.0.1, podIP: 10.0.0.{{{number}}}, conditions: [{type: Ready, status: "True"}]}
        """;
}
