using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Storage.Sqlite;

/// <summary>The history in the same file: what was written, by whom and when. The state of an object that is there stands in it alone, until it is forgotten.</summary>
public sealed partial class SqliteJournal
{
    private const int TrimRowsMax = 500;

    /// <summary>Names of history rows are put into order so many at a time: one by one, each would have a page of its own to write.</summary>
    private const int IndexRowsMin = 1000;

    private long _indexed; // the last history row whose name is in order
    private int _unindexed; // rows after it
    private SqliteStatement? _remember;
    private SqliteStatement? _forget;
    private SqliteStatement? _name;
    private SqliteStatement? _time;

    /// <summary>Bytes of all states that the history ever kept: each row has the sum of those before it, so that the size of what is left is a subtraction.</summary>
    private long _historyBytes;

    public IHistory History => this;

    /// <summary>Notes changes of objects that are kept elsewhere: for a history beside another journal.</summary>
    public Task Keep(IReadOnlyList<JournalRecord> changes) => OnThread(() => InTransaction(() =>
    {
        foreach (var change in changes)
        {
            if (change.Origin is { } origin) Remember(change, KindName.Of(change.Key.Kind), origin);
        }
        if (_unindexed >= IndexRowsMin) Index();
    }));

    public Task<IReadOnlyList<HistoryRecord>> Read(ResourceKey key, int limit, long before, CancellationToken stop) => OnThread<IReadOnlyList<HistoryRecord>>(() =>
    {
        IndexAll();
        using var select = Command("SELECT n.revision, at, user, manager, verb, json FROM history_name n JOIN history h USING (revision, kind, namespace, name) WHERE n.kind = $k AND n.namespace = $s AND n.name = $n AND n.revision < $b ORDER BY n.revision DESC LIMIT $l", "$k", "$s", "$n", "$b", "$l");
        Set(select, KindName.Of(key.Kind), key.Namespace, key.Name, before > 0 ? before : long.MaxValue, limit);
        using var rows = select.ExecuteReader();
        var records = new List<HistoryRecord>();
        while (rows.Read())
        {
            var origin = new Origin(DateTimeOffset.FromUnixTimeMilliseconds(rows.GetInt64(1)), rows.GetString(2), rows.GetString(3), rows.GetString(4));
            records.Add(new(rows.GetInt64(0), origin, rows.GetFieldValue<byte[]>(5)));
        }
        return records;
    });

    public async Task Trim(DateTimeOffset oldest, long bytesMax, CancellationToken stop)
    {
        // In steps: writes go in between.
        while (await OnThread(() => TrimSome(oldest.ToUnixTimeMilliseconds(), bytesMax)) > 0) stop.ThrowIfCancellationRequested();
    }

    public async Task Rewrite(Kind kind, Func<ResourceKey, ReadOnlyMemory<byte>, ReadOnlyMemory<byte>?> change, CancellationToken stop)
    {
        for (long? after = 0; after is { } from;)
        {
            stop.ThrowIfCancellationRequested();
            after = await OnThread(() => RewriteSome(kind, from, change));
        }
    }

    /// <returns>The last revision that was looked at; null = there are no more.</returns>
    private long? RewriteSome(Kind kind, long after, Func<ResourceKey, ReadOnlyMemory<byte>, ReadOnlyMemory<byte>?> change)
    {
        var changed = new List<(long Revision, byte[] Json)>();
        long? last = null;
        using (var select = Command($"SELECT revision, namespace, name, json FROM history WHERE kind = $k AND revision > $r ORDER BY revision LIMIT {TrimRowsMax}", "$k", "$r"))
        {
            Set(select, KindName.Of(kind), after);
            using var rows = select.ExecuteReader();
            while (rows.Read())
            {
                last = rows.GetInt64(0);
                if (change(new(kind, rows.GetString(1), rows.GetString(2)), rows.GetFieldValue<byte[]>(3)) is { } json) changed.Add((last.Value, json.ToArray()));
            }
        }
        using var update = Command("UPDATE history SET json = $j WHERE revision = $r", "$j", "$r");
        foreach (var (revision, json) in changed)
        {
            Set(update, json, revision);
            update.ExecuteNonQuery();
        }
        return last;
    }

    private int TrimSome(long oldest, long bytesMax)
    {
        IndexAll();
        using var old = Command(
            $"""
            DELETE FROM history WHERE revision IN (SELECT h.revision FROM history_time t CROSS JOIN history h USING (at, revision) WHERE t.at < $a AND
              (h.verb = '{Origin.Delete}' OR EXISTS (SELECT 1 FROM history_name n JOIN history l USING (revision, kind, namespace, name) WHERE n.kind = h.kind AND n.namespace = h.namespace AND n.name = h.name AND n.revision > h.revision AND l.at < $a))
              LIMIT {TrimRowsMax})
            """, "$a");
        Set(old, oldest);
        var forgotten = old.ExecuteNonQuery();
        if (forgotten > 0) return forgotten;
        var from = _historyBytes - bytesMax;
        using var first = Command("SELECT before FROM history ORDER BY revision LIMIT 1");
        if (first.ExecuteScalar() is not long least || least >= from) return 0;
        using var large = Command($"DELETE FROM history WHERE revision IN (SELECT revision FROM history ORDER BY revision LIMIT {TrimRowsMax}) AND before < $t", "$t");
        Set(large, from);
        return large.ExecuteNonQuery();
    }

    private void IndexAll()
    {
        if (_unindexed > 0) InTransaction(Index);
    }

    // Within a transaction.
    private void Index()
    {
        using var names = Command("INSERT OR IGNORE INTO history_name SELECT kind, namespace, name, revision FROM history WHERE revision > $r ORDER BY 1, 2, 3, 4", "$r");
        Set(names, _indexed);
        names.ExecuteNonQuery();
        using var times = Command("INSERT OR IGNORE INTO history_time SELECT at, revision FROM history WHERE revision > $r ORDER BY 1, 2", "$r");
        Set(times, _indexed);
        times.ExecuteNonQuery();
        using var last = Command("INSERT OR REPLACE INTO meta (key, value) SELECT 'indexed', coalesce(max(revision), 0) FROM history RETURNING value");
        (_indexed, _unindexed) = ((long)last.ExecuteScalar()!, 0);
    }

    private void Remember(JournalRecord record, string kind, Origin origin)
    {
        var json = record.Json ?? record.Last;
        // Revisions come again where the objects are kept elsewhere and were restored. OR REPLACE would leave the name of the row that goes.
        var again = record.Revision <= _indexed;
        if (again) _forget!.With(record.Revision).Run();
        _remember!.With(record.Revision).With(kind).With(record.Key.Namespace).With(record.Key.Name)
            .With(origin.At.ToUnixTimeMilliseconds()).With(origin.User).With(origin.Manager).With(origin.Verb).With(_historyBytes).With(json.Span).Run();
        _historyBytes += json.Length;
        if (!again)
        {
            _unindexed++;
            return;
        }
        _name!.With(kind).With(record.Key.Namespace).With(record.Key.Name).With(record.Revision).Run();
        _time!.With(origin.At.ToUnixTimeMilliseconds()).With(record.Revision).Run();
    }
}
