using System.Security.Cryptography;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Encryption;
using Declarative.ApiServer.Storage.Sqlite;
using Microsoft.Data.Sqlite;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>Secrets at rest: on disk, after a restart, with other keys, and after somebody has changed the file.</summary>
public sealed class EncryptedJournalTests : IDisposable
{
    private const string Plain = "dG9wLXNlY3JldC12YWx1ZQ=="; // top-secret-value

    private readonly string _directory = Directory.CreateTempSubdirectory("declarative-test-").FullName;

    private string File => Path.Combine(_directory, "state.db");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static string Key(string name) => $"{name}:{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(name)))}";

    private static EncryptionKeys Keys(params string[] names) => EncryptionKeys.Read("keys", string.Join('\n', names.Select(Key)));

    private async Task<EncryptedJournal> Open(EncryptionKeys? keys) => new(await SqliteJournal.Open(File), keys);

    private static ResourceKey Secret(string name) => new(Kind.Secret, "default", name);

    private static Task<Stored> Make(InProcessApi api, string name) => api.Admin.Create(Secret(name),
        Encoding.UTF8.GetBytes($$"""{"metadata":{"name":"{{name}}"},"data":{"password":"{{Plain}}"} }"""), stop: TestContext.Current.CancellationToken);

    /// <summary>Whether any file of the database holds the text.</summary>
    private bool OnDisk(string text) => Directory.GetFiles(_directory).Any(x => System.IO.File.ReadAllBytes(x).AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0);

    [Fact]
    public async Task No_content_of_a_secret_reaches_the_disk_and_all_of_it_comes_back()
    {
        Stored made;
        await using (var api = await InProcessApi.Start(await Open(Keys("k1"))))
        {
            made = await Make(api, "s");
            await api.Admin.Create(new(Kind.ConfigMap, "default", "c"), """{"metadata":{"name":"c"},"data":{"plain":"visible-text"}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
            Assert.False(OnDisk(Plain));
        }
        Assert.False(OnDisk(Plain));
        Assert.True(OnDisk("visible-text"));
        await using var again = await InProcessApi.Start(await Open(Keys("k1")), seed: 2);
        Assert.Equal(made.Json.ToArray(), (await again.Admin.Get(Secret("s"), stop: TestContext.Current.CancellationToken)).Json.ToArray());
    }

    [Fact]
    public async Task Keys_are_rotated_by_a_start_with_a_new_one_in_front()
    {
        Stored made;
        long revision;
        await using (var api = await InProcessApi.Start(await SqliteJournal.Open(File)))
        {
            made = await Make(api, "s");
            await Make(api, "t");
            await api.Admin.Delete(Secret("t"), stop: TestContext.Current.CancellationToken);
            revision = api.Server.Revision;
        }
        Assert.True(OnDisk(Plain));
        foreach (var (keys, rewritten) in ((string[], int)[])[(["k1"], 1), (["k2", "k1"], 1), (["k2"], 0)])
        {
            var journal = await Open(Keys(keys));
            await using var api = await InProcessApi.Start(journal, seed: 2);
            Assert.Equal(rewritten, journal.Rewritten);
            Assert.False(OnDisk(Plain)); // neither the present one, nor what was deleted, nor a page that is free
            Assert.Equal(revision, api.Server.Revision);
            Assert.Equal(made.Json.ToArray(), (await api.Admin.Get(Secret("s"), stop: TestContext.Current.CancellationToken)).Json.ToArray());
        }
        foreach (var wrong in (EncryptionKeys?[])[Keys("k1"), null])
        {
            await using var journal = await Open(wrong);
            var refused = await Assert.ThrowsAsync<JournalException>(() => journal.Load(TestContext.Current.CancellationToken));
            Assert.Contains("secrets/default/s is encrypted with the key k2, which is not among the keys", refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_value_that_was_moved_or_changed_does_not_open()
    {
        await using (var api = await InProcessApi.Start(await Open(Keys("k1"))))
        {
            await Make(api, "s");
            await Make(api, "t");
        }
        foreach (var statement in (string[])["UPDATE history SET json = (SELECT json FROM history WHERE name = 's') WHERE name = 't'", "UPDATE history SET json = CAST(replace(CAST(json AS TEXT), '\"tag\":\"', '\"tag\":\"AAAA') AS BLOB) WHERE name = 't'"])
        {
            await using (var file = new SqliteConnection($"Data Source={File};Pooling=False"))
            {
                await file.OpenAsync(TestContext.Current.CancellationToken);
                await using var command = file.CreateCommand();
                command.CommandText = statement;
                Assert.Equal(1, await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken));
            }
            await using var journal = await Open(Keys("k1"));
            var refused = await Assert.ThrowsAsync<JournalException>(() => journal.Load(TestContext.Current.CancellationToken));
            Assert.Contains("secrets/default/t can not be decrypted with the key k1", refused.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("", "expected at least one line NAME:KEY")]
    [InlineData("k1", "keys, line 1: expected NAME:KEY")]
    [InlineData("# a comment\nk1:c2hvcnQ=", "keys, line 2: expected NAME:KEY, a key of 32 bytes")]
    [InlineData("a b:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "keys, line 1: expected NAME:KEY")]
    [InlineData("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nk:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "keys, line 2: a second key with the name k")]
    public void A_wrong_file_of_keys_is_told_by_its_line(string text, string says) =>
        Assert.Contains(says, Assert.Throws<JournalException>(() => EncryptionKeys.Read("keys", text)).Message, StringComparison.Ordinal);

    [Fact]
    public async Task What_a_secret_was_is_encrypted_too_and_written_anew_when_the_key_changes()
    {
        var stop = TestContext.Current.CancellationToken;
        await using (var api = await InProcessApi.Start(await Open(Keys("k1"))))
        {
            await Make(api, "s");
            await api.Admin.Delete(Secret("s"), stop: stop);
        }
        Assert.False(OnDisk(Plain));
        await using (await InProcessApi.Start(await Open(Keys("k2", "k1")), seed: 3)) { }
        // Written anew with the first key: the old one may go.
        await using var again = await InProcessApi.Start(await Open(Keys("k2")), seed: 2);
        var history = await again.Server.History(User.ApiServer, Secret("s"), 10, 0, stop);
        Assert.Equal(["delete", "create"], history.Select(x => x.Origin.Verb));
        Assert.All(history, x => Assert.Contains(Plain, Encoding.UTF8.GetString(x.Json.Span), StringComparison.Ordinal));
    }
}
