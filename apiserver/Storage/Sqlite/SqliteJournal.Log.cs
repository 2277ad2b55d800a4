using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Declarative.ApiServer.Storage.Sqlite;

/// <summary>
/// The log beside the file (<c>-wal</c>) holds what was stored last, and goes when the journal is closed. SQLite would go on without it and not notice. So
/// the file itself says that it needs its log, and the log that it is not needed: whoever takes the log in, be it another program, takes that in too.
/// </summary>
public sealed partial class SqliteJournal
{
    private string LogPath => _path + "-wal";

    /// <summary>What was stored last is in a log that the file has not taken in.</summary>
    private bool NeedsLog()
    {
        using var table = Command("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'");
        if (table.ExecuteScalar() is not > 0L) return false;
        using var needed = Command("SELECT value FROM meta WHERE key = 'needs_log'");
        return needed.ExecuteScalar() is > 0L;
    }

    private void SetNeedsLog(bool needed) => Execute($"INSERT INTO meta (key, value) VALUES ('needs_log', {(needed ? 1 : 0)}) ON CONFLICT (key) DO UPDATE SET value = excluded.value");

    /// <summary>Pages that were written to the log since the last checkpoint. The holder of the file's lock asks.</summary>
    private bool IsLogLong()
    {
        if (_connection?.Handle is not { } database) return false;
        raw.sqlite3_db_status(database, raw.SQLITE_DBSTATUS_CACHE_WRITE, out var pages, out _, 0);
        return pages >= LogPagesMax;
    }

    private void ShortenLog()
    {
        if (!IsLogLong()) return;
        try
        {
            TakeInLog();
        }
        catch (SqliteException e)
        {
            _log.NoCheckpoint(_path, e.Message);
        }
    }

    private void TakeInLog()
    {
        // Where it fails it is tried again after as many pages.
        raw.sqlite3_db_status(_connection!.Handle!, raw.SQLITE_DBSTATUS_CACHE_WRITE, out _, out _, 1);
        SetNeedsLog(true);
        Checkpoint();
        SetNeedsLog(false);
    }

    /// <summary>What was written stays written where this fails: the log goes on.</summary>
    private void Checkpoint()
    {
        var database = _connection!.Handle!;
        var code = raw.sqlite3_wal_checkpoint_v2(database, "main", raw.SQLITE_CHECKPOINT_PASSIVE, out _, out _);
        if (code != raw.SQLITE_OK) _log.NoCheckpoint(_path, raw.sqlite3_errmsg(database).utf8_to_string());
    }

    /// <summary>Freed pages keep their content until they are used again, and the log until it is written over: both are made anew.</summary>
    public Task Scrub(CancellationToken stop) => OnThread(() =>
    {
        SetNeedsLog(true);
        Execute("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)");
        SetNeedsLog(false);
        return 0;
    });

    /// <summary>SQLite takes the log in and removes it; where the last word of it can not be written, it stays for the next start.</summary>
    private void CloseFile()
    {
        try
        {
            // None where it could not be opened.
            if (_setRevision is not null) SetNeedsLog(false);
        }
        catch (SqliteException e)
        {
            raw.sqlite3_db_config(_connection!.Handle!, raw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, out _);
            _log.LogStays(LogPath, e.Message);
        }
        foreach (var command in (ReadOnlySpan<SqliteStatement?>)[_begin, _commit, _rollback, _put, _remove, _setRevision, _remember, _forget, _name, _time]) command?.Dispose();
        _connection?.Dispose();
    }

    private string LogMissing() =>
        $"{LogPath} is missing: what was stored last was in it, for the process that had {_path} open did not end by itself. Put the file back{Restore(", or ")}. "
        + "To go on without what was stored last, make an empty file of that name";
}
