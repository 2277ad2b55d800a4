using System.Text;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Etcd;
using Declarative.ApiServer.Storage.Sqlite;
using Microsoft.Data.Sqlite;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>A database that is not whole: the start says what is damaged and how to restore it, and never goes on with less than was acknowledged.</summary>
public sealed class DamagedDatabaseTests : IDisposable
{
    private const int PageBytes = 4096;
    private readonly string _directory = Directory.CreateTempSubdirectory("declarative-test-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string File => Path.Combine(_directory, "state.db");

    private string Advice => $"restore it from a backup: declarative restore FILE --data {_directory} --replace";

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_file_that_is_none_is_named()
    {
        await System.IO.File.WriteAllTextAsync(File, new string('x', 2 * PageBytes), Stop);
        Told(await Assert.ThrowsAsync<JournalException>(() => SqliteJournal.Open(File)));
    }

    [Fact]
    public async Task A_file_that_was_cut_off_is_named()
    {
        await Fill(200, bytes: 1000);
        await using (var file = System.IO.File.OpenWrite(File)) file.SetLength(file.Length / 2);
        Told(await Assert.ThrowsAsync<JournalException>(Load));
    }

    [Theory]
    [InlineData(1000, 3)]
    [InlineData(4000, 3)] // its row goes on in a page that SQLite can not check
    [InlineData(100_000, 3)]
    public async Task Pages_with_other_bytes_are_found(int bytes, int expected)
    {
        await Fill(20, bytes);
        var pages = new FileInfo(File).Length / PageBytes;
        var found = 0;
        var whole = await System.IO.File.ReadAllBytesAsync(File, Stop);
        foreach (var page in (long[])[pages / 3, pages / 2, pages * 2 / 3])
        {
            var changed = (byte[])whole.Clone();
            new Random((int)page).NextBytes(changed.AsSpan((int)page * PageBytes, PageBytes));
            await System.IO.File.WriteAllBytesAsync(File, changed, Stop);
            // The page may be of no object: it is read when somebody asks.
            if (await Record.ExceptionAsync(Load) is not { } thrown) continue;
            Told(Assert.IsType<JournalException>(thrown));
            found++;
        }
        Assert.Equal(expected, found);
    }

    [Fact]
    public async Task A_log_that_is_missing_after_a_crash_is_told_of()
    {
        var crashed = Path.Combine(_directory, "crashed.db");
        await using (var journal = await SqliteJournal.Open(File))
        {
            await journal.Append([Change(2, 100)], Stop);
            System.IO.File.Copy(File, crashed);
            System.IO.File.Copy(File + "-wal", crashed + "-wal.kept");
        }
        var refused = await Assert.ThrowsAsync<JournalException>(() => SqliteJournal.Open(crashed));
        Assert.True(refused.IsDamaged);
        Assert.StartsWith($"{crashed}-wal is missing: what was stored last was in it", refused.Message, StringComparison.Ordinal);
        Assert.Contains($"Put the file back, or restore it from a backup: declarative restore FILE --data {_directory} --replace", refused.Message, StringComparison.Ordinal);

        // Put back, it is all there; and whoever wants to goes on without.
        System.IO.File.Move(crashed + "-wal.kept", crashed + "-wal");
        await using (var journal = await SqliteJournal.Open(crashed)) Assert.Single((await journal.Load(Stop)).Objects);
        await using (var journal = await SqliteJournal.Open(File)) System.IO.File.Copy(File, crashed, overwrite: true);
        await System.IO.File.WriteAllBytesAsync(crashed + "-wal", [], Stop);
        await using (var journal = await SqliteJournal.Open(crashed)) Assert.Single((await journal.Load(Stop)).Objects);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_log_that_another_program_has_taken_in_is_not_missed(bool scrubbed)
    {
        var crashed = Path.Combine(_directory, "crashed.db");
        await using (var journal = await SqliteJournal.Open(File))
        {
            if (scrubbed) await journal.Scrub(Stop);
            await journal.Append([Change(2, 100)], Stop);
            foreach (var part in (string[])["", "-wal"]) System.IO.File.Copy(File + part, crashed + part);
        }
        await Execute(crashed, "SELECT count(*) FROM object");
        Assert.False(System.IO.File.Exists(crashed + "-wal"));
        await using (var journal = await SqliteJournal.Open(crashed)) Assert.Single((await journal.Load(Stop)).Objects);
    }

    [Fact]
    public async Task A_journal_that_can_no_longer_be_written_is_closed_and_keeps_its_log()
    {
        await Fill(1, 100);
        await Execute(File, "CREATE TRIGGER full BEFORE UPDATE ON meta WHEN new.value = 0 AND (SELECT count(*) FROM object) > 1 BEGIN SELECT raise(ABORT, 'no space'); END");
        var log = new SaidLog();
        await using (var journal = await SqliteJournal.Open(File, log)) await journal.Append([Change(3, 100)], Stop);
        Assert.Equal([$"Warning: {File}-wal stays beside the database for the next start, which needs it: it can not be taken in (SQLite Error 19: 'no space'.): look after the disk"], log.Lines);
        Assert.True(System.IO.File.Exists(File + "-wal"));
        await Execute(File, "DROP TRIGGER full");
        await using (var journal = await SqliteJournal.Open(File)) Assert.Equal(2, (await journal.Load(Stop)).Objects.Count);
    }

    [Fact]
    public async Task The_history_beside_a_shared_store_has_no_backup()
    {
        await System.IO.File.WriteAllTextAsync(File, new string('x', 2 * PageBytes), Stop);
        var log = new SaidLog();
        await using var past = await JournalWithHistory.OpenPast(File, log);
        Assert.EndsWith($"{File} is damaged (SQLite Error 26: 'file is not a database'.)", Assert.Single(log.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_journal_that_was_closed_needs_no_log()
    {
        await Fill(1, 100);
        Assert.False(System.IO.File.Exists(File + "-wal"));
        await Load();
    }

    private static async Task Execute(string file, string text)
    {
        await using var other = new SqliteConnection($"Data Source={file};Pooling=False");
        await other.OpenAsync(Stop);
        await using var command = other.CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync(Stop);
    }

    private void Told(JournalException damaged)
    {
        Assert.True(damaged.IsDamaged);
        Assert.StartsWith($"{File} is damaged (", damaged.Message, StringComparison.Ordinal);
        Assert.Contains(Advice, damaged.Message, StringComparison.Ordinal);
    }

    private async Task Load()
    {
        await using var journal = await SqliteJournal.Open(File);
        await journal.Load(Stop);
    }

    private async Task Fill(int objects, int bytes)
    {
        await using var journal = await SqliteJournal.Open(File);
        for (var i = 0; i < objects; i++) await journal.Append([Change(i + 2, bytes)], Stop);
    }

    // Without an origin: no part of the history, which may be damaged without anybody being told at the start.
    private static JournalRecord Change(long revision, int bytes) =>
        new(revision, new(Kind.ConfigMap, "default", $"m{revision}"), "u", Encoding.UTF8.GetBytes($$$"""{"metadata":{},"data":{"x":"{{{new string('x', bytes)}}}"} }"""));
}
