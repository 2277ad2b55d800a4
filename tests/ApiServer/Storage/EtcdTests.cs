using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Etcd;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>The API contract on etcd.</summary>
public sealed class EtcdContract(EtcdServer etcd) : ApiContract, IClassFixture<EtcdServer>
{
    private InProcessApi? _api;

    protected override async Task<IApi> Start()
    {
        EtcdServer.SkipUnlessInstalled();
        _api = await InProcessApi.Start(await etcd.Journal(etcd.Options()));
        return _api.Admin;
    }

    protected override ValueTask End() => _api?.DisposeAsync() ?? ValueTask.CompletedTask;
}

/// <summary>Two API servers on one etcd, and an etcd that dies.</summary>
public sealed class EtcdTests(EtcdServer etcd) : IClassFixture<EtcdServer>, IAsyncLifetime
{
    private readonly EtcdOptions _options = etcd.Options();
    private InProcessApi _a = null!;
    private InProcessApi _b = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        EtcdServer.SkipUnlessInstalled();
        _a = await InProcessApi.Start(await etcd.Journal(_options));
        _b = await InProcessApi.Start(await etcd.Journal(_options), seed: 2);
    }

    public async ValueTask DisposeAsync()
    {
        if (_a is null) return;
        await _a.DisposeAsync();
        await _b.DisposeAsync();
    }

    [Fact]
    public async Task What_one_server_acknowledges_the_other_answers_byte_for_byte()
    {
        for (var i = 0; i < 20; i++)
        {
            var (writer, reader) = i % 2 == 0 ? (_a, _b) : (_b, _a);
            var made = await writer.Admin.Create(Key($"m{i}"), Map($"m{i}", "1"), stop: Stop);
            Assert.Equal(Text(made), Text(await reader.Admin.Get(Key($"m{i}"), stop: Stop)));
            var list = await reader.Admin.List(new(Kind.ConfigMap, "default"), Stop);
            Assert.Equal(made.Revision, list.Revision);
            Assert.Equal(i + 1, list.Items.Count);
        }
        await _a.Admin.Delete(Key("m0"), stop: Stop);
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => _b.Admin.Get(Key("m0"), stop: Stop))).Code);
    }

    [Fact]
    public async Task Of_updates_of_one_revision_through_both_exactly_one_wins()
    {
        var made = await _a.Admin.Create(Key("a"), Map("a", "0"), stop: Stop);
        for (var round = 0; round < 10; round++)
        {
            var at = made.Revision;
            var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
            {
                try
                {
                    return await (i % 2 == 0 ? _a : _b).Admin.Update(made.Key, Map("a", $"{round}-{i}", at), stop: Stop);
                }
                catch (ApiException e)
                {
                    Assert.True(e.IsConflict, e.Message);
                    return null;
                }
            }));
            made = Assert.Single(outcomes, x => x is not null)!;
            Assert.Equal(Text(made), Text(await _a.Admin.Get(made.Key, stop: Stop)));
            Assert.Equal(Text(made), Text(await _b.Admin.Get(made.Key, stop: Stop)));
        }
    }

    [Fact]
    public async Task A_watch_on_one_sees_what_both_write_in_one_order()
    {
        var from = (await _a.Admin.List(new(Kind.ConfigMap), Stop)).Revision;
        var writes = Task.WhenAll(new[] { _a, _b }.Select(async (api, n) =>
        {
            for (var i = 0; i < 40; i++)
            {
                await api.Admin.Create(Key($"w{n}-{i}"), Map($"w{n}-{i}", "1"), stop: Stop);
                if (i % 4 == 0) await api.Admin.Delete(Key($"w{n}-{i}"), stop: Stop);
            }
        }));
        var seen = await Task.WhenAll(Watch(_a), Watch(_b));
        await writes;
        Assert.Equal(seen[0], seen[1]);
        Assert.Equal(seen[0].Select(x => x.Revision).Order().Distinct(), seen[0].Select(x => x.Revision));
        // Of each server's own writes the order is that of its acknowledgements.
        Assert.Equal(Enumerable.Range(0, 40).Select(i => $"w1-{i}"), seen[0].Where(x => x.Type == WatchEventType.Added && x.Name.StartsWith("w1", StringComparison.Ordinal)).Select(x => x.Name));

        async Task<List<(WatchEventType Type, long Revision, string Name, string Json)>> Watch(InProcessApi api)
        {
            var events = new List<(WatchEventType, long, string, string)>();
            await foreach (var change in api.Admin.Watch(new(Kind.ConfigMap, "default") { From = from }, Stop))
            {
                events.Add((change.Type, change.Revision, change.Object!.Key.Name, Text(change.Object)));
                if (events.Count == 100) break;
            }
            return events;
        }
    }

    [Fact]
    public async Task Services_made_through_both_have_addresses_and_ports_of_their_own()
    {
        var made = await Task.WhenAll(Enumerable.Range(0, 24).Select(i => (i % 2 == 0 ? _a : _b).Admin.Create(
            new(Kind.Service, "default", $"s{i}"), Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"s{{{i}}}"},"spec":{"type":"NodePort","ports":[{"port":80}]}}"""), stop: Stop)));
        var services = made.Select(x => Service.Read(x.Json)).ToList();
        Assert.Equal(24, services.Select(x => x.Spec.ClusterIP).Distinct().Count());
        Assert.Equal(24, services.Select(x => x.Spec.Ports[0].NodePort).Distinct().Count());
    }

    [Fact]
    public async Task A_server_that_was_cut_off_until_etcd_had_forgotten_reads_anew_and_its_watchers_are_told()
    {
        await using var journal = await etcd.Journal(_options);
        var server = await Declarative.ApiServer.ApiServer.Open(journal, new(), TimeProvider.System, new Random(3), Stop);
        var from = server.Revision;
        await _a.Admin.Create(Key("gone"), Map("gone", "1"), stop: Stop);
        await _a.Admin.Delete(Key("gone"), stop: Stop);
        var last = await _a.Admin.Create(Key("there"), Map("there", "1"), stop: Stop);
        using (var client = new EtcdClient(_options))
        {
            var now = (await client.Range(new() { Key = Google.Protobuf.ByteString.CopyFromUtf8("x") }, Stop)).Header.Revision;
            await client.Compact(now, Stop);
        }
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var admin = server.As(User.Admin);
        var running = server.Run(stop.Token);
        Assert.Equal(Text(last), Text(await admin.Get(last.Key, stop: Stop)));
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => admin.Get(Key("gone"), stop: Stop))).Code);
        var expired = await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (var _ in admin.Watch(new(Kind.ConfigMap) { From = from }, Stop)) { }
        });
        Assert.Equal(410, expired.Code);
        var next = await admin.Create(Key("next"), Map("next", "1"), stop: Stop);
        Assert.Equal(Text(next), Text(await _b.Admin.Get(next.Key, stop: Stop)));
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task What_an_etcd_that_died_has_acknowledged_is_there_and_writing_goes_on()
    {
        await using var own = new EtcdServer();
        await own.Start();
        var options = own.Options();
        await using var a = await InProcessApi.Start(await own.Journal(options));
        await using var b = await InProcessApi.Start(await own.Journal(options), seed: 2);
        var from = b.Server.Revision;
        var acknowledged = new List<string>();
        var writing = Task.WhenAll(new[] { a, b }.Select(async (api, n) =>
        {
            for (var i = 0; i < 60; i++)
            {
                try
                {
                    await api.Admin.Create(Key($"k{n}-{i}"), Map($"k{n}-{i}", "1"), stop: Stop);
                    lock (acknowledged) acknowledged.Add($"k{n}-{i}");
                }
                catch (ApiException e) when (e.Code >= 500)
                {
                    await Task.Delay(50, Stop);
                }
                if (n == 0 && i == 20)
                {
                    await own.Kill();
                    await own.Start();
                }
            }
        }));
        await writing;
        Assert.True(acknowledged.Count > 60, $"{acknowledged.Count} of 120 writes were kept");
        foreach (var api in (InProcessApi[])[a, b])
        {
            var there = (await api.Admin.List(new(Kind.ConfigMap, "default"), Stop)).Items.Select(x => x.Key.Name).ToHashSet();
            Assert.DoesNotContain(acknowledged, x => !there.Contains(x));
            var seen = new List<string>();
            await foreach (var change in api.Admin.Watch(new(Kind.ConfigMap, "default") { From = from }, Stop))
            {
                seen.Add(change.Object!.Key.Name);
                if (seen.Count == there.Count) break;
            }
            Assert.Equal(there.Order(), seen.Order());
        }
    }

    [Fact]
    public async Task Every_server_keeps_the_history_of_what_all_of_them_wrote()
    {
        var options = etcd.Options();
        var files = Directory.CreateTempSubdirectory("declarative-test-");
        try
        {
            await using var a = await InProcessApi.Start(await WithHistory("a"));
            await using (var b = await InProcessApi.Start(await WithHistory("b"), seed: 2))
            {
                await a.Server.As(new User("jane")).Create(Key("m"), Map("m", "1"), new() { FieldManager = "editor" }, Stop);
                await b.Server.As(new User("joe")).Update(Key("m"), Map("m", "2"), stop: Stop);
                await a.Server.As(new User("jane")).Delete(Key("m"), stop: Stop);
                foreach (var server in (InProcessApi[])[a, b]) Assert.Equal(["delete jane 2", "update joe 2", "create jane 1"], await Changes(server));
            }
            // The file outlives the server, and goes on where it comes back.
            await using var again = await InProcessApi.Start(await WithHistory("b"), seed: 3);
            Assert.Equal(3, (await Changes(again)).Count);
            await again.Admin.Create(Key("m"), Map("m", "3"), stop: Stop);
            Assert.Equal(4, (await Changes(again)).Count);
            Assert.Equal(4, (await Changes(a)).Count);
        }
        finally
        {
            files.Delete(recursive: true);
        }

        async Task<IJournal> WithHistory(string name) => new JournalWithHistory(await etcd.Journal(options), await Declarative.ApiServer.Storage.Sqlite.SqliteJournal.Open(Path.Combine(files.FullName, name)), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);

        async Task<List<string>> Changes(InProcessApi server)
        {
            // What the other has written is here when a read is answered.
            await server.Admin.List(new(Kind.ConfigMap, "default"), Stop);
            var changes = await server.Server.History(User.Admin, Key("m"), 10, 0, Stop);
            return [.. changes.Select(x => $"{x.Origin.Verb} {x.Origin.User} {System.Text.Json.Nodes.JsonNode.Parse(x.Json.Span)!["data"]!["v"]}")];
        }
    }

    [Fact]
    public async Task A_batch_is_refused_until_what_others_wrote_has_been_seen()
    {
        var options = etcd.Options();
        await using var first = await etcd.Journal(options);
        await using var second = await etcd.Journal(options);
        await first.Load(Stop);
        await second.Load(Stop);
        await first.Append([new(2, Key("a"), "u", Map("a", "1")), new(3, Key("b"), "u", Map("b", "1"))], Stop);
        var following = Follow();
        var behind = await Assert.ThrowsAsync<JournalBehindException>(() => second.Append([new(2, Key("c"), "u", Map("c", "1"))], Stop));
        Assert.Equal(3, behind.Revision);
        await second.Append([new(4, Key("a"), "u", null) { Last = Map("a", "last") }], Stop);
        Assert.Equal(4, await second.NewestRevision(Stop));
        var news = await following;
        Assert.Equal([3L, 4L], news.Select(x => x.Revision));
        Assert.Equal([2L, 3L], news[0].Records.Select(x => x.Revision));
        var gone = Assert.Single(news[1].Records);
        Assert.Null(gone.Json);
        Assert.Equal(Map("a", "last"), gone.Last.ToArray());

        async Task<List<JournalNews>> Follow()
        {
            var all = new List<JournalNews>();
            await foreach (var one in second.Follow(Stop))
            {
                all.Add(one);
                if (all.Count == 2) break;
            }
            return all;
        }
    }

    private static ResourceKey Key(string name) => new(Kind.ConfigMap, "default", name);

    private static byte[] Map(string name, string value, long revision = 0) => Encoding.UTF8.GetBytes(revision == 0
        ? $$$"""{"metadata":{"name":"{{{name}}}"},"data":{"v":"{{{value}}}"}}"""
        : $$$"""{"metadata":{"name":"{{{name}}}","resourceVersion":"{{{revision}}}"},"data":{"v":"{{{value}}}"}}""");

    private static string Text(Stored stored) => Encoding.UTF8.GetString(stored.Json.Span);
}
