namespace Declarative.ApiServer.Storage.Sqlite;

/// <summary>
/// The log beside the file (<c>-wal</c>) holds what was stored last, and goes when the journal is closed. A file that was not closed and has no log has
/// lost that, which SQLite would not notice: so the file says whether it is open.
/// </summary>
public sealed partial class SqliteJournal
{
    private string LogPath => _path + "-wal";

    private string RestoreCommand => $"declarative restore FILE --data {Path.GetDirectoryName(_path)} --replace";

    /// <summary>The process that had it open did not end by itself.</summary>
    private bool WasLeftOpen()
    {
        using var table = Command("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'");
        if (table.ExecuteScalar() is not > 0L) return false;
        using var open = Command("SELECT value FROM meta WHERE key = 'open'");
        return open.ExecuteScalar() is > 0L;
    }

    /// <summary>In the file itself, before anything goes to the log.</summary>
    private void MarkOpen()
    {
        Execute("INSERT INTO meta (key, value) VALUES ('open', 1) ON CONFLICT (key) DO UPDATE SET value = 1");
        Checkpoint();
    }

    private void MarkClosed()
    {
        // None where it could not be opened.
        if (_setRevision is not null) Execute("UPDATE meta SET value = 0 WHERE key = 'open'");
    }

    private string LogMissing() =>
        $"{LogPath} is missing: what was stored last was in it, for the process that had {_path} open did not end by itself. Put the file back, or restore a backup: {RestoreCommand}. "
        + "To go on without what was stored last, make an empty file of that name";
}
