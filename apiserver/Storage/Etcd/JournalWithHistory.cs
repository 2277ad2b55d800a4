using System.Runtime.CompilerServices;
using Declarative.ApiServer.Storage.Sqlite;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>
/// A journal that several servers write and that keeps the present alone, with the history of what this server sees of it in a file of its own. So
/// the shared store carries no old states; what happens while this server does not run, others remember.
/// </summary>
/// <param name="past">Has nothing but the history; disposed with this journal.</param>
/// <param name="log">Told why changes could not be kept: the history has a gap then, and nothing else is wrong.</param>
public sealed class JournalWithHistory(IJournal inner, SqliteJournal past, ILogger log) : IJournal, ISharedJournal
{
    /// <summary>Opens or makes the file of the history. A damaged one is put aside and a new one begun: the present, which is in the shared store, does not wait for it.</summary>
    public static async Task<SqliteJournal> OpenPast(string path, ILogger log)
    {
        try
        {
            return await SqliteJournal.Open(path, log, restore: "");
        }
        catch (JournalException e) when (e.IsDamaged)
        {
            var n = 1;
            while (File.Exists($"{path}.damaged-{n}")) n++;
            var aside = $"{path}.damaged-{n}";
            // The file last: where a move fails, the next start finds it damaged again.
            foreach (var part in (string[])["-wal", "-shm", ""])
            {
                if (File.Exists(path + part)) File.Move(path + part, aside + part, overwrite: true);
            }
            log.HistoryDamaged(aside, e.Message);
            return await SqliteJournal.Open(path, log, restore: "");
        }
    }

    public int BatchRecordsMax => inner.BatchRecordsMax;

    public long BatchBytesMax => inner.BatchBytesMax;

    public IHistory History => past;

    public ISharedJournal? Shared => inner.Shared is null ? null : this;

    public Task<long> Load(ReadObject each, CancellationToken stop) => inner.Load(each, stop);

    public Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop) => inner.Append(batch, stop);

    public Task Replace(IReadOnlyList<JournalRecord> batch, CancellationToken stop) => inner.Replace(batch, stop);

    public Task Advance(long revision, CancellationToken stop) => inner.Advance(revision, stop);

    public Task<long> NewestRevision(CancellationToken stop) => inner.Shared!.NewestRevision(stop);

    public async Task Scrub(CancellationToken stop)
    {
        await inner.Scrub(stop);
        await past.Scrub(stop);
    }

    /// <summary>What is told is queued for the file before it is told on, so whoever has seen a change finds it in the history; one batch is on its way to the disk meanwhile.</summary>
    public async IAsyncEnumerable<JournalNews> Follow([EnumeratorCancellation] CancellationToken stop)
    {
        var kept = Task.CompletedTask;
        try
        {
            await foreach (var news in inner.Shared!.Follow(stop))
            {
                List<JournalRecord> changes = [.. news.Records.Where(x => x.Origin is not null)];
                if (changes.Count > 0)
                {
                    await kept;
                    kept = Keep(changes);
                }
                yield return news;
            }
        }
        finally
        {
            await kept;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await past.DisposeAsync();
    }

    private async Task Keep(List<JournalRecord> changes)
    {
        try
        {
            await past.Keep(changes);
        }
        catch (JournalException e)
        {
            log.HistoryLost(e.Message);
        }
    }
}
