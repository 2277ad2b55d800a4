using System.Collections.Concurrent;
using Declarative.Api;
using Declarative.Api.Kinds;
using Microsoft.Data.Sqlite;

namespace Declarative.ApiServer.Storage.Sqlite;

/// <summary>
/// The default journal: one SQLite file in WAL mode with <c>synchronous=FULL</c>, so that a commit has reached the disk when it returns.
/// All its work happens on one thread of its own; the file is locked, so a second process can not open it.
/// </summary>
public sealed class SqliteJournal : IJournal, IHistory
{
    private const int TrimRowsMax = 500;
    private const int SqliteBusy = 5;
    private const int SqliteIoError = 10;
    private const int SqliteCorrupt = 11;
    private const int SqliteFull = 13;
    private const int SqliteNotADatabase = 26;

    private readonly BlockingCollection<Action> _work = new(boundedCapacity: 64);
    private readonly Thread _thread;
    private readonly string _path;
    private SqliteConnection? _connection;
    private SqliteCommand? _begin;
    private SqliteCommand? _commit;
    private SqliteCommand? _rollback;
    private SqliteCommand? _put;
    private SqliteCommand? _remove;
    private SqliteCommand? _setRevision;
    private SqliteCommand? _remember;

    /// <summary>Bytes of all states that the history ever kept: each row has the sum of those before it, so that the size of what is left is a subtraction.</summary>
    private long _historyBytes;

    private SqliteJournal(string path)
    {
        _path = path;
        _thread = new Thread(Work) { IsBackground = true, Name = "journal" };
        _thread.Start();
    }

    /// <summary>Opens or makes the file. Throws <see cref="JournalException"/> that says what is wrong and what to do.</summary>
    public static async Task<SqliteJournal> Open(string path)
    {
        var journal = new SqliteJournal(path);
        try
        {
            await journal.OnThread(() => { journal.Connect(); return 0; });
            return journal;
        }
        catch (JournalException)
        {
            await journal.DisposeAsync();
            throw;
        }
    }

    public Task<JournalState> Load(CancellationToken stop) => OnThread(() =>
    {
        var objects = new List<JournalRecord>();
        using var select = Command("SELECT kind, namespace, name, uid, revision, json FROM object ORDER BY revision");
        using var rows = select.ExecuteReader();
        while (rows.Read())
        {
            // A kind that this version does not know stays in the file, untouched, for the version that does.
            if (KindName.Find(rows.GetString(0)) is not { } kind) continue;
            objects.Add(new(rows.GetInt64(4), new(kind, rows.GetString(1), rows.GetString(2)), rows.GetString(3), rows.GetFieldValue<byte[]>(5)));
        }
        using var revision = Command("SELECT value FROM meta WHERE key = 'revision'");
        return new JournalState(revision.ExecuteScalar() is long last ? last : 0, objects);
    });

    public Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop) => OnThread(() =>
    {
        _begin!.ExecuteNonQuery();
        try
        {
            foreach (var record in batch)
            {
                var command = record.Json is null ? _remove! : _put!;
                command.Parameters[0].Value = KindName.Of(record.Key.Kind);
                command.Parameters[1].Value = record.Key.Namespace;
                command.Parameters[2].Value = record.Key.Name;
                if (record.Json is { } json)
                {
                    command.Parameters[3].Value = record.Uid;
                    command.Parameters[4].Value = record.Revision;
                    command.Parameters[5].Value = json.ToArray();
                }
                command.ExecuteNonQuery();
                if (record.Origin is not null) Remember(record);
            }
            _setRevision!.Parameters[0].Value = batch[^1].Revision;
            _setRevision.ExecuteNonQuery();
            _commit!.ExecuteNonQuery();
            return 0;
        }
        catch
        {
            // On a full disk or an I/O error SQLite may have rolled back by itself: https://www.sqlite.org/lang_transaction.html, 3.
            if (SQLitePCL.raw.sqlite3_get_autocommit(_connection!.Handle) == 0) _rollback!.ExecuteNonQuery();
            throw;
        }
    });

    public Task Advance(long revision, CancellationToken stop) => OnThread(() =>
    {
        _setRevision!.Parameters[0].Value = revision;
        return _setRevision.ExecuteNonQuery();
    });

    /// <summary>Freed pages keep their content until they are used again, and the log until it is written over: both are made anew.</summary>
    public Task Scrub(CancellationToken stop) => OnThread(() =>
    {
        foreach (var statement in (ReadOnlySpan<string>)["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"])
        {
            using var command = Command(statement);
            command.ExecuteNonQuery();
        }
        return 0;
    });

    public IHistory History => this;

    /// <summary>Notes changes of objects that are kept elsewhere: for a history beside another journal.</summary>
    public Task Keep(IReadOnlyList<JournalRecord> changes) => OnThread(() =>
    {
        _begin!.ExecuteNonQuery();
        try
        {
            foreach (var change in changes) Remember(change);
            return _commit!.ExecuteNonQuery();
        }
        catch
        {
            if (SQLitePCL.raw.sqlite3_get_autocommit(_connection!.Handle) == 0) _rollback!.ExecuteNonQuery();
            throw;
        }
    });

    public Task<IReadOnlyList<HistoryRecord>> Read(ResourceKey key, int limit, long before, CancellationToken stop) => OnThread<IReadOnlyList<HistoryRecord>>(() =>
    {
        using var select = Command("SELECT revision, at, user, manager, verb, json FROM history WHERE kind = $k AND namespace = $s AND name = $n AND revision < $b ORDER BY revision DESC LIMIT $l", "$k", "$s", "$n", "$b", "$l");
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
        using var old = Command(
            $"""
            DELETE FROM history WHERE revision IN (SELECT h.revision FROM history h WHERE h.at < $a AND
              (h.verb = '{Origin.Delete}' OR EXISTS (SELECT 1 FROM history n WHERE n.kind = h.kind AND n.namespace = h.namespace AND n.name = h.name AND n.revision > h.revision AND n.at < $a))
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

    private void Remember(JournalRecord record)
    {
        var (origin, json) = (record.Origin!, (record.Json ?? record.Last).ToArray());
        Set(_remember!, record.Revision, KindName.Of(record.Key.Kind), record.Key.Namespace, record.Key.Name, origin.At.ToUnixTimeMilliseconds(), origin.User, origin.Manager, origin.Verb, _historyBytes, json);
        _remember!.ExecuteNonQuery();
        _historyBytes += json.Length;
    }

    private static void Set(SqliteCommand command, params ReadOnlySpan<object> values)
    {
        for (var i = 0; i < values.Length; i++) command.Parameters[i].Value = values[i];
    }

    public async ValueTask DisposeAsync()
    {
        if (!_work.IsAddingCompleted)
        {
            await OnThread(() =>
            {
                foreach (var command in (ReadOnlySpan<SqliteCommand?>)[_begin, _commit, _rollback, _put, _remove, _setRevision, _remember]) command?.Dispose();
                _connection?.Dispose();
                return 0;
            });
            _work.CompleteAdding();
            _thread.Join();
            _work.Dispose();
        }
    }

    private void Connect()
    {
        _connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = _path, Pooling = false, Mode = SqliteOpenMode.ReadWriteCreate, DefaultTimeout = 1 }.ToString());
        _connection.Open();
        foreach (var statement in (ReadOnlySpan<string>)
        [
            "PRAGMA locking_mode = EXCLUSIVE",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA wal_autocheckpoint = 4000",
            "CREATE TABLE IF NOT EXISTS object (kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, revision INTEGER NOT NULL, json BLOB NOT NULL, PRIMARY KEY (kind, namespace, name))",
            "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS history (revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, user TEXT NOT NULL, manager TEXT NOT NULL, verb TEXT NOT NULL, before INTEGER NOT NULL, json BLOB NOT NULL)",
            "CREATE INDEX IF NOT EXISTS history_of ON history (kind, namespace, name, revision)",
            "CREATE INDEX IF NOT EXISTS history_at ON history (at)",
        ])
        {
            using var command = Command(statement);
            command.ExecuteNonQuery();
        }
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        (_begin, _commit, _rollback) = (Command("BEGIN IMMEDIATE"), Command("COMMIT"), Command("ROLLBACK"));
        _put = Command("INSERT INTO object (kind, namespace, name, uid, revision, json) VALUES ($k, $s, $n, $u, $r, $j) ON CONFLICT (kind, namespace, name) DO UPDATE SET uid = excluded.uid, revision = excluded.revision, json = excluded.json", "$k", "$s", "$n", "$u", "$r", "$j");
        _remove = Command("DELETE FROM object WHERE kind = $k AND namespace = $s AND name = $n", "$k", "$s", "$n");
        _remember = Command("INSERT OR REPLACE INTO history (revision, kind, namespace, name, at, user, manager, verb, before, json) VALUES ($r, $k, $s, $n, $a, $u, $m, $v, $b, $j)", "$r", "$k", "$s", "$n", "$a", "$u", "$m", "$v", "$b", "$j");
        using (var total = Command("SELECT before + length(json) FROM history ORDER BY revision DESC LIMIT 1")) _historyBytes = total.ExecuteScalar() as long? ?? 0;
        _setRevision = Command("INSERT INTO meta (key, value) VALUES ('revision', $r) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)", "$r");
    }

    private SqliteCommand Command(string text, params ReadOnlySpan<string> parameters)
    {
        var command = _connection!.CreateCommand();
        command.CommandText = text;
        foreach (var name in parameters) command.Parameters.Add(new SqliteParameter { ParameterName = name });
        return command;
    }

    private Task<T> OnThread<T>(Func<T> work)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Add(() =>
        {
            try
            {
                done.SetResult(work());
            }
            catch (SqliteException e)
            {
                done.SetException(new JournalException(Explain(e), e));
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        return done.Task;
    }

    private void Work()
    {
        foreach (var action in _work.GetConsumingEnumerable()) action();
    }

    private string Explain(SqliteException e) => e.SqliteErrorCode switch
    {
        SqliteFull => $"no space is left for {_path}: free some and try again",
        SqliteBusy => $"{_path} is in use by another process: stop it, or choose another data directory",
        SqliteIoError => $"{_path} can not be read or written: {e.Message}",
        SqliteCorrupt or SqliteNotADatabase => $"{_path} is damaged ({e.Message}): restore it from a backup",
        _ => $"{_path}: {e.Message}",
    };
}
