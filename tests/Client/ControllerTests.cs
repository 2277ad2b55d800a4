using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Xunit;

namespace Declarative.Tests.Client;

/// <summary>The runtime that all controllers stand on.</summary>
public sealed class ControllerTests
{
    private static ResourceKey Key(string name) => ResourceKey.Of(Kind.ConfigMap, "default", name);

    private static byte[] Map(string name) => Encoding.UTF8.GetBytes("{\"metadata\":{\"name\":\"" + name + "\"}}");

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void No_plan_is_made_before_the_view_shows_what_the_last_one_wrote(int seed) => ServerInWorld.Run(seed, async server =>
    {
        // A controller that wants five children of each parent and names them by chance: were its view older than its writes, it would make more.
        const int Wanted = 5;
        var flaky = new FlakyApi(server.Api, server.Time, new Random(seed)) { OneIn = 25 };
        var children = new Informer<ConfigMap>(flaky, Kind.ConfigMap, ConfigMap.Read, server.Time, new Random(seed))
            .AddIndex("parent", x => x.Metadata.Labels.TryGetValue("parent", out var parent) ? [parent] : []);
        var most = 0;
        var controller = new Controller<string>("test", flaky, server.Time, (parent, _) =>
        {
            var have = children.ByIndex("parent", parent).Count;
            most = Math.Max(most, have);
            return new(new Plan
            {
                Changes = [.. Enumerable.Range(0, Math.Max(0, Wanted - have)).Select(_ => Change.Create(
                    Key(""), Encoding.UTF8.GetBytes("{\"metadata\":{\"generateName\":\"c-\",\"labels\":{\"parent\":\"" + parent + "\"}}}")))],
            });
        }) { Views = [children] };
        children.OnChange(x =>
        {
            if (x.Object.Metadata.Labels.TryGetValue("parent", out var parent)) controller.Queue.Add(parent);
        });
        server.Begin(controller.Run);
        for (var i = 0; i < 10; i++) controller.Queue.Add("p" + i);
        await server.Until(() => Enumerable.Range(0, 10).All(i => children.ByIndex("parent", "p" + i).Count == Wanted), "all children");
        await Task.Delay(TimeSpan.FromMinutes(5), server.Time);
        var stored = (await server.Api.List(new(Kind.ConfigMap, "default"))).Items.Count(x => x.Key.Name.StartsWith("c-", StringComparison.Ordinal));
        Assert.Equal(10 * Wanted, stored);
        Assert.True(flaky.Faults > 0);
    });

    [Fact]
    public void A_bug_in_one_key_stops_neither_the_others_nor_its_own_next_try() => ServerInWorld.Run(1, async server =>
    {
        var done = new HashSet<string>();
        var tries = 0;
        var controller = new Controller<string>("test", server.Api, server.Time, (key, _) =>
        {
            if (key == "bad" && ++tries < 8) throw new InvalidOperationException("a bug");
            done.Add(key);
            return new(Plan.Nothing);
        }) { Workers = 1 };
        server.Begin(controller.Run);
        foreach (var key in new[] { "a", "bad", "b" }) controller.Queue.Add(key);
        await server.Until(() => done.Count == 2, "the others");
        await server.Until(() => done.Count == 3, "the bad one in the end");
        Assert.Equal(7, controller.Failures);
        Assert.True(server.World.Elapsed > TimeSpan.FromMilliseconds(5 + 10 + 20 + 40 + 80 + 160 + 320));
    });

    [Fact]
    public void A_refused_change_ends_the_plan_tells_why_and_is_tried_again() => ServerInWorld.Run(1, async server =>
    {
        var refused = new List<string>();
        var controller = new Controller<string>("test", server.Api, server.Time, (key, _) => new(new Plan
        {
            Changes = [Change.Create(Key("Not_A_Name"), Map("Not_A_Name")), Change.Create(Key("after"), Map("after"))],
            OnRefused = x =>
            {
                refused.Add(x.Error!.Status.Reason);
                return new() { Changes = [Change.Merge(Key("told"), """{"data":{"why":"refused"}}"""u8.ToArray())] };
            },
        }));
        await server.Api.Create(Key("told"), Map("told"));
        server.Begin(controller.Run);
        controller.Queue.Add("x");
        await server.Until(() => refused.Count > 3, "tried several times");
        Assert.All(refused, x => Assert.Equal(StatusReason.Invalid, x));
        Assert.Equal("refused", ConfigMap.Read((await server.Api.Get(Key("told"))).Json).Data["why"]);
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => server.Api.Get(Key("after"), stop: CancellationToken.None))).Code);
    });

    [Fact]
    public void Look_again_runs_the_key_without_a_change() => ServerInWorld.Run(1, async server =>
    {
        var runs = new List<TimeSpan>();
        var controller = new Controller<string>("test", server.Api, server.Time, (_, _) =>
        {
            runs.Add(server.World.Elapsed);
            return new(new Plan { LookAgainIn = runs.Count < 3 ? TimeSpan.FromSeconds(7) : null });
        });
        server.Begin(controller.Run);
        controller.Queue.Add("x");
        await Task.Delay(TimeSpan.FromMinutes(5), server.Time);
        Assert.Equal(3, runs.Count);
        Assert.Equal(TimeSpan.FromSeconds(7), runs[2] - runs[1]);
    });

    [Fact]
    public void Outcomes_are_told_apart_and_creations_go_out_in_growing_batches() => ServerInWorld.Run(1, async server =>
    {
        var counting = new CountingApi(server.Api, server.Time);
        var applier = new Applier(counting, "test");
        var many = await applier.Apply([.. Enumerable.Range(0, 40).Select(i => Change.Create(Key("n" + i), Map("n" + i)))], CancellationToken.None);
        Assert.All(many, x => Assert.Equal(Outcome.Done, x.Outcome));
        Assert.Equal(Enumerable.Range(0, 40).Select(i => "n" + i), many.Select(x => x.Written!.Key.Name));
        Assert.Equal(16, counting.MostAtOnce); // 1 + 2 + 4 + 8 + 16 and the rest of 9

        Assert.Equal(Outcome.AlreadyExists, (await One(Change.Create(Key("n1"), Map("n1")))).Outcome);
        Assert.Equal(Outcome.NotFound, (await One(Change.Merge(Key("none"), "{}"u8.ToArray()))).Outcome);
        Assert.Equal(Outcome.Conflict, (await One(Change.Merge(Key("n1"), """{"metadata":{"resourceVersion":"1"}}"""u8.ToArray()))).Outcome);
        Assert.Equal(Outcome.Conflict, (await One(Change.Delete(Key("n1"), "another uid"))).Outcome);
        var gone = await One(Change.Delete(Key("none"), "x"));
        Assert.True(gone is { Outcome: Outcome.NotFound, IsAchieved: true });

        var stopped = await applier.Apply([Change.Create(Key("n1"), Map("n1")), .. Enumerable.Range(50, 20).Select(i => Change.Create(Key("n" + i), Map("n" + i)))], CancellationToken.None);
        Assert.Single(stopped);

        async Task<Applied> One(Change change) => Assert.Single(await applier.Apply([change], CancellationToken.None));
    });

    [Fact]
    public void The_same_event_again_raises_its_count_and_too_many_are_not_written() => ServerInWorld.Run(1, async server =>
    {
        var recorder = new EventRecorder(server.Api, "test", server.Time, new Random(1));
        server.Begin(recorder.Run);
        var about = new ObjectReference { ApiVersion = "v1", Kind = "ConfigMap", Namespace = "default", Name = "a", Uid = "u" };
        for (var i = 0; i < 3; i++)
        {
            recorder.Record(EventNote.Warning(about, "Again", "the same"));
            await Task.Delay(TimeSpan.FromSeconds(1), server.Time);
        }
        var written = Event.Read(Assert.Single((await server.Api.List(new(Kind.Event, "default"))).Items).Json);
        Assert.Equal((3, "Again", "Warning", "u"), (written.Count, written.Reason, written.Type, written.InvolvedObject.Uid));
        Assert.Equal(TimeSpan.FromSeconds(2), written.LastTimestamp - written.FirstTimestamp);

        for (var i = 0; i < 100; i++) recorder.Record(EventNote.Normal(about, "Storm", $"number {i}"));
        await Task.Delay(TimeSpan.FromSeconds(5), server.Time);
        Assert.Equal(1 + EventRecorder.BurstMax - 3, (await server.Api.List(new(Kind.Event, "default"))).Items.Count);
        await Task.Delay(EventRecorder.RefillEvery, server.Time);
        recorder.Record(EventNote.Normal(about, "Later", "one more"));
        await server.Until(() => server.Api.List(new(Kind.Event, "default")).Result.Items.Any(x => Event.Read(x.Json).Reason == "Later"), "one more after the refill");
    });

    /// <summary>Counts the calls that are under way together.</summary>
    private sealed class CountingApi(IApi inner, TimeProvider time) : IApi
    {
        private int _now;

        public int MostAtOnce { get; private set; }

        public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => inner.Get(key, subresource, stop);

        public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => inner.List(request, stop);

        public IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, CancellationToken stop = default) => inner.Watch(request, stop);

        public async Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default)
        {
            MostAtOnce = Math.Max(MostAtOnce, ++_now);
            await Task.Delay(TimeSpan.FromMilliseconds(5), time, stop);
            _now--;
            return await inner.Create(key, json, options, stop);
        }

        public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => inner.Update(key, json, options, stop);

        public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => inner.Patch(key, kind, patch, options, stop);

        public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => inner.Delete(key, options, stop);
    }
}
