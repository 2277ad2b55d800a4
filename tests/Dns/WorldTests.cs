using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Dns;

/// <summary>The role without sockets in the simulated world: times are exact there.</summary>
public class WorldTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void SameSeedSameHistory(int seed)
    {
        var first = History(seed);
        Assert.Equal(first.Hash, History(seed).Hash);
        Assert.NotEqual(first.Hash, History(seed + 100).Hash);
    }

    /// <summary>Changes are answered within 100 ms, counted exactly as long as a cache may hold the answer, and the report goes on a stop.</summary>
    [Fact]
    public void WithdrawalIsAnsweredAndCountedInTime()
    {
        var world = History(5);
        var answered = At(world, "answer 1");
        var deleted = At(world, "deleted");
        Assert.InRange(At(world, "answer 0 after"), deleted, deleted + TimeSpan.FromMilliseconds(100));
        Assert.InRange(At(world, "report 1"), deleted, deleted + TimeSpan.FromMilliseconds(100));
        // The last answer that named the pod was given just before the deletion: TTL 5 s from then on, and at most a tick of 100 ms.
        Assert.InRange(At(world, "report 0"), deleted + TimeSpan.FromSeconds(5), deleted + TimeSpan.FromSeconds(5.4));
        Assert.True(answered < deleted);
        Assert.Contains(world.Notes, n => n.EndsWith("report gone", StringComparison.Ordinal));
    }

    private static TimeSpan At(World world, string note) =>
        TimeSpan.Parse(world.Notes.First(n => n.Contains(note, StringComparison.Ordinal)).Split(' ')[0], null);

    private static World History(int seed)
    {
        var world = new World(seed);
        world.Run(async () =>
        {
            using var stop = new CancellationTokenSource();
            using var stopDns = new CancellationTokenSource();
            var thread = Environment.CurrentManagedThreadId;
            var server = await Declarative.ApiServer.ApiServer.Open(new MemoryJournal(), new ApiServerOptions(), world.Time, world.Random, stop.Token);
            var serving = server.Run(stop.Token);
            await server.Bootstrap(stop.Token);
            var admin = server.As(User.Admin);
            var dns = new DnsZones(new DnsOptions());
            var running = dns.Run(server.As(User.Dns), world.Time, world.Random, stopDns.Token);
            Note($"before {Ask()}");
            await dns.Synced;
            await dns.Registered;
            await Pause(world.Random.Next(100, 2000));
            var key = ResourceKey.Of(Kind.Pod, "default", "web");
            await admin.Create(key, Bytes("""
                {"metadata":{"name":"web","annotations":{"declarative.mesos/task":"{\"id\":\"u.0\",\"agent\":\"x-S0\",\"ports\":{}}"}},
                 "spec":{"nodeName":"agent-0","containers":[{"name":"web","command":["x"]}]}}
                """), stop: stop.Token);
            await admin.Patch(key, PatchKind.Merge, Bytes("""
                {"status":{"phase":"Running","hostIP":"127.0.0.1","podIP":"127.0.0.1","conditions":[{"type":"Ready","status":"True"}]}}
                """), new WriteOptions { Subresource = "status" }, stop.Token);
            await Until(() => Ask() == 1);
            Note($"answer {Ask()}");
            await Pause(world.Random.Next(100, 9000));
            Note($"asked {Ask()}");
            await admin.Delete(key, new DeleteOptions { GracePeriodSeconds = 30 }, stop.Token);
            Note("deleted");
            await Until(() => Ask() == 0);
            Note($"answer {Ask()} after");
            await UntilReport(r => r.Status.Draining is [{ InFlight: 1 }]);
            Note("report 1");
            await UntilReport(r => r.Status.Draining is [{ InFlight: 0 }]);
            Note("report 0");
            stopDns.Cancel();
            await running;
            Note((await Assert.ThrowsAsync<ApiException>(() => admin.Get(Report, stop: stop.Token))).IsNotFound ? "report gone" : "report left");
            Assert.Equal(thread, Environment.CurrentManagedThreadId);
            stop.Cancel();
            await serving;

            int Ask()
            {
                var query = new byte[100];
                var response = new byte[65535];
                var length = dns.Answer(query.AsSpan(0, Query.Write(query, 1, DnsName.Parse("web.declarative.mesos").Wire, RecordType.A)), response);
                return Message.Read(response.AsSpan(0, length))!.Answers.Count;
            }

            async Task UntilReport(Func<TrafficReport, bool> condition)
            {
                while (!condition(TrafficReport.Read((await admin.Get(Report, stop: stop.Token)).Json)))
                    await Pause(1);
            }

            async Task Until(Func<bool> condition)
            {
                while (!condition())
                    await Pause(1);
            }

            Task Pause(int milliseconds) => Task.Delay(TimeSpan.FromMilliseconds(milliseconds), world.Time, stop.Token);

            void Note(string text) => world.Note(text);
        });
        return world;
    }

    private static readonly ResourceKey Report = ResourceKey.Of(Kind.TrafficReport, "", "dns-local");

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
