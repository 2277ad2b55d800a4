using System.Collections.Concurrent;
using Declarative.Api;
using Declarative.Api.Kinds;
using Microsoft.Data.Sqlite;

namespace Declarative.ApiServer.Storage.Sqlite;

/// <summary>
/// The default journal: one SQLite file in WAL mode with <c>synchronous=FULL</c>, so that a commit has reached the disk when it returns.
/// All its work happens on one thread of its own; the file is locked, so a second process can not open it.
/// </summary>
public sealed class SqliteJournal : IJournal
{
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
            if (KindOf(rows.GetString(0)) is not { } kind) continue;
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
                command.Parameters[0].Value = Name(record.Key.Kind);
                command.Parameters[1].Value = record.Key.Namespace;
                command.Parameters[2].Value = record.Key.Name;
                if (record.Json is { } json)
                {
                    command.Parameters[3].Value = record.Uid;
                    command.Parameters[4].Value = record.Revision;
                    command.Parameters[5].Value = json.ToArray();
                }
                command.ExecuteNonQuery();
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

    public async ValueTask DisposeAsync()
    {
        if (!_work.IsAddingCompleted)
        {
            await OnThread(() =>
            {
                foreach (var command in (ReadOnlySpan<SqliteCommand?>)[_begin, _commit, _rollback, _put, _remove, _setRevision]) command?.Dispose();
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
        ])
        {
            using var command = Command(statement);
            command.ExecuteNonQuery();
        }
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        (_begin, _commit, _rollback) = (Command("BEGIN IMMEDIATE"), Command("COMMIT"), Command("ROLLBACK"));
        _put = Command("INSERT INTO object (kind, namespace, name, uid, revision, json) VALUES ($k, $s, $n, $u, $r, $j) ON CONFLICT (kind, namespace, name) DO UPDATE SET uid = excluded.uid, revision = excluded.revision, json = excluded.json", "$k", "$s", "$n", "$u", "$r", "$j");
        _remove = Command("DELETE FROM object WHERE kind = $k AND namespace = $s AND name = $n", "$k", "$s", "$n");
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

    private static string Name(Kind kind) => $"{kind.Group}/{kind.Version}/{kind.Plural}";

    private static Kind? KindOf(string name) => name.Split('/') is [var group, var version, var plural] ? Kind.FindStored(group, version, plural) : null;
}
