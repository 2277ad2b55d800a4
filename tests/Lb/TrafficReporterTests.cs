using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Traffic;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>The report of decision 12 in a world of one thread, against the real API server behind a link that can fail.</summary>
public sealed class TrafficReporterTests
{
    private static readonly DrainingPod Busy = new() { PodUID = "a", Address = "127.0.0.1", InFlight = 2 };

    [Fact]
    public void NothingIsRegisteredBeforeTheFirstReportAndTheLeaseIsKept() => InWorld(async (world, link, reporter) =>
    {
        await Wait(world, 20_000);
        Assert.Null(await link.Report());
        Assert.False(reporter.Registered.IsCompleted);
        reporter.Report(7, []);
        await Wait(world, 100);
        Assert.True(reporter.Registered.IsCompletedSuccessfully);
        var first = await link.Report();
        Assert.Equal(("lb", 10, 7L), (first!.Spec.Role, first.Spec.LeaseDurationSeconds, first.Status.ObservedRevision));
        for (var i = 0; i < 60; i++)
        {
            await Wait(world, 1000);
            Assert.True((await link.Report())!.IsLive(world.Time.GetUtcNow().AddSeconds(6)), "renewed well before its end");
        }
        Assert.InRange(link.Writes, 20, 26); // every 3 s and no more
    });

    [Fact]
    public void WhatSomebodyMayWaitForIsWrittenAtOnceAndTheRestWithTheRenewal() => InWorld(async (world, link, reporter) =>
    {
        reporter.Report(1, []);
        await Wait(world, 100);
        var writes = link.Writes;
        reporter.Report(2, []); // nobody waits
        await Wait(world, 500);
        Assert.Equal(writes, link.Writes);
        reporter.Report(3, [Busy], awaitedRevision: 3); // a pod is marked
        await Wait(world, 60);
        Assert.Equal((3L, 2), Seen(await link.Report()));
        reporter.Report(4, [Busy with { InFlight = 1 }], awaitedRevision: 3); // neither zero nor awaited
        await Wait(world, 200);
        Assert.Equal((3L, 2), Seen(await link.Report()));
        reporter.Report(5, [Busy with { InFlight = 1 }], awaitedRevision: 5); // the mark of another slice
        await Wait(world, 60);
        Assert.Equal((5L, 1), Seen(await link.Report()));
        reporter.Report(5, [Busy with { InFlight = 0 }], awaitedRevision: 5);
        await Wait(world, 60);
        Assert.Equal((5L, 0), Seen(await link.Report()));
        reporter.Report(6, [Busy with { InFlight = 0 }]); // without a word on what is awaited, every advance counts while a pod drains
        await Wait(world, 60);
        Assert.Equal((6L, 0), Seen(await link.Report()));
        reporter.Report(9, [Busy with { InFlight = 0 }], awaitedRevision: 6);
        await Wait(world, 3000);
        Assert.Equal((9L, 0), Seen(await link.Report()));
    });

    [Fact]
    public void ManyChangesAreFewWrites() => InWorld(async (world, link, reporter) =>
    {
        reporter.Report(0, []);
        await Wait(world, 100);
        var writes = link.Writes;
        for (var i = 1; i <= 1000; i++)
        {
            reporter.Report(i, [Busy with { InFlight = i % 2 }]);
            await Wait(world, 1);
        }
        await Wait(world, 100);
        Assert.InRange(link.Writes - writes, 10, 24); // a second of changes: 20 statuses, and a renewal
        Assert.Equal((1000L, 0), Seen(await link.Report()));
    });

    [Fact]
    public void OutagesAndDeletionAreOutlived() => InWorld(async (world, link, reporter) =>
    {
        reporter.Report(1, [Busy]);
        await Wait(world, 100);
        link.Fails = true;
        reporter.Report(2, [Busy with { InFlight = 0 }]);
        await Wait(world, 30_000);
        link.Fails = false;
        await Wait(world, 3_100);
        Assert.Equal((2L, 0), Seen(await link.Report()));
        link.Hangs = true;
        reporter.Report(3, [Busy]);
        await Wait(world, 20_000);
        link.Hangs = false;
        await Wait(world, 6_100);
        Assert.Equal((3L, 2), Seen(await link.Report()));
        await link.Admin.Delete(link.Key);
        await Wait(world, 4_000);
        Assert.Equal((3L, 2), Seen(await link.Report()));
        Assert.True((await link.Report())!.IsLive(world.Time.GetUtcNow()));
    });

    [Fact]
    public void AReportLeftByACrashIsTakenOver() => InWorld(async (world, link, reporter) =>
    {
        using var crashed = new CancellationTokenSource();
        var before = new TrafficReporter("lb", "test");
        before.Report(99, [Busy]);
        var running = before.Run(link, world.Time, crashed.Token);
        await Wait(world, 100);
        Assert.Equal((99L, 2), Seen(await link.Report()));
        link.Fails = true; // so that its end reaches nobody
        crashed.Cancel();
        await running;
        link.Fails = false;
        reporter.Report(1, []);
        await Wait(world, 100);
        Assert.Equal((1L, -1), Seen(await link.Report()));
    });

    private static (long Revision, int InFlight) Seen(TrafficReport? report) => (report!.Status.ObservedRevision, report.Status.Draining.Count == 0 ? -1 : report.Status.Draining.Single().InFlight);

    private static Task Wait(World world, int milliseconds) => Task.Delay(TimeSpan.FromMilliseconds(milliseconds), world.Time);

    private static void InWorld(Func<World, Link, TrafficReporter, Task> scenario)
    {
        var world = new World(1);
        world.Run(async () =>
        {
            using var stop = new CancellationTokenSource();
            using var serverStop = new CancellationTokenSource();
            await using var journal = new MemoryJournal();
            var server = await Declarative.ApiServer.ApiServer.Open(journal, new(), world.Time, world.Random, CancellationToken.None);
            var serving = server.Run(serverStop.Token);
            await server.Bootstrap(CancellationToken.None);
            var link = new Link(server.As(User.Lb), server.As(User.Admin));
            var reporter = new TrafficReporter("lb", "test");
            var running = reporter.Run(link, world.Time, stop.Token);
            await scenario(world, link, reporter);
            stop.Cancel();
            await running;
            Assert.Null(await link.Report());
            serverStop.Cancel();
            await serving;
        });
    }

    /// <summary>The way to the API server, with its faults.</summary>
    private sealed class Link(IApi api, IApi admin) : IApi
    {
        public ResourceKey Key { get; } = ResourceKey.Of(Kind.TrafficReport, "", "lb-test");
        public IApi Admin => admin;
        public bool Fails { get; set; }
        public bool Hangs { get; set; }
        public int Writes { get; private set; }

        public async Task<TrafficReport?> Report()
        {
            try
            {
                return TrafficReport.Read((await admin.Get(Key)).Json);
            }
            catch (ApiException e) when (e.IsNotFound)
            {
                return null;
            }
        }

        public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => api.Get(key, subresource, stop);

        public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => api.List(request, stop);

        public IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, CancellationToken stop = default) => api.Watch(request, stop);

        public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => Through(() => api.Create(key, json, options, stop), stop);

        public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => Through(() => api.Update(key, json, options, stop), stop);

        public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => Through(() => api.Patch(key, kind, patch, options, stop), stop);

        public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => Through(() => api.Delete(key, options, stop), stop);

        private async Task<Stored> Through(Func<Task<Stored>> call, CancellationToken stop)
        {
            if (Fails) throw Status.Unavailable("the link is down");
            if (Hangs)
            {
                var never = new TaskCompletionSource();
                using var given = stop.Register(() => never.TrySetCanceled(stop));
                await never.Task;
            }
            Writes++;
            return await call();
        }
    }
}
