using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.Client.Informers;
using Declarative.Sim;
using Declarative.Tests.ApiServer;
using Xunit;

namespace Declarative.Tests.Client;

public sealed class InformerTests
{
    private static ResourceKey Key(string name) => ResourceKey.Of(Kind.ConfigMap, "default", name);

    private static byte[] Map(string name, string value, string label = "a") =>
        Encoding.UTF8.GetBytes("{\"metadata\":{\"name\":\"" + name + "\",\"labels\":{\"l\":\"" + label + "\"}},\"data\":{\"v\":\"" + value + "\"}}");

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Over_a_broken_connection_the_view_becomes_the_servers_state_and_changes_make_sense(int seed) => ServerInWorld.Run(seed, async server =>
    {
        var flaky = new FlakyApi(server.Api, server.Time, new Random(seed)) { OneIn = 6 };
        var wrong = new List<string>();
        var told = new SortedDictionary<string, ConfigMap>(StringComparer.Ordinal);
        var revisions = new Dictionary<string, long>();
        var maps = new Informer<ConfigMap>(flaky, Kind.ConfigMap, ConfigMap.Read, server.Time, new Random(seed)) { Namespace = "default" }
            .AddIndex("label", x => [x.Metadata.Labels["l"]]);
        maps.OnChange(change =>
        {
            // Old is exactly what was told before; New never goes back.
            var name = change.Object.Name;
            if (told.GetValueOrDefault(name)?.Metadata.ResourceVersion != change.Old?.Metadata.ResourceVersion) wrong.Add($"{name}: old is not what was told before");
            if (maps!.Revision > change.Revision && maps.Lists < 2) wrong.Add($"{name}: the revision was published before the change");
            if (change.New is { } now)
            {
                if (change.Revision <= revisions.GetValueOrDefault(name)) wrong.Add($"{name}: went back to {change.Revision}");
                revisions[name] = change.Revision;
                told[name] = now;
            }
            else
            {
                told.Remove(name);
            }
        });
        server.Begin(maps.Run);
        var last = 0L;
        for (var i = 0; i < 400; i++)
        {
            var name = "m" + server.World.Random.Next(12);
            try
            {
                last = server.World.Random.Next(4) switch
                {
                    0 => (await server.Api.Delete(Key(name))).Revision,
                    1 => (await server.Api.Create(Key(name), Map(name, i.ToString()))).Revision,
                    _ => (await server.Api.Patch(Key(name), PatchKind.Merge, Map(name, i.ToString(), "abc"[i % 3].ToString()))).Revision,
                };
            }
            catch (ApiException e) when (e.Code is 404 or 409)
            {
                continue;
            }
            if (i % 10 == 0) await Task.Delay(TimeSpan.FromMilliseconds(server.World.Random.Next(500)), server.Time);
        }
        await maps.WaitFor(last);
        var stored = (await server.Api.List(new(Kind.ConfigMap, "default"))).Items;
        Assert.Equal(stored.Select(x => (x.Key.Name, x.Revision)), maps.Entries().Select(x => (x.Key.Name, x.Revision)));
        Assert.Equal(stored.Select(x => x.Key.Name), told.Keys);
        foreach (var label in new[] { "a", "b", "c" })
        {
            Assert.Equal(maps.List().Where(x => x.Metadata.Labels["l"] == label).Select(x => x.Name), maps.ByIndex("label", label).Select(x => x.Name));
        }
        Assert.Empty(wrong);
        Assert.True(flaky.Faults > 5);
        Assert.True(maps.Lists > 1);
    });

    [Fact]
    public void After_a_restore_to_an_earlier_state_the_view_shows_that_state()
    {
        var world = new World(1);
        world.Run(async () =>
        {
            using var stop = new CancellationTokenSource();
            var journal = new MemoryJournal();
            var (first, firstRunning) = await Serve(journal);
            await first.Create(Key("changed"), Map("changed", "as it was"));
            await first.Create(Key("deleted"), Map("deleted", ""));
            var backup = new MemoryJournal();
            List<JournalRecord> records = [];
            await journal.Load((key, uid, revision, json) => records.Add(new(revision, key, uid, json.ToArray())), stop.Token);
            await backup.Append(records, stop.Token);
            await first.Patch(Key("changed"), PatchKind.Merge, Map("changed", "later"));
            await first.Delete(Key("deleted"));
            for (var i = 0; i < 20; i++) await first.Create(Key($"more-{i}"), Map($"more-{i}", ""));

            using var cut = new CancellationTokenSource();
            var api = new SwitchedApi(first, cut.Token);
            var maps = new Informer<ConfigMap>(api, Kind.ConfigMap, ConfigMap.Read, world.Time, new Random(1)) { Namespace = "default" };
            var running = maps.Run(stop.Token);
            await maps.Synced;
            var high = maps.Revision;
            var waits = maps.WaitFor(high + 1, stop.Token);

            var (second, secondRunning) = await Serve(backup);
            api.Inner = second;
            cut.Cancel();
            await waits.WaitAsync(TimeSpan.FromMinutes(1), world.Time);
            Assert.True(maps.Revision < high);
            await second.Create(Key("new"), Map("new", ""));
            await Until(() => maps.Get("default", "new") is not null);
            var stored = (await second.List(new(Kind.ConfigMap, "default"))).Items;
            Assert.Equal(stored.Select(x => (x.Key.Name, x.Revision)), maps.Entries().Select(x => (x.Key.Name, x.Revision)));
            Assert.Equal("as it was", maps.Get("default", "changed")!.Data["v"]);
            Assert.NotNull(maps.Get("default", "deleted"));
            stop.Cancel();
            await running;
            await firstRunning;
            await secondRunning;

            async Task<(IApi, Task)> Serve(MemoryJournal from)
            {
                var server = await Declarative.ApiServer.ApiServer.Open(from, new(), world.Time, new Random(1), stop.Token);
                var serving = server.Run(stop.Token);
                await server.Bootstrap(stop.Token);
                return (server.As(User.Admin), serving);
            }

            async Task Until(Func<bool> condition)
            {
                for (var end = world.Elapsed + TimeSpan.FromMinutes(1); !condition(); await Task.Delay(TimeSpan.FromMilliseconds(50), world.Time)) Assert.True(world.Elapsed < end);
            }
        });
    }

    [Fact]
    public void The_same_seed_gives_the_same_history()
    {
        var histories = Enumerable.Range(0, 2).Select(_ =>
        {
            var history = new StringBuilder();
            ServerInWorld.Run(5, async server =>
            {
                var flaky = new FlakyApi(server.Api, server.Time, new Random(5));
                var maps = new Informer<ConfigMap>(flaky, Kind.ConfigMap, ConfigMap.Read, server.Time, new Random(5));
                maps.OnChange(change => history.Append(server.World.Elapsed).Append(' ').Append(change.Object.Name).Append(change.Revision).Append(change.New is null).AppendLine());
                server.Begin(maps.Run);
                for (var i = 0; i < 50; i++)
                {
                    await server.Api.Create(Key("m" + i), Map("m" + i, ""));
                    await Task.Delay(TimeSpan.FromMilliseconds(30), server.Time);
                }
                await server.Until(() => maps.ListNamespace("default").Count == 50, "all seen");
            });
            return history.ToString();
        }).ToList();
        Assert.Equal(histories[0], histories[1]);
        Assert.NotEmpty(histories[0]);
    }

    [Fact]
    public void A_list_of_many_pages_is_one_state() => ServerInWorld.Run(1, async server =>
    {
        for (var i = 0; i < Limits.InformerPageItemsMax + 10; i++) await server.Api.Create(Key("m" + i), Map("m" + i, ""));
        var maps = new Informer<ConfigMap>(server.Api, Kind.ConfigMap, ConfigMap.Read, server.Time, new Random(1)) { KeepJson = true };
        server.Begin(maps.Run);
        await maps.Synced;
        Assert.Equal(Limits.InformerPageItemsMax + 10, maps.ListNamespace("default").Count);
        Assert.Equal(1, maps.Lists);
        Assert.Contains("\"m77\"", Encoding.UTF8.GetString(maps.Entry("default", "m77")!.Json.Span));
    });

    [Fact]
    public void A_handler_that_throws_keeps_nobody_from_the_change() => ServerInWorld.Run(1, async server =>
    {
        var seen = 0;
        var maps = new Informer<ConfigMap>(server.Api, Kind.ConfigMap, ConfigMap.Read, server.Time, new Random(1)) { Namespace = "default" }
            .OnChange(_ => throw new InvalidOperationException("a bug"))
            .OnChange(_ => seen++);
        server.Begin(maps.Run);
        await maps.WaitFor((await server.Api.Create(Key("a"), Map("a", ""))).Revision);
        Assert.Equal(1, seen);
    });

    [Fact]
    public void Who_is_attached_hears_of_what_is_there_and_of_each_change_after_it_until_he_leaves() => ServerInWorld.Run(1, async server =>
    {
        var maps = new Informer<ConfigMap>(server.Api, Kind.ConfigMap, ConfigMap.Read, server.Time, new Random(1)) { Namespace = "default" };
        server.Begin(maps.Run);
        await server.Api.Create(Key("b"), Map("b", ""));
        await maps.WaitFor((await server.Api.Create(Key("a"), Map("a", ""))).Revision);
        var told = new List<string>();
        using (maps.Attach(x => told.Add($"{x.Object.Name} {x.Old is not null} {x.New is not null}")))
        {
            Assert.Equal(["a False True", "b False True"], told);
            await maps.WaitFor((await server.Api.Patch(Key("b"), PatchKind.Merge, Map("b", "2"))).Revision);
            await maps.WaitFor((await server.Api.Delete(Key("a"))).Revision);
            Assert.Equal(["b True True", "a True False"], told[2..]);
        }
        await maps.WaitFor((await server.Api.Create(Key("c"), Map("c", ""))).Revision);
        Assert.Equal(4, told.Count);
    });

    [Fact]
    public void An_object_made_again_under_its_name_is_told_as_an_end_and_a_beginning() => ServerInWorld.Run(1, async server =>
    {
        var flaky = new FlakyApi(server.Api, server.Time, new Random(1)) { OneIn = 0 };
        var changes = new List<(bool Old, bool New)>();
        var maps = new Informer<ConfigMap>(flaky, Kind.ConfigMap, ConfigMap.Read, server.Time, new Random(1)) { Namespace = "default" }
            .OnChange(x => changes.Add((x.Old is not null, x.New is not null)));
        await server.Api.Create(Key("a"), Map("a", "1"));
        flaky.ExpireNextWatch = true;
        server.Begin(maps.Run);
        await maps.Synced; // and now it hears 410, while the object becomes another one
        await server.Api.Delete(Key("a"));
        var again = await server.Api.Create(Key("a"), Map("a", "2"));
        await maps.WaitFor(again.Revision);
        Assert.Equal(again.Uid, maps.Get("default", "a")!.Uid);
        Assert.Equal([(false, true), (true, false), (false, true)], changes);
    });

    [Fact]
    public async Task Readers_on_many_threads_see_whole_states()
    {
        await using var server = await InProcessApi.Start();
        using var stop = new CancellationTokenSource();
        var maps = new Informer<ConfigMap>(server.Admin, Kind.ConfigMap, ConfigMap.Read, TimeProvider.System, new Random(1)).AddIndex("name", x => [x.Name]);
        var running = maps.Run(stop.Token);
        var readers = Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            var reads = 0;
            do
            {
                foreach (var map in maps.List()) Assert.Same(map.Name, map.Name);
                maps.ByIndex("name", "m3");
                reads++;
            }
            while (!stop.IsCancellationRequested);
            return reads;
        })).ToList();
        var last = 0L;
        for (var i = 0; i < 500; i++) last = (await server.Admin.Create(Key("m" + i), Map("m" + i, ""), stop: TestContext.Current.CancellationToken)).Revision;
        await maps.WaitFor(last, TestContext.Current.CancellationToken);
        Assert.Equal(500, maps.ListNamespace("default").Count);
        await stop.CancelAsync();
        await running;
        foreach (var reader in readers) Assert.True(await reader > 0);
    }

    [Fact]
    public async Task Waiting_for_a_revision_can_be_given_up()
    {
        await using var server = await InProcessApi.Start();
        var maps = new Informer<ConfigMap>(server.Admin, Kind.ConfigMap, ConfigMap.Read, TimeProvider.System, new Random(1));
        using var stop = new CancellationTokenSource();
        var waiting = maps.WaitFor(1_000_000, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
    }
}
