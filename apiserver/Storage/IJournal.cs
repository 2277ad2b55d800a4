using Declarative.Api;

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
}

public sealed record JournalState(long Revision, IReadOnlyList<JournalRecord> Objects);

/// <summary>One write.</summary>
/// <param name="Json">The object without metadata.resourceVersion; null = the object is gone.</param>
public sealed record JournalRecord(long Revision, ResourceKey Key, string Uid, ReadOnlyMemory<byte>? Json);

/// <summary>The journal could not keep a batch: nothing of it is stored and nothing of it may be acknowledged.</summary>
public sealed class JournalException(string message, Exception? inner = null) : Exception(message, inner);
