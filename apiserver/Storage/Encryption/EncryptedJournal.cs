using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Storage.Encryption;

/// <summary>
/// A journal whose Secrets are encrypted: what reaches <paramref name="inner"/> names their place and nothing of their content. Values that are not yet
/// encrypted, or with an older key, are written anew at the first load.
/// </summary>
/// <param name="keys">null = nothing is encrypted, and what was encrypted can not be read.</param>
public sealed class EncryptedJournal(IJournal inner, EncryptionKeys? keys) : IJournal, IHistory, ISharedJournal
{
    /// <summary>Values written anew at once.</summary>
    private const int RewriteBatchMax = 100;

    private bool _bared; // something was found that was not encrypted

    /// <summary>How many values <see cref="Load"/> has written anew.</summary>
    public int Rewritten { get; private set; }

    public async Task<long> Load(ReadObject each, CancellationToken stop)
    {
        var stale = new List<JournalRecord>();
        var last = await inner.Load((key, uid, revision, json) =>
        {
            if (!Envelope.Is(json))
            {
                each(key, uid, revision, json);
                if (!IsSecret(key) || keys is null) return;
                stale.Add(new(revision, key, uid, json.ToArray()));
                _bared = true;
                return;
            }
            var open = Envelope.Open(keys, key.ToString(), json.ToArray(), out var name);
            each(key, uid, revision, open);
            if (name != keys!.First.Name) stale.Add(new(revision, key, uid, open));
        }, stop);
        foreach (var batch in stale.Chunk(RewriteBatchMax)) await inner.Replace([.. batch.Select(Sealed)], stop);
        Rewritten = stale.Count;
        if (keys is not null && inner.History is { } history) await history.Rewrite(Kind.Secret, Resealed, stop);
        if (_bared) await inner.Scrub(stop);
        return last;
    }

    public Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop) => inner.Append(Sealed(batch), stop);

    public Task AppendAtOnce(IReadOnlyList<JournalRecord> batch, CancellationToken stop) => inner.AppendAtOnce(Sealed(batch), stop);

    public Task Advance(long revision, CancellationToken stop) => inner.Advance(revision, stop);

    public int BatchRecordsMax => inner.BatchRecordsMax;

    public long BatchBytesMax => inner.BatchBytesMax;

    public IHistory? History => inner.History is null ? null : this;

    public ISharedJournal? Shared => inner.Shared is null ? null : this;

    public async IAsyncEnumerable<JournalNews> Follow([EnumeratorCancellation] CancellationToken stop)
    {
        await foreach (var news in inner.Shared!.Follow(stop)) yield return news with { Records = [.. news.Records.Select(Opened)] };
    }

    public Task<long> NewestRevision(CancellationToken stop) => inner.Shared!.NewestRevision(stop);

    public async Task<IReadOnlyList<HistoryRecord>> Read(ResourceKey key, int limit, long before, CancellationToken stop)
    {
        var records = await inner.History!.Read(key, limit, before, stop);
        // Read with any of the keys; the names of old ones stay in the file until the states they seal are forgotten.
        return [.. records.Select(x => Envelope.Is(x.Json.Span) ? x with { Json = Envelope.Open(keys, key.ToString(), x.Json, out _) } : x)];
    }

    public Task Rewrite(Kind kind, Func<ResourceKey, ReadOnlyMemory<byte>, ReadOnlyMemory<byte>?> change, CancellationToken stop) => inner.History!.Rewrite(kind, change, stop);

    public Task Trim(DateTimeOffset oldest, long bytesMax, CancellationToken stop) => inner.History!.Trim(oldest, bytesMax, stop);

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    // With the first key, whatever it was before; null for what is already.
    private ReadOnlyMemory<byte>? Resealed(ResourceKey key, ReadOnlyMemory<byte> json)
    {
        var open = json;
        _bared |= !Envelope.Is(json.Span);
        if (Envelope.Is(json.Span))
        {
            open = Envelope.Open(keys, key.ToString(), json, out var sealedWith);
            if (sealedWith == keys!.First.Name) return null;
        }
        return Envelope.Seal(keys!.First, key.ToString(), open.Span);
    }

    private JournalRecord Opened(JournalRecord record) => record with
    {
        Json = record.Json is { } json ? Open(record.Key, json) : default(ReadOnlyMemory<byte>?),
        Last = Open(record.Key, record.Last),
    };

    private ReadOnlyMemory<byte> Open(ResourceKey key, ReadOnlyMemory<byte> json) => Envelope.Is(json.Span) ? Envelope.Open(keys, key.ToString(), json, out _) : json;

    private static bool IsSecret(ResourceKey key) => key.Kind == Kind.Secret;

    private IReadOnlyList<JournalRecord> Sealed(IReadOnlyList<JournalRecord> batch) =>
        keys is not null && batch.Any(x => IsSecret(x.Key)) ? [.. batch.Select(x => IsSecret(x.Key) ? Sealed(x) : x)] : batch;

    private JournalRecord Sealed(JournalRecord record) => record with
    {
        Json = record.Json is { } json ? Seal(record, json) : default(ReadOnlyMemory<byte>?),
        Last = record.Last.IsEmpty ? default : Seal(record, record.Last),
    };

    private ReadOnlyMemory<byte> Seal(JournalRecord record, ReadOnlyMemory<byte> json) => Envelope.Seal(keys!.First, record.Key.ToString(), json.Span);
}
