using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// What lies on disk under the <see cref="RevisionLog"/>. <see cref="Append"/> returns only when the batch would survive a power cut;
/// a batch is kept whole or not at all.
/// </summary>
public interface IJournal : IAsyncDisposable
{
    /// <summary>Every present object and the highest revision ever given out; called once, before the first append.</summary>
    Task<JournalState> Load(CancellationToken stop);

    /// <summary>Writes the batch, in order of revision. Throws <see cref="JournalException"/> where nothing of it was kept.</summary>
    Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop);

    /// <summary>No revision up to this is given out any more.</summary>
    Task Advance(long revision, CancellationToken stop);

    /// <summary>What objects were before; null for a journal that keeps the present alone.</summary>
    IHistory? History => null;
}

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
    /// <summary>null = this write is no part of the object's history.</summary>
    public Origin? Origin { get; init; }

    /// <summary>Of a deletion with an <see cref="Origin"/>: the last state.</summary>
    public ReadOnlyMemory<byte> Last { get; init; }
}

/// <summary>The journal could not keep a batch: nothing of it is stored and nothing of it may be acknowledged.</summary>
public sealed class JournalException(string message, Exception? inner = null) : Exception(message, inner);
