using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Xunit;

namespace Declarative.Tests.Client;

public sealed class LeaderLeaseTests
{
    private static async Task<LeaseSpec> Spec(ServerInWorld server) =>
        Lease.Read((await server.Api.Get(ResourceKey.Of(Kind.Lease, "kube-system", "role"))).Json).Spec;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void At_most_one_leads_whatever_breaks_and_somebody_does_in_the_end(int seed) => ServerInWorld.Run(seed, async server =>
    {
        var leading = 0;
        var terms = 0;
        var most = 0;
        var apis = new List<FlakyApi>();
        for (var i = 0; i < 3; i++)
        {
            var api = new FlakyApi(server.Api, server.Time, new Random(seed * 10 + i)) { OneIn = 8 };
            apis.Add(api);
            var lease = new LeaderLease(api, "kube-system", "role", $"candidate-{i}", server.Time, new Random(seed + i));
            server.Begin(stop => lease.Run(async term =>
            {
                terms++;
                most = Math.Max(most, ++leading);
                var ended = new TaskCompletionSource();
                using var registration = term.Register(() => ended.TrySetResult());
                await ended.Task;
                leading--;
            }, stop));
        }
        for (var i = 0; i < 40; i++)
        {
            // For a while nothing of one candidate comes through.
            var cut = apis[server.World.Random.Next(apis.Count)];
            cut.OneIn = 1;
            await Task.Delay(TimeSpan.FromSeconds(server.World.Random.Next(40)), server.Time);
            cut.OneIn = 8;
        }
        foreach (var api in apis) api.OneIn = 0;
        await server.Until(() => leading == 1, "one leads");
        Assert.Equal(1, most);
        Assert.True(terms > 3);
    });

    [Fact]
    public void An_orderly_end_hands_over_at_once_and_a_death_after_the_duration() => ServerInWorld.Run(1, async server =>
    {
        var now = "";
        var first = Begin("a");
        await server.Until(() => now == "a", "a leads");
        var second = Begin("b");
        await Task.Delay(TimeSpan.FromMinutes(1), server.Time);
        Assert.Equal("a", now);
        Assert.Equal("a", (await Spec(server)).HolderIdentity);

        var at = server.World.Elapsed;
        first.Cancel();
        await server.Until(() => now == "b", "b leads");
        Assert.True(server.World.Elapsed - at < TimeSpan.FromSeconds(5));
        Assert.Equal(1, (await Spec(server)).LeaseTransitions);

        // Somebody who died: the holder stands there and renews no more.
        second.Cancel();
        await server.Until(() => now == "", "nobody leads");
        await server.Api.Patch(ResourceKey.Of(Kind.Lease, "kube-system", "role"), PatchKind.Merge, """{"spec":{"holderIdentity":"dead"}}"""u8.ToArray());
        at = server.World.Elapsed;
        Begin("c");
        await server.Until(() => now == "c", "c leads");
        Assert.InRange(server.World.Elapsed - at, TimeSpan.FromSeconds(15), TimeSpan.FromSeconds(20));

        CancellationTokenSource Begin(string identity)
        {
            var end = new CancellationTokenSource();
            var lease = new LeaderLease(server.Api, "kube-system", "role", identity, server.Time, new Random(1));
            server.Begin(stop =>
            {
                stop.Register(end.Cancel);
                return lease.Run(async term =>
                {
                    now = identity;
                    var ended = new TaskCompletionSource();
                    using var registration = term.Register(() => ended.TrySetResult());
                    await ended.Task;
                    now = "";
                }, end.Token);
            });
            return end;
        }
    });

    [Fact]
    public void A_timer_that_is_early_costs_no_second_wait() => ServerInWorld.Run(1, async server =>
    {
        await server.Api.Create(ResourceKey.Of(Kind.Lease, "kube-system", "role"), """{"metadata":{"name":"role"},"spec":{"holderIdentity":"dead","leaseDurationSeconds":15}}"""u8.ToArray());
        var lease = new LeaderLease(server.Api, "kube-system", "role", "me", new EarlyTimers(server.Time), new Random(1));
        server.Begin(stop => lease.Run(async term => await Task.Delay(Timeout.Infinite, term), stop));
        await server.Until(() => lease.IsLeading, "leads");
        Assert.InRange(server.World.Elapsed, TimeSpan.FromSeconds(15), TimeSpan.FromSeconds(16));
    });

    /// <summary>As those of an operating system, whose timers go by a coarser clock.</summary>
    private sealed class EarlyTimers(TimeProvider inner) : TimeProvider
    {
        private static readonly TimeSpan Coarse = TimeSpan.FromMilliseconds(3);

        public override long TimestampFrequency => inner.TimestampFrequency;

        public override long GetTimestamp() => inner.GetTimestamp();

        public override DateTimeOffset GetUtcNow() => inner.GetUtcNow();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new Timer(inner.CreateTimer(callback, state, Early(dueTime), period));

        private static TimeSpan Early(TimeSpan time) => time > 2 * Coarse ? time - Coarse : time;

        private sealed class Timer(ITimer inner) : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => inner.Change(Early(dueTime), period);

            public void Dispose() => inner.Dispose();

            public ValueTask DisposeAsync() => inner.DisposeAsync();
        }
    }

    [Fact]
    public void A_term_does_not_begin_when_it_is_over() => ServerInWorld.Run(1, async server =>
    {
        var lease = new LeaderLease(new LateOnce(server.Api, server.Time, TimeSpan.FromSeconds(12)), "kube-system", "role", "me", server.Time, new Random(1));
        var mayAct = new List<bool>();
        server.Begin(stop => lease.Run(async term =>
        {
            mayAct.Add(lease.MayAct);
            await Task.Delay(Timeout.Infinite, term);
        }, stop));
        await server.Until(() => lease.MayAct, "leads");
        Assert.True(server.World.Elapsed >= TimeSpan.FromSeconds(12));
        Assert.Equal([true], mayAct);
    });

    [Fact]
    public void Loops_under_a_shared_lease_run_once_in_each_term() => ServerInWorld.Run(1, async server =>
    {
        var api = new FlakyApi(server.Api, server.Time, new Random(1)) { OneIn = 0 };
        var lease = new SharedLease("kube-system", "role", "me", null);
        server.Begin(stop => lease.Run(api, server.Time, new Random(1), stop));
        var (begun, running) = (0, 0);
        for (var i = 0; i < 2; i++)
        {
            server.Begin(stop => lease.Run(async term =>
            {
                begun++;
                running++;
                try
                {
                    await Task.Delay(Timeout.Infinite, term);
                }
                finally
                {
                    running--;
                }
            }, stop));
        }
        for (var terms = 1; terms <= 3; terms++)
        {
            await server.Until(() => running == 2, "both run");
            Assert.Equal(2 * terms, begun);
            api.OneIn = 1;
            await server.Until(() => running == 0, "the term is over");
            api.OneIn = 0;
        }
    });

    [Fact]
    public void An_identity_takes_its_own_lease_again_at_once() => ServerInWorld.Run(1, async server =>
    {
        await server.Api.Create(ResourceKey.Of(Kind.Lease, "kube-system", "role"), """{"metadata":{"name":"role"},"spec":{"holderIdentity":"me","leaseDurationSeconds":15,"leaseTransitions":4}}"""u8.ToArray());
        var lease = new LeaderLease(server.Api, "kube-system", "role", "me", server.Time, new Random(1));
        server.Begin(stop => lease.Run(async term => await Task.Delay(Timeout.Infinite, term), stop));
        await server.Until(() => lease.IsLeading, "leads");
        Assert.True(server.World.Elapsed < TimeSpan.FromSeconds(1));
        Assert.Equal(4, (await Spec(server)).LeaseTransitions);
    });

    /// <summary>The answer to the first write comes late.</summary>
    private sealed class LateOnce(IApi inner, TimeProvider time, TimeSpan late) : IApi
    {
        private bool _done;

        public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => inner.Get(key, subresource, stop);

        public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => inner.List(request, stop);

        public IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, CancellationToken stop = default) => inner.Watch(request, stop);

        public async Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default)
        {
            var written = await inner.Create(key, json, options, stop);
            if (!_done) await Task.Delay(late, time, stop);
            _done = true;
            return written;
        }

        public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => inner.Update(key, json, options, stop);

        public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => inner.Patch(key, kind, patch, options, stop);

        public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => inner.Delete(key, options, stop);
    }
}
