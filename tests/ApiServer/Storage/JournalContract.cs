using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Encryption;
using Declarative.ApiServer.Storage.Sqlite;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>What every journal must do alike. <see cref="Open"/> opens the same one again.</summary>
public abstract class JournalContract
{
    protected static CancellationToken Stop => TestContext.Current.CancellationToken;

    protected abstract Task<IJournal> Open();

    [Fact]
    public async Task An_empty_one_has_no_objects_and_no_revision()
    {
        await using var journal = await Open();
        var state = await journal.Load(Stop);
        Assert.Equal(0, state.Revision);
        Assert.Empty(state.Objects);
    }

    [Fact]
    public async Task What_was_appended_is_there_when_it_is_opened_again()
    {
        await using (var journal = await Open())
        {
            await journal.Load(Stop);
            await journal.Append([Put(2, "a", "1"), Put(3, "b", "é☃"), Put(4, "a", "2", previous: 2)], Stop);
            await journal.Append([Put(5, "c", "3"), Gone(6, "b", previous: 3), Put(7, "d", "4"), Gone(8, "d", previous: 7)], Stop);
        }
        await using var again = await Open();
        var state = await again.Load(Stop);
        Assert.Equal(8, state.Revision);
        Assert.Equal([(4, "a", Json("2")), (5, "c", Json("3"))], state.Objects.Select(x => (x.Revision, x.Key.Name, Encoding.UTF8.GetString(x.Json!.Value.Span))));
        Assert.Equal(["uid-a", "uid-c"], state.Objects.Select(x => x.Uid));
        await again.Append([Put(9, "b", "5")], Stop);
        Assert.Equal(9, (await again.Load(Stop)).Revision);
    }

    [Fact]
    public async Task A_name_can_come_back_within_one_batch()
    {
        await using (var journal = await Open())
        {
            await journal.Load(Stop);
            await journal.Append([Put(2, "a", "1"), Gone(3, "a", previous: 2), Put(4, "a", "2") with { Uid = "another" }], Stop);
        }
        await using var again = await Open();
        var only = Assert.Single((await again.Load(Stop)).Objects);
        Assert.Equal((4L, "another", Json("2")), (only.Revision, only.Uid, Encoding.UTF8.GetString(only.Json!.Value.Span)));
    }

    [Fact]
    public async Task What_was_appended_at_once_is_there_when_it_is_opened_again()
    {
        await using (var journal = await Open())
        {
            await journal.Load(Stop);
            await journal.AppendAtOnce([Put(2, "a", "1"), Put(3, "b", "2")], Stop);
            await journal.AppendAtOnce([Gone(4, "b", previous: 3)], Stop);
            await journal.AppendAtOnce([Put(5, "a", "3", previous: 2)], Stop);
        }
        await using var again = await Open();
        var state = await again.Load(Stop);
        Assert.Equal(5, state.Revision);
        Assert.Equal(Json("3"), Encoding.UTF8.GetString(Assert.Single(state.Objects).Json!.Value.Span));
    }

    [Fact]
    public async Task A_revision_that_was_given_away_is_not_given_again()
    {
        await using (var journal = await Open())
        {
            await journal.Load(Stop);
            await journal.Append([Put(2, "a", "1")], Stop);
            await journal.Advance(40, Stop);
            await journal.Advance(30, Stop);
        }
        await using var again = await Open();
        Assert.Equal(40, (await again.Load(Stop)).Revision);
    }

    [Fact]
    public async Task Other_bytes_take_the_place_of_an_objects_own_at_its_revision()
    {
        await using (var journal = await Open())
        {
            await journal.Load(Stop);
            await journal.Append([Put(2, "a", "1"), Put(3, "b", "2")], Stop);
            await journal.Replace([Put(2, "a", "one")], Stop);
        }
        await using var again = await Open();
        var state = await again.Load(Stop);
        Assert.Equal(3, state.Revision);
        Assert.Equal([Json("one"), Json("2")], state.Objects.Select(x => Encoding.UTF8.GetString(x.Json!.Value.Span)));
    }

    [Fact]
    public async Task Many_and_large_objects_come_back_in_order_of_revision()
    {
        var large = new string('x', Limits.ObjectBytesMax * 9 / 10);
        await using (var journal = await Open())
        {
            await journal.Load(Stop);
            await journal.Append([Put(2, "large", large)], Stop);
            for (var i = 0; i < 12; i++) await journal.Append([.. Enumerable.Range(0, 100).Select(x => Put(3 + i * 100 + x, $"n{1200 - i * 100 - x:d4}", "1"))], Stop);
        }
        await using var again = await Open();
        var state = await again.Load(Stop);
        Assert.Equal(Enumerable.Range(2, 1201).Select(x => (long)x), state.Objects.Select(x => x.Revision));
        Assert.Equal(Json(large).Length, state.Objects[0].Json!.Value.Length);
    }

    [Fact]
    public async Task A_store_on_it_goes_on_where_it_was()
    {
        var key = new ResourceKey(Kind.ConfigMap, "default", "a");
        Stored made;
        long revision;
        await using (var api = await InProcessApi.Start(await Open()))
        {
            made = await api.Admin.Create(key, """{"metadata":{"name":"a"},"data":{"e":"é☃"}}"""u8.ToArray(), stop: Stop);
            await api.Admin.Create(key with { Name = "b" }, """{"metadata":{"name":"b"}}"""u8.ToArray(), stop: Stop);
            revision = (await api.Admin.Delete(key with { Name = "b" }, stop: Stop)).Revision;
        }
        await using (var api = await InProcessApi.Start(await Open(), seed: 2))
        {
            Assert.Equal(revision, api.Server.Revision);
            Assert.Equal(made.Json.ToArray(), (await api.Admin.Get(key, stop: Stop)).Json.ToArray());
            Assert.Single((await api.Admin.List(new(Kind.ConfigMap, "default"), Stop)).Items);
            var expired = await Assert.ThrowsAsync<ApiException>(async () =>
            {
                await foreach (var _ in api.Admin.Watch(new(Kind.ConfigMap) { From = revision - 1 }, Stop)) { }
            });
            Assert.Equal(410, expired.Code);
        }
    }

    [Fact]
    public async Task Secrets_on_it_are_sealed_and_sealed_anew_with_a_newer_key()
    {
        var (first, second) = ($"one:{Convert.ToBase64String(new byte[32])}\n", $"two:{Convert.ToBase64String([.. Enumerable.Repeat((byte)1, 32)])}\n");
        var secret = new JournalRecord(2, new(Kind.Secret, "default", "s"), "u", Encoding.UTF8.GetBytes(Json("hidden")));
        await using (var plain = await Open())
        {
            await plain.Load(Stop);
            await plain.Append([secret], Stop);
        }
        foreach (var keys in (string[])[first, second + first])
        {
            await using var journal = new EncryptedJournal(await Open(), EncryptionKeys.Read("keys", keys));
            Assert.Equal(Json("hidden"), Encoding.UTF8.GetString(Assert.Single((await journal.Load(Stop)).Objects).Json!.Value.Span));
            Assert.Equal(1, journal.Rewritten);
        }
        await using var inner = await Open();
        Assert.DoesNotContain("hidden", Encoding.UTF8.GetString(Assert.Single((await inner.Load(Stop)).Objects).Json!.Value.Span), StringComparison.Ordinal);
    }

    protected static JournalRecord Put(long revision, string name, string text, long previous = 0) => new(revision, Key(name), "uid-" + name, Encoding.UTF8.GetBytes(Json(text))) { Previous = previous };

    protected static JournalRecord Gone(long revision, string name, long previous) => new(revision, Key(name), "uid-" + name, null) { Previous = previous, Last = Encoding.UTF8.GetBytes(Json("last of " + name)) };

    protected static string Json(string text) => $$"""{"metadata":{},"x":"{{text}}"}""";

    protected static ResourceKey Key(string name) => new(Kind.ConfigMap, "default", name);
}

public sealed class SqliteJournalContract : JournalContract, IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("declarative-test-").FullName;

    protected override async Task<IJournal> Open() => await SqliteJournal.Open(Path.Combine(_directory, "state.db"));

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}

public sealed class MemoryJournalContract : JournalContract
{
    private readonly MemoryJournal _journal = new();

    protected override Task<IJournal> Open() => Task.FromResult<IJournal>(_journal);
}

public sealed class EtcdJournalContract : JournalContract, IClassFixture<EtcdServer>
{
    private readonly EtcdServer _etcd;
    private readonly Declarative.ApiServer.Storage.Etcd.EtcdOptions _options;

    public EtcdJournalContract(EtcdServer etcd)
    {
        EtcdServer.SkipUnlessInstalled();
        (_etcd, _options) = (etcd, etcd.Options());
    }

    protected override async Task<IJournal> Open() => await _etcd.Journal(_options);
}
