using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// What lies on disk under the <see cref="RevisionLog"/>. <see cref="Append"/> returns only when the batch would survive a power cut;
/// a batch is kept whole or not at all.
/// </summary>
public interface IJournal : IAsyncDisposable
{
    /// <summary>Hands over every present object, in order of revision; called once, before the first append.</summary>
    /// <returns>The highest revision ever given out.</returns>
    Task<long> Load(ReadObject each, CancellationToken stop);

    /// <summary>
    /// Writes the batch, in order of revision. Throws <see cref="JournalException"/> where nothing of it was kept, and
    /// <see cref="JournalBehindException"/> where another writer's changes must be seen first.
    /// </summary>
    Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop);

    /// <summary>As <see cref="Append"/>, for who has nothing else to do until it is done: the calling thread may be made to wait for a quick disk.</summary>
    Task AppendAtOnce(IReadOnlyList<JournalRecord> batch, CancellationToken stop) => Append(batch, stop);

    /// <summary>Records of one batch.</summary>
    int BatchRecordsMax => int.MaxValue;

    /// <summary>JSON of one batch; a batch of one record may have more.</summary>
    long BatchBytesMax => long.MaxValue;

    /// <summary>Puts other bytes in the place of present objects, at the revisions that they have.</summary>
    Task Replace(IReadOnlyList<JournalRecord> batch, CancellationToken stop) => Append(batch, stop);

    /// <summary>No revision up to this is given out any more.</summary>
    Task Advance(long revision, CancellationToken stop);

    /// <summary>Completes when what was replaced or removed is not in the files any more; at once where it never stays in them.</summary>
    Task Scrub(CancellationToken stop) => Task.CompletedTask;

    /// <summary>What objects were before; null for a journal that keeps the present alone.</summary>
    IHistory? History => null;

    /// <summary>What others write into the same journal; null for a journal that has one writer.</summary>
    ISharedJournal? Shared => null;
}

/// <summary>Takes one present object as a journal reads it, on whichever thread it does.</summary>
/// <param name="json">Without metadata.resourceVersion; readable during the call alone, so that who keeps it copies it once, in the form that he wants.</param>
public delegate void ReadObject(ResourceKey key, string uid, long revision, ReadOnlySpan<byte> json);

public static class JournalLoading
{
    /// <summary>All present objects together.</summary>
    public static async Task<JournalState> Load(this IJournal journal, CancellationToken stop)
    {
        var objects = new List<JournalRecord>();
        var revision = await journal.Load((key, uid, at, json) => objects.Add(new(at, key, uid, json.ToArray())), stop);
        return new(revision, objects);
    }
}

/// <summary>A journal that several API servers write.</summary>
public interface ISharedJournal
{
    /// <summary>Every batch since <see cref="IJournal.Load"/>, this server's own among them, in order of revision; ends when stopped.</summary>
    IAsyncEnumerable<JournalNews> Follow(CancellationToken stop);

    /// <summary>
    /// The highest revision that any server had acknowledged when this was called, once <see cref="Follow"/> has told of it. Throws
    /// <see cref="JournalException"/> where that can not be found out.
    /// </summary>
    Task<long> NewestRevision(CancellationToken stop);
}

/// <summary>One batch of any writer.</summary>
/// <param name="Revision">The highest revision given out with it.</param>
/// <param name="IsWhole">The batches between are no longer known: the records are all present objects.</param>
public sealed record JournalNews(long Revision, IReadOnlyList<JournalRecord> Records, bool IsWhole = false);

/// <summary>Earlier states of objects: of each record with an <see cref="JournalRecord.Origin"/>, kept with the record itself.</summary>
public interface IHistory
{
    /// <summary>The changes of one object, the latest first.</summary>
    /// <param name="before">Only changes of a lower revision; 0 = all.</param>
    Task<IReadOnlyList<HistoryRecord>> Read(ResourceKey key, int limit, long before, CancellationToken stop);

    /// <summary>Puts other bytes in the place of states of a kind, where <paramref name="change"/> gives any.</summary>
    Task Rewrite(Kind kind, Func<ResourceKey, ReadOnlyMemory<byte>, ReadOnlyMemory<byte>?> change, CancellationToken stop);

    /// <summary>
    /// Forgets what is older than <paramref name="oldest"/>, but of each object that is there its last change before that; then the oldest of
    /// all until the states are at most <paramref name="bytesMax"/> bytes. Completes when there is nothing more to forget.
    /// </summary>
    Task Trim(DateTimeOffset oldest, long bytesMax, CancellationToken stop);
}

/// <summary>One change of an object.</summary>
/// <param name="Json">The object after it, without metadata.resourceVersion; of a deletion the last state.</param>
public sealed record HistoryRecord(long Revision, Origin Origin, ReadOnlyMemory<byte> Json);

/// <summary>Who made a change, and when.</summary>
/// <param name="User">The authenticated name.</param>
/// <param name="Manager">The field manager: the program, where it tells.</param>
/// <param name="Verb">create, update or delete.</param>
public sealed record Origin(DateTimeOffset At, string User, string Manager, string Verb)
{
    public const string Create = "create";
    public const string Update = "update";
    public const string Delete = "delete";
}

public sealed record JournalState(long Revision, IReadOnlyList<JournalRecord> Objects);

/// <summary>One write.</summary>
/// <param name="Json">The object without metadata.resourceVersion; null = the object is gone.</param>
public sealed record JournalRecord(long Revision, ResourceKey Key, string Uid, ReadOnlyMemory<byte>? Json)
{
    /// <summary>The revision at which the journal has the object that this write takes the place of, or removes; 0 = it has none.</summary>
    public long Previous { get; init; }

    /// <summary>null = this write is no part of the object's history.</summary>
    public Origin? Origin { get; init; }

    /// <summary>Of a deletion: the last state.</summary>
    public ReadOnlyMemory<byte> Last { get; init; }
}

/// <summary>The journal could not keep a batch, or does not know whether it did: nothing of it may be acknowledged.</summary>
public sealed class JournalException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The batch may have been kept.</summary>
    public bool IsUnknown { get; init; }

    /// <summary>The file's content is no longer what was written.</summary>
    public bool IsDamaged { get; init; }
}

/// <summary>Nothing was stored: another writer's changes, through <paramref name="revision"/>, came first.</summary>
public sealed class JournalBehindException(long revision) : Exception($"changes of other writers through revision {revision} come first")
{
    public long Revision => revision;
}
