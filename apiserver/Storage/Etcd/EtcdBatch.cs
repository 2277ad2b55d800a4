using Declarative.Api;
using Google.Protobuf;

namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>A batch of records as etcd's operations, and back from what etcd's watch tells.</summary>
internal static class EtcdBatch
{
    /// <summary>
    /// The last state of each object becomes its key's value, or the key goes; etcd takes one operation a key, so earlier states of the same
    /// batch, and the last state of what is deleted, are in the commit.
    /// </summary>
    public static IReadOnlyList<RequestOp> Operations(IReadOnlyList<JournalRecord> batch, EtcdKeys keys, out Commit commit)
    {
        var last = new Dictionary<ResourceKey, int>();
        for (var i = 0; i < batch.Count; i++) last[batch[i].Key] = i;
        commit = new() { Revision = batch[^1].Revision };
        var operations = new List<RequestOp>();
        for (var i = 0; i < batch.Count; i++)
        {
            var record = batch[i];
            var isLast = last[record.Key] == i;
            var change = new CommittedChange
            {
                Revision = record.Revision,
                Kind = KindName.Of(record.Key.Kind),
                Namespace = record.Key.Namespace,
                Name = record.Key.Name,
                Uid = record.Uid,
                Deleted = record.Json is null,
            };
            commit.Changes.Add(change);
            if (record.Origin is { } origin) (change.At, change.User, change.Manager, change.Verb) = (origin.At.ToUnixTimeMilliseconds(), origin.User, origin.Manager, origin.Verb);
            if (record.Json is null) change.Json = Wrap(record.Last);
            else if (!isLast) change.Json = Wrap(record.Json.Value);
            if (!isLast) continue;
            var key = keys.Of(record.Key);
            operations.Add(record.Json is null ? new() { RequestDeleteRange = new() { Key = key } } : Put(key, record));
        }
        return operations;
    }

    public static RequestOp Put(ByteString key, JournalRecord record) => new()
    {
        RequestPut = new() { Key = key, Value = new PresentObject { Revision = record.Revision, Uid = record.Uid, Json = Wrap(record.Json!.Value) }.ToByteString() },
    };

    /// <summary>What one of etcd's revisions holds; null where it has no commit: values were only replaced.</summary>
    public static JournalNews? Read(IEnumerable<WatchedChange> changes, EtcdKeys keys, out Commit commit)
    {
        commit = new();
        ByteString? newest = null;
        var present = new Dictionary<ByteString, ByteString>();
        foreach (var change in changes)
        {
            if (change.Type != WatchedChange.Types.Type.Put) continue;
            if (change.Kv.Key == keys.Commit) newest = change.Kv.Value;
            else present[change.Kv.Key] = change.Kv.Value;
        }
        if (newest is null) return null;
        commit = Parse(newest);
        var records = new List<JournalRecord>();
        foreach (var change in commit.Changes)
        {
            if (KindName.Find(change.Kind) is not { } kind) continue;
            var key = new ResourceKey(kind, change.Namespace, change.Name);
            var json = change.Json.Length > 0 ? change.Json.Memory : PresentObject.Parser.ParseFrom(present[keys.Of(key)]).Json.Memory;
            records.Add(new(change.Revision, key, change.Uid, change.Deleted ? default(ReadOnlyMemory<byte>?) : json)
            {
                Last = change.Deleted ? json : default,
                Origin = change.Verb.Length == 0 ? null : new(DateTimeOffset.FromUnixTimeMilliseconds(change.At), change.User, change.Manager, change.Verb),
            });
        }
        return new(commit.Revision, records);
    }

    public static Commit Parse(ByteString value) => Commit.Parser.ParseFrom(value);

    public static ByteString Bytes(Commit commit) => commit.ToByteString();

    private static ByteString Wrap(ReadOnlyMemory<byte> json) => UnsafeByteOperations.UnsafeWrap(json);
}
