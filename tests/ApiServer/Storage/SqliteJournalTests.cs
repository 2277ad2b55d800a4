using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Etcd;
using Declarative.ApiServer.Storage.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>The API contract on SQLite.</summary>
public sealed class SqliteContract : ApiContract
{
    private readonly string _directory = Directory.CreateTempSubdirectory("declarative-test-").FullName;
    private InProcessApi _api = null!;

    protected override async Task<IApi> Start()
    {
        _api = await InProcessApi.Start(await SqliteJournal.Open(Path.Combine(_directory, "state.db")));
        return _api.Admin;
    }

    protected override async ValueTask End()
    {
        await _api.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

public sealed class SqliteJournalTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("declarative-test-").FullName;

    private string File => Path.Combine(_directory, "state.db");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task What_was_acknowledged_is_there_after_a_restart_at_the_same_revision()
    {
        var stop = TestContext.Current.CancellationToken;
        var key = new ResourceKey(Kind.ConfigMap, "default", "a");
        Stored made;
        long revision;
        await using (var api = await InProcessApi.Start(await SqliteJournal.Open(File)))
        {
            made = await api.Admin.Create(key, """{"metadata":{"name":"a"},"data":{"e":"é☃"}}"""u8.ToArray(), stop: stop);
            await api.Admin.Create(key with { Name = "b" }, """{"metadata":{"name":"b"}}"""u8.ToArray(), stop: stop);
            revision = (await api.Admin.Delete(key with { Name = "b" }, stop: stop)).Revision;
        }
        await using (var api = await InProcessApi.Start(await SqliteJournal.Open(File), seed: 2))
        {
            Assert.Equal(revision, api.Server.Revision);
            var again = await api.Admin.Get(key, stop: stop);
            Assert.Equal(made.Json.ToArray(), again.Json.ToArray());
            Assert.Single((await api.Admin.List(new(Kind.ConfigMap, "default"), stop)).Items);
            var expired = await Assert.ThrowsAsync<ApiException>(async () =>
            {
                await foreach (var _ in api.Admin.Watch(new(Kind.ConfigMap) { From = revision - 1 }, stop)) { }
            });
            Assert.Equal(410, expired.Code);
        }
    }

    [Fact]
    public async Task A_second_process_is_told_that_the_file_is_in_use()
    {
        await using var first = await SqliteJournal.Open(File);
        await first.Append([new(2, new(Kind.ConfigMap, "default", "a"), "u", "{\"metadata\":{}}"u8.ToArray())], TestContext.Current.CancellationToken);
        var refused = await Assert.ThrowsAsync<JournalException>(() => SqliteJournal.Open(File));
        Assert.Contains("in use by another process", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_an_earlier_layout_is_brought_into_this_one()
    {
        var stop = TestContext.Current.CancellationToken;
        await Execute("""
            CREATE TABLE object (kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, revision INTEGER NOT NULL, json BLOB NOT NULL, PRIMARY KEY (kind, namespace, name));
            INSERT INTO object VALUES ('/v1/configmaps', 'default', 'a', 'u', 7, CAST('{"metadata":{}}' AS BLOB)), ('/v1/configmaps', 'default', 'b', 'v', 3, CAST('{"metadata":{"x":1}}' AS BLOB))
            """);
        for (var opened = 0; opened < 2; opened++)
        {
            await using var journal = await SqliteJournal.Open(File);
            Assert.Equal([(3, "b", "v"), (7, "a", "u")], (await journal.Load(stop)).Objects.Select(x => (x.Revision, x.Key.Name, x.Uid)));
        }
        await using (var journal = await SqliteJournal.Open(File))
        {
            await journal.Append([new(8, new(Kind.ConfigMap, "default", "a"), "u", "{\"metadata\":{}}"u8.ToArray()) { Previous = 7 }], stop);
            Assert.Equal([3, 8], (await journal.Load(stop)).Objects.Select(x => x.Revision));
        }
    }

    [Fact]
    public async Task The_history_of_a_file_of_the_first_layout_is_still_forgotten_by_age()
    {
        var stop = TestContext.Current.CancellationToken;
        await Execute("""
            CREATE TABLE object (revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, json BLOB NOT NULL);
            CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
            CREATE TABLE history (revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, user TEXT NOT NULL, manager TEXT NOT NULL, verb TEXT NOT NULL, before INTEGER NOT NULL, json BLOB NOT NULL);
            CREATE TABLE history_name (kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (kind, namespace, name, revision)) WITHOUT ROWID;
            CREATE TRIGGER history_forgets AFTER DELETE ON history BEGIN DELETE FROM history_name WHERE kind = old.kind AND namespace = old.namespace AND name = old.name AND revision = old.revision; END;
            CREATE INDEX history_at ON history (at);
            INSERT INTO history SELECT column1, '/v1/configmaps', 'default', 'a', column1 * 1000, 'me', 'test', 'update', 0, CAST('{}' AS BLOB) FROM (VALUES (2), (3), (4), (5));
            INSERT INTO history_name SELECT kind, namespace, name, revision FROM history WHERE revision <= 3;
            INSERT INTO meta VALUES ('revision', 9), ('indexed', 3);
            PRAGMA user_version = 1
            """);
        for (var opened = 0; opened < 2; opened++)
        {
            await using var journal = await SqliteJournal.Open(File);
            Assert.Equal(9, (await journal.Load(stop)).Revision);
            await journal.Trim(DateTimeOffset.FromUnixTimeMilliseconds(4001), long.MaxValue, stop);
            Assert.Equal([5, 4], (await journal.Read(new(Kind.ConfigMap, "default", "a"), 10, 0, stop)).Select(x => x.Revision));
        }
    }

    [Fact]
    public async Task Objects_of_a_kind_that_nobody_knows_stay_and_are_told_of()
    {
        var stop = TestContext.Current.CancellationToken;
        await (await SqliteJournal.Open(File)).DisposeAsync();
        await Execute("INSERT INTO object VALUES (3, 'x.io/v9/things', '', 'a', 'u', CAST('{}' AS BLOB)), (4, '/v1/configmaps', 'default', 'b', 'v', CAST('{\"metadata\":{}}' AS BLOB)), (5, 'x.io/v9/things', '', 'c', 'w', CAST('{}' AS BLOB))");
        for (var opened = 0; opened < 2; opened++)
        {
            var log = new SaidLog();
            await using var journal = await SqliteJournal.Open(File, log);
            Assert.Equal("b", Assert.Single((await journal.Load(stop)).Objects).Key.Name);
            Assert.Equal(["Warning: objects of x.io/v9/things stay in the database for a version that knows this kind; this one does not"], log.Lines);
        }
    }

    [Fact]
    public async Task A_file_of_a_later_version_is_refused()
    {
        await (await SqliteJournal.Open(File)).DisposeAsync();
        await Execute("PRAGMA user_version = 1000");
        var refused = await Assert.ThrowsAsync<JournalException>(() => SqliteJournal.Open(File));
        Assert.Contains("written by a later version", refused.Message, StringComparison.Ordinal);
        Assert.False(refused.IsDamaged);
    }

    [Fact]
    public async Task A_revision_that_comes_again_for_another_object_takes_the_old_ones_place_in_the_history()
    {
        var stop = TestContext.Current.CancellationToken;
        ResourceKey map = new(Kind.ConfigMap, "default", "a"), secret = new(Kind.Secret, "default", "s");
        await using (var past = await SqliteJournal.Open(File))
        {
            await past.Keep([Change(5, map, "{}"), Change(6, map, "{}"), Change(7, map, "{}")]);
            Assert.Equal([7, 6, 5], await Revisions(past, map)); // names are in order now
            await past.Keep([Change(6, secret, "{\"hidden\":1}")]);
            Assert.Equal([7, 5], await Revisions(past, map));
            Assert.Equal([6], await Revisions(past, secret));
            await past.Trim(DateTimeOffset.UnixEpoch.AddDays(1), long.MaxValue, stop);
            Assert.Equal([7], await Revisions(past, map));
            Assert.Equal([6], await Revisions(past, secret));
        }
        // A name that such a row left in a file of an earlier version leads nowhere.
        await Execute("INSERT INTO history_name VALUES ('/v1/configmaps', 'default', 'a', 6)");
        await using var again = await SqliteJournal.Open(File);
        Assert.Equal([7], await Revisions(again, map));

        static JournalRecord Change(long revision, ResourceKey key, string json) => new(revision, key, "u", System.Text.Encoding.UTF8.GetBytes(json)) { Origin = new(DateTimeOffset.UnixEpoch, "me", "test", Origin.Update) };

        async Task<IEnumerable<long>> Revisions(SqliteJournal past, ResourceKey key) => (await past.Read(key, 10, 0, stop)).Select(x => x.Revision);
    }

    [Fact]
    public async Task Beside_a_shared_store_a_damaged_history_is_put_aside()
    {
        var stop = TestContext.Current.CancellationToken;
        for (var n = 1; n <= 2; n++)
        {
            await System.IO.File.WriteAllTextAsync(File, new string('x', 8192), stop);
            await using var past = await JournalWithHistory.OpenPast(File, NullLogger.Instance);
            Assert.Empty(await past.Read(new(Kind.ConfigMap, "default", "a"), 10, 0, stop));
            Assert.Equal(8192, new FileInfo($"{File}.damaged-{n}").Length);
        }
    }

    [Fact]
    public async Task An_object_whose_state_is_missing_is_named()
    {
        var stop = TestContext.Current.CancellationToken;
        await using (var journal = await SqliteJournal.Open(File))
        {
            await journal.Append([Change(2, "a")], stop);
        }
        await Execute("DROP TRIGGER history_forgets; DELETE FROM history");
        await using var damaged = await SqliteJournal.Open(File);
        var refused = await Assert.ThrowsAsync<JournalException>(() => damaged.Load(stop));
        Assert.True(refused.IsDamaged);
        Assert.EndsWith($"is damaged (the state of /v1/configmaps default/a at revision 2 is missing): restore it from a backup: declarative restore FILE --data {_directory} --replace, which puts the damaged one aside", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_reads_the_history_waits_for_the_batch_at_hand_alone()
    {
        var stop = TestContext.Current.CancellationToken;
        await using var journal = await SqliteJournal.Open(File);
        // Without the test's context: what follows a batch goes on in the journal's thread, as the loop of writes does.
        await Task.Run(async () =>
        {
            for (var revision = 2; revision < 200; revision += 2)
            {
                await journal.Append([Change(revision, "a" + revision)], stop);
                var read = journal.Read(new(Kind.ConfigMap, "default", "a" + revision), 10, 0, stop);
                await journal.Append([Change(revision + 1, "b" + revision)], stop);
                Assert.True(read.IsCompletedSuccessfully);
                Assert.Single(await read);
            }
        }, stop);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_log_is_copied_into_the_file_before_it_is_much_longer_than_16_MB(bool atOnce)
    {
        var stop = TestContext.Current.CancellationToken;
        await using var journal = await SqliteJournal.Open(File);
        var json = System.Text.Encoding.UTF8.GetBytes("{\"metadata\":{},\"x\":\"" + new string('x', 1_000_000) + "\"}");
        for (var revision = 2; revision < 62; revision++)
        {
            var batch = new JournalRecord[] { new(revision, new(Kind.ConfigMap, "default", "a"), "u", json) { Previous = revision - 1 } };
            await (atOnce ? journal.AppendAtOnce(batch, stop) : journal.Append(batch, stop));
        }
        Assert.InRange(new FileInfo(File + "-wal").Length, 1, 20_000_000);
    }

    [Fact]
    public async Task Old_states_are_forgotten_but_of_what_is_there_the_last_of_them()
    {
        var stop = TestContext.Current.CancellationToken;
        var day = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        var journal = await SqliteJournal.Open(File);
        var revision = 0L;
        await Put("a", 0, 1);
        await Put("a", 1, 2);
        await Put("a", 2, 3);
        await Put("b", 0, 1);
        await journal.Append([new(++revision, Key("b"), "u", null) { Previous = revision - 1, Origin = At(1, Origin.Delete), Last = "{}"u8.ToArray() }], stop);
        await Put("c", 3, 1);
        Assert.Equal([3, 2, 1], (await journal.Read(Key("a"), 10, 0, stop)).Select(x => x.Revision));
        Assert.Equal([1], (await journal.Read(Key("a"), 10, before: 2, stop)).Select(x => x.Revision));
        Assert.Equal(["delete", "create"], (await journal.Read(Key("b"), 10, 0, stop)).Select(x => x.Origin.Verb));

        await journal.Trim(day.AddDays(1.5), long.MaxValue, stop);
        Assert.Equal([3, 2], (await journal.Read(Key("a"), 10, 0, stop)).Select(x => x.Revision));
        Assert.Empty(await journal.Read(Key("b"), 10, 0, stop));

        // By size: the oldest of all, until the rest fits.
        await journal.Trim(day, 130, stop);
        Assert.Empty(await journal.Read(Key("a"), 10, 0, stop));
        Assert.Single(await journal.Read(Key("c"), 10, 0, stop));
        // What is there stays there.
        await journal.Trim(day, 0, stop);
        Assert.Empty(await journal.Read(Key("c"), 10, 0, stop));
        Assert.Equal([(3, 98), (6, 98)], (await journal.Load(stop)).Objects.Select(x => (x.Revision, x.Json!.Value.Length)));
        await journal.DisposeAsync();
        await using var again = await SqliteJournal.Open(File);
        await again.Append([new(++revision, Key("c"), "u", Json(100)) { Origin = At(4, Origin.Update) }], stop);
        await again.Trim(day, 130, stop);
        Assert.Equal([revision], (await again.Read(Key("c"), 10, 0, stop)).Select(x => x.Revision));

        Task Put(string name, int at, int version) =>
            journal.Append([new(++revision, Key(name), "u", Json(100)) { Previous = version == 1 ? 0 : revision - 1, Origin = At(at, version == 1 ? Origin.Create : Origin.Update) }], stop);

        Origin At(int days, string verb) => new(day.AddDays(days), "me", "test", verb);

        static ResourceKey Key(string name) => new(Kind.ConfigMap, "default", name);

        static byte[] Json(int bytes) => System.Text.Encoding.UTF8.GetBytes("{\"metadata\":{},\"x\":\"" + new string('x', bytes - 24) + "\"}");
    }

    private static JournalRecord Change(long revision, string name) =>
        new(revision, new(Kind.ConfigMap, "default", name), "u", "{\"metadata\":{}}"u8.ToArray()) { Origin = new(DateTimeOffset.UnixEpoch, "me", "test", Origin.Create) };

    private async Task Execute(string text)
    {
        await using var file = new SqliteConnection($"Data Source={File};Pooling=False");
        await file.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = file.CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }
}
