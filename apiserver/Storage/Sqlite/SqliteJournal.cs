using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using SQLitePCL;

namespace Declarative.ApiServer.Storage.Sqlite;

/// <summary>
/// The default journal: one SQLite file in WAL mode with <c>synchronous=FULL</c>, so that a commit has reached the disk when it returns.
/// One thread at a time works with it, mostly its own; the file is locked, so a second process can not open it.
/// </summary>
public sealed partial class SqliteJournal : IJournal, IHistory
{
    /// <summary>A log of so many pages (16 MB) is copied into the file, by the journal's thread alone: nobody else's waits so long.</summary>
    private const int LogPagesMax = 4000;

    /// <summary>
    /// In order of revision, so that writes go to its end: an index of names would have a page to write for each object. An empty json = it is that of the
    /// history at the same revision.
    /// </summary>
    private const string ObjectTable = "CREATE TABLE IF NOT EXISTS object (revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, json BLOB NOT NULL)";

    /// <summary>In the file as <c>user_version</c>; higher with each change after which an earlier version can not work with the file. 0 = before it was written down.</summary>
    private const int Layout = 2;

    /// <summary>A row of 4,062 bytes or more goes on in pages that SQLite does not check (https://www.sqlite.org/fileformat2.html, 1.6): less 562 for its names.</summary>
    private const int CheckedJsonBytesMin = 3_500;
    private const int SqliteBusy = 5;
    private const int SqliteIoError = 10;
    private const int SqliteCorrupt = 11;
    private const int SqliteFull = 13;
    private const int SqliteNotADatabase = 26;

    /// <summary>Who waits for the disk on a thread of others takes so long from them; on a slower disk only the journal's own thread waits.</summary>
    private static readonly TimeSpan WaitMax = TimeSpan.FromMilliseconds(1);

    private readonly Queue<Action> _work = []; // its lock wakes the thread, which sleeps at once where there is nothing
    private readonly Lock _file = new(); // whoever works with the connection and the statements
    private TimeSpan _commitTime = TimeSpan.MaxValue; // until the first commit has shown it
    private bool _ends;
    private readonly Thread _thread;
    private readonly string _path;
    private readonly ILogger _log;
    private readonly string _restore;
    private SqliteConnection? _connection;
    private SqliteStatement? _begin;
    private SqliteStatement? _commit;
    private SqliteStatement? _rollback;
    private SqliteStatement? _put;
    private SqliteStatement? _remove;
    private SqliteStatement? _setRevision;

    private SqliteJournal(string path, ILogger log, string restore)
    {
        (_path, _log, _restore) = (path, log, restore);
        _thread = new Thread(Work) { IsBackground = true, Name = "journal" };
        _thread.Start();
    }

    /// <summary>Opens or makes the file. Throws <see cref="JournalException"/> that says what is wrong and what to do.</summary>
    /// <param name="log">Told of kinds that this version does not know, and of a disk that takes no more.</param>
    /// <param name="restore">What an error about a damaged file says to do; null = restore a backup of the data directory, "" = nothing.</param>
    public static async Task<SqliteJournal> Open(string path, ILogger? log = null, string? restore = null)
    {
        restore ??= $"restore it from a backup: declarative restore FILE --data {Path.GetDirectoryName(path)} --replace, which puts the damaged one aside";
        var journal = new SqliteJournal(path, log ?? NullLogger.Instance, restore);
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

    public Task<long> Load(ReadObject each, CancellationToken stop) => OnThread(() =>
    {
        using (var rows = Statement("SELECT kind, namespace, name, uid, revision, CASE length(json) WHEN 0 THEN (SELECT h.json FROM history h WHERE h.revision = o.revision) ELSE json END FROM object o ORDER BY revision")) ReadObjects(rows, each);
        using var revision = Command("SELECT max(coalesce((SELECT value FROM meta WHERE key = 'revision'), 0), coalesce((SELECT max(revision) FROM object), 0))");
        return (long)revision.ExecuteScalar()!;
    });

    // Most of a large store is read before the runtime would find that this loop is worth its optimizing.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ReadObjects(SqliteStatement rows, ReadObject each)
    {
        var kinds = new Dictionary<string, Kind?>(StringComparer.Ordinal);
        var (kindName, ns) = ("", "");
        Kind? kind = null;
        while (rows.Step())
        {
            // Of neighbours these are mostly the same.
            if (rows.TextAgain(0, ref kindName) && !kinds.TryGetValue(kindName, out kind))
            {
                kinds[kindName] = kind = KindName.Find(kindName);
                if (kind is null) _log.UnknownKind(kindName);
            }
            rows.TextAgain(1, ref ns);
            // A kind that this version does not know stays in the file, untouched, for the version that does.
            if (kind is null) continue;
            var json = rows.Blob(5);
            if (json.Length >= CheckedJsonBytesMin) CheckJson(json, kindName, ns, rows);
            if (json.IsEmpty) throw BadState(kindName, ns, rows, "is missing");
            try
            {
                each(new(kind, ns, rows.Text(2)), rows.Text(3), rows.Number(4), json);
            }
            catch (JsonException e)
            {
                throw BadState(kindName, ns, rows, $"is no JSON: {e.Message}", e);
            }
        }
    }

    /// <summary>
    /// What waits for it goes on in the journal's thread, which has the next batch at hand then without another thread being woken. Readers of the
    /// history who wait for the thread come first.
    /// </summary>
    public Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop) =>
        Thread.CurrentThread == _thread && !IsWorkWaiting() ? Here(batch) : OnThread(() => Commit(batch), TaskCreationOptions.None);

    public Task AppendAtOnce(IReadOnlyList<JournalRecord> batch, CancellationToken stop)
    {
        if (_commitTime <= WaitMax && _file.TryEnter())
        {
            try
            {
                // Names to put in order and a log to copy take far longer than a commit.
                if (_unindexed + batch.Count < IndexRowsMin && !IsLogLong()) return Here(batch);
            }
            finally
            {
                _file.Exit();
            }
        }
        return Append(batch, stop);
    }

    private Task Here(IReadOnlyList<JournalRecord> batch)
    {
        try
        {
            lock (_file)
            {
                Commit(batch);
                if (Thread.CurrentThread == _thread) ShortenLog();
            }
            return Task.CompletedTask;
        }
        catch (SqliteException e)
        {
            return Task.FromException(Explained(e));
        }
    }

    private int Commit(IReadOnlyList<JournalRecord> batch)
    {
        var began = Stopwatch.GetTimestamp();
        InTransaction(() => Write(batch));
        _commitTime = Stopwatch.GetElapsedTime(began);
        return batch.Count;
    }

    private void Write(IReadOnlyList<JournalRecord> batch)
    {
        foreach (var record in batch)
        {
            var kind = KindName.Of(record.Key.Kind);
            if (record.Origin is { } origin) Remember(record, kind, origin);
            if (record.Previous > 0) _remove!.With(record.Previous).Run();
            if (record.Json is not { } json) continue;
            // What the history has is not written twice.
            _put!.With(record.Revision).With(kind).With(record.Key.Namespace).With(record.Key.Name).With(record.Uid).With(record.Origin is null ? json.Span : default).Run();
        }
        if (_unindexed >= IndexRowsMin) Index();
        // An object tells its revision itself.
        if (batch[^1].Json is null) _setRevision!.With(batch[^1].Revision).Run();
    }

    private int InTransaction(Action write)
    {
        var before = (_indexed, _unindexed, _historyBytes);
        _begin!.Run();
        try
        {
            write();
            _commit!.Run();
            return 0;
        }
        catch
        {
            (_indexed, _unindexed, _historyBytes) = before;
            // On a full disk or an I/O error SQLite may have rolled back by itself: https://www.sqlite.org/lang_transaction.html, 3.
            if (raw.sqlite3_get_autocommit(_connection!.Handle) == 0) _rollback!.Run();
            throw;
        }
    }

    public Task Advance(long revision, CancellationToken stop) => OnThread(() =>
    {
        _setRevision!.With(revision).Run();
        return 0;
    });

    private static void Set(SqliteCommand command, params ReadOnlySpan<object> values)
    {
        for (var i = 0; i < values.Length; i++) command.Parameters[i].Value = values[i];
    }

    public async ValueTask DisposeAsync()
    {
        if (!_thread.IsAlive) return;
        await OnThread(() =>
        {
            CloseFile();
            return 0;
        });
        lock (_work)
        {
            _ends = true;
            Monitor.Pulse(_work);
        }
        _thread.Join();
    }

    private void Connect()
    {
        var hadLog = File.Exists(LogPath);
        _connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = _path, Pooling = false, Mode = SqliteOpenMode.ReadWriteCreate, DefaultTimeout = 1 }.ToString());
        _connection.Open();
        Execute("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA wal_autocheckpoint = 0", "PRAGMA cache_size = -16384");
        if (!hadLog && NeedsLog()) throw new JournalException(LogMissing()) { IsDamaged = true };
        // The log of a process that was killed: many of them in a row would make it grow.
        Checkpoint();
        var layout = LayoutOfFile();
        if (layout > Layout) throw new JournalException($"{_path} was written by a later version (its layout is {layout}, and this version knows layouts through {Layout}): start that version, or restore a backup of this one");
        if (IsLaidOutByName()) Execute("BEGIN", "ALTER TABLE object RENAME TO object_by_name", ObjectTable, "INSERT INTO object SELECT revision, kind, namespace, name, uid, json FROM object_by_name ORDER BY revision", "DROP TABLE object_by_name", "COMMIT");
        Execute(
            ObjectTable,
            "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL)",
            "CREATE TABLE IF NOT EXISTS history (revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, user TEXT NOT NULL, manager TEXT NOT NULL, verb TEXT NOT NULL, before INTEGER NOT NULL, json BLOB NOT NULL)",
            "CREATE TABLE IF NOT EXISTS history_name (kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (kind, namespace, name, revision)) WITHOUT ROWID",
            "CREATE TABLE IF NOT EXISTS history_time (at INTEGER NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (at, revision)) WITHOUT ROWID");
        if (layout < Layout)
        {
            Execute(
                "BEGIN", "DROP INDEX IF EXISTS history_of", "DROP INDEX IF EXISTS history_at", "DROP TRIGGER IF EXISTS history_forgets",
                """
                CREATE TRIGGER history_forgets AFTER DELETE ON history BEGIN
                  DELETE FROM history_name WHERE kind = old.kind AND namespace = old.namespace AND name = old.name AND revision = old.revision;
                  DELETE FROM history_time WHERE at = old.at AND revision = old.revision;
                  UPDATE object SET json = old.json WHERE revision = old.revision AND length(json) = 0;
                END
                """,
                "INSERT OR IGNORE INTO history_time SELECT at, revision FROM history WHERE revision <= (SELECT value FROM meta WHERE key = 'indexed') ORDER BY 1, 2",
                $"PRAGMA user_version = {Layout}", "COMMIT");
        }
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        (_begin, _commit, _rollback) = (Statement("BEGIN IMMEDIATE"), Statement("COMMIT"), Statement("ROLLBACK"));
        _put = Statement("INSERT OR REPLACE INTO object (revision, kind, namespace, name, uid, json) VALUES (?, ?, ?, ?, ?, ?)");
        _remove = Statement("DELETE FROM object WHERE revision = ?");
        _remember = Statement("INSERT OR REPLACE INTO history (revision, kind, namespace, name, at, user, manager, verb, before, json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        _forget = Statement("DELETE FROM history WHERE revision = ?");
        _name = Statement("INSERT OR IGNORE INTO history_name (kind, namespace, name, revision) VALUES (?, ?, ?, ?)");
        using (var total = Command("SELECT before + length(json) FROM history ORDER BY revision DESC LIMIT 1")) _historyBytes = total.ExecuteScalar() as long? ?? 0;
        using (var indexed = Command("SELECT value FROM meta WHERE key = 'indexed'")) _indexed = indexed.ExecuteScalar() as long? ?? 0;
        using (var rest = Command("SELECT count(*) FROM history WHERE revision > $r", "$r"))
        {
            Set(rest, _indexed);
            _unindexed = (int)(long)rest.ExecuteScalar()!;
        }
        _time = Statement("INSERT OR IGNORE INTO history_time (at, revision) VALUES (?, ?)");
        _setRevision = Statement("INSERT INTO meta (key, value) VALUES ('revision', ?) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)");
        TakeInLog();
        // Of a file of an earlier version all names are out of order: they are not left to the first write.
        if (_unindexed >= IndexRowsMin) IndexAll();
    }

    private long LayoutOfFile()
    {
        using var command = Command("PRAGMA user_version");
        return command.ExecuteScalar() as long? ?? 0;
    }

    /// <summary>True for a file of an earlier version.</summary>
    private bool IsLaidOutByName()
    {
        using var command = Command("SELECT count(*) FROM pragma_table_info('object') WHERE name = 'kind' AND pk > 0");
        return command.ExecuteScalar() is > 0L;
    }

    private void Execute(params ReadOnlySpan<string> statements)
    {
        foreach (var statement in statements)
        {
            using var command = Command(statement);
            command.ExecuteNonQuery();
        }
    }

    private SqliteStatement Statement(string text) => new(_connection!, text);

    private SqliteCommand Command(string text, params ReadOnlySpan<string> parameters)
    {
        var command = _connection!.CreateCommand();
        command.CommandText = text;
        foreach (var name in parameters) command.Parameters.Add(new SqliteParameter { ParameterName = name });
        return command;
    }

    private Task<T> OnThread<T>(Func<T> work, TaskCreationOptions options = TaskCreationOptions.RunContinuationsAsynchronously)
    {
        var done = new TaskCompletionSource<T>(options);
        Add(() =>
        {
            T result;
            try
            {
                lock (_file)
                {
                    result = work();
                    ShortenLog();
                }
            }
            catch (SqliteException e)
            {
                done.SetException(Explained(e));
                return;
            }
            catch (Exception e)
            {
                done.SetException(e);
                return;
            }
            done.SetResult(result);
        });
        return done.Task;
    }

    private void Add(Action action)
    {
        lock (_work)
        {
            ObjectDisposedException.ThrowIf(_ends, this);
            _work.Enqueue(action);
            Monitor.Pulse(_work);
        }
    }

    private bool IsWorkWaiting()
    {
        lock (_work) return _work.Count > 0;
    }

    private void Work()
    {
        while (Next() is { } action) action();
    }

    private Action? Next()
    {
        lock (_work)
        {
            while (_work.Count == 0 && !_ends) Monitor.Wait(_work);
            return _work.TryDequeue(out var action) ? action : null;
        }
    }

    private JournalException Explained(SqliteException e) => new(Explain(e), e) { IsDamaged = e.SqliteErrorCode is SqliteCorrupt or SqliteNotADatabase };

    private string Explain(SqliteException e) => e.SqliteErrorCode switch
    {
        SqliteFull => $"no space is left for {_path}: free some and try again",
        SqliteBusy => $"{_path} is in use by another process: stop it, or choose another data directory",
        SqliteIoError => $"{_path} can not be read or written: {e.Message}",
        SqliteCorrupt or SqliteNotADatabase => Damaged(e.Message),
        _ => $"{_path}: {e.Message}",
    };

    private void CheckJson(ReadOnlySpan<byte> json, string kind, string ns, SqliteStatement row)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new() { MaxDepth = Limits.JsonDepthMax });
            while (reader.Read())
            {
            }
        }
        catch (JsonException e)
        {
            throw BadState(kind, ns, row, $"is no JSON: {e.Message}", e);
        }
    }

    private JournalException BadState(string kind, string ns, SqliteStatement row, string how, Exception? e = null) =>
        new(Damaged($"the state of {kind} {(ns.Length > 0 ? ns + "/" : "")}{row.Text(2)} at revision {row.Number(4)} {how}"), e) { IsDamaged = true };

    private string Damaged(string how) => $"{_path} is damaged ({how}){Restore(": ")}";

    private string Restore(string before) => _restore.Length == 0 ? "" : before + _restore;
}
