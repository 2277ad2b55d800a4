using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Declarative.ApiServer.Storage.Sqlite;

/// <summary>
/// A prepared statement of the write path, or the one that reads everything. It is bound and stepped as it is: a command of
/// Microsoft.Data.Sqlite makes a reader, boxes and copies for each execution, which costs more than what SQLite itself does for a row.
/// </summary>
internal sealed class SqliteStatement : IDisposable
{
    private readonly sqlite3 _database;
    private readonly sqlite3_stmt _statement;
    private int _bound;

    /// <exception cref="SqliteException">The text is none, or the file can not be read.</exception>
    public SqliteStatement(SqliteConnection connection, string text)
    {
        _database = connection.Handle!;
        SqliteException.ThrowExceptionForRC(raw.sqlite3_prepare_v2(_database, text, out _statement), _database);
    }

    /// <summary>The next parameter.</summary>
    public SqliteStatement With(string text)
    {
        raw.sqlite3_bind_text(_statement, ++_bound, text);
        return this;
    }

    public SqliteStatement With(long number)
    {
        raw.sqlite3_bind_int64(_statement, ++_bound, number);
        return this;
    }

    public SqliteStatement With(ReadOnlySpan<byte> blob)
    {
        // An empty span has no address, which would bind NULL.
        if (blob.IsEmpty) raw.sqlite3_bind_zeroblob(_statement, ++_bound, 0);
        else raw.sqlite3_bind_blob(_statement, ++_bound, blob);
        return this;
    }

    /// <summary>To the next row; false after the last.</summary>
    /// <exception cref="SqliteException">The file can not be read.</exception>
    public bool Step()
    {
        var code = raw.sqlite3_step(_statement);
        if (code is not (raw.SQLITE_ROW or raw.SQLITE_DONE)) SqliteException.ThrowExceptionForRC(code, _database);
        return code == raw.SQLITE_ROW;
    }

    public string Text(int column) => Encoding.UTF8.GetString(raw.sqlite3_column_blob(_statement, column));

    /// <summary>The text into <paramref name="known"/>, where that is another; true then.</summary>
    public bool TextAgain(int column, ref string known)
    {
        var text = raw.sqlite3_column_blob(_statement, column);
        if (Ascii.Equals(text, known)) return false;
        known = Encoding.UTF8.GetString(text);
        return true;
    }

    public long Number(int column) => raw.sqlite3_column_int64(_statement, column);

    /// <summary>Readable until the next step.</summary>
    public ReadOnlySpan<byte> Blob(int column) => raw.sqlite3_column_blob(_statement, column);

    /// <exception cref="SqliteException">Nothing of this statement was done.</exception>
    public void Run()
    {
        _bound = 0;
        var code = raw.sqlite3_step(_statement);
        // Its code is that of the step again.
        raw.sqlite3_reset(_statement);
        if (code != raw.SQLITE_DONE) SqliteException.ThrowExceptionForRC(code, _database);
    }

    public void Dispose() => _statement.Dispose();
}
