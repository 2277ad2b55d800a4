using System.CommandLine;
using System.Globalization;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Encryption;
using Declarative.ApiServer.Storage.Etcd;
using Declarative.ApiServer.Storage.Sqlite;
using Declarative.Cli.Verbs;
using Declarative.Client.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative backup FILE</c>: every object of a running server as of one revision.</summary>
internal static class BackupCommand
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public static Command Make(Machine machine)
    {
        var file = new Argument<string>("file") { Description = "Where to; it has Secrets in it as they are", HelpName = "FILE" };
        return new Command("backup", "Write every object of the running API server into a file.") { file }.With(machine, async (session, parsed, stop) =>
        {
            var path = parsed.GetValue(file)!;
            var part = path + ".part";
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows()) options.UnixCreateMode = OwnerOnly;
            try
            {
                await using (var body = await session.Api.Open(RequestUrl.Path("/backup"), "application/gzip", stop))
                await using (var to = new FileStream(part, options))
                {
                    await body.CopyToAsync(to, stop);
                    to.Flush(flushToDisk: true);
                }
                var (objects, revision) = await Backup.Check(part, stop);
                File.Move(part, path, overwrite: true);
                await session.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{path}: {objects} objects as of revision {revision}, {new FileInfo(path).Length} bytes. Restore with: declarative restore {path} --data DIR"));
                return 0;
            }
            catch (BackupException damaged)
            {
                throw new UsageException(damaged.Message);
            }
            finally
            {
                File.Delete(part);
            }
        });
    }
}

/// <summary><c>declarative restore FILE --data DIR</c>: makes the database of an API server that does not run yet.</summary>
internal static class RestoreCommand
{
    /// <summary>Of a SQLite database in WAL mode.</summary>
    private static readonly string[] Parts = ["", "-wal", "-shm"];

    public static Command Make()
    {
        var file = new Argument<string>("file") { Description = "What declarative backup has written", HelpName = "FILE" };
        var data = CommonOptions.Data();
        var keys = new Option<string>("--encryption-keys") { Description = "Encrypts Secrets at rest, as of declarative apiserver", HelpName = "FILE", DefaultValueFactory = _ => "" };
        var replace = new Option<bool>("--replace") { Description = "Put a database that is there aside" };
        var command = new Command("restore", "Make the API server's database from a backup.") { file, data, keys, replace };
        var etcd = new EtcdArguments();
        etcd.AddTo(command);
        command.SetAction((parsed, stop) => CommonOptions.Guard(async () =>
        {
            var directory = DataDirectory.Hold(parsed.GetValue(data)!);
            try
            {
                if (etcd.Read(parsed) is { } options) return await Restore(parsed.GetValue(file)!, options, parsed.GetValue(keys)!, stop);
                return await Restore(parsed.GetValue(file)!, directory, parsed.GetValue(keys)!, parsed.GetValue(replace), stop);
            }
            catch (Exception failed) when (failed is BackupException or JournalException)
            {
                throw new UsageException(failed.Message);
            }
            finally
            {
                directory.Release();
            }
        }));
        return command;
    }

    private static async Task<int> Restore(string file, EtcdOptions etcd, string keyFile, CancellationToken stop)
    {
        var keys = keyFile.Length == 0 ? null : EncryptionKeys.Read(keyFile, await File.ReadAllTextAsync(keyFile, stop));
        await using var journal = new EncryptedJournal(await EtcdJournal.Open(etcd, NullLogger.Instance, stop), keys);
        var (objects, revision) = await Backup.Restore(file, journal, stop);
        await Console.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{objects} objects as of revision {revision} are in etcd under {etcd.Prefix}."));
        return 0;
    }

    private static async Task<int> Restore(string file, DataDirectory data, string keyFile, bool replace, CancellationToken stop)
    {
        if (!File.Exists(file)) throw new UsageException($"{file}: there is no such file");
        if (File.Exists(data.Database) && !replace) throw new UsageException($"{data.Database} is there: with --replace it is put aside, as state.db.before-restore");
        var keys = keyFile.Length == 0 ? null : EncryptionKeys.Read(keyFile, await File.ReadAllTextAsync(keyFile, stop));
        await Backup.Check(file, stop);
        // Beside the database that is there, which gives way only to a whole one.
        var made = data.Database + ".restoring";
        foreach (var part in Parts) File.Delete(made + part);
        int objects;
        long revision;
        await using (var journal = new EncryptedJournal(await SqliteJournal.Open(made), keys)) (objects, revision) = await Backup.Restore(file, journal, stop);
        if (File.Exists(data.Database)) Move(data.Database, Unused(data.Database + ".before-restore"));
        Move(made, data.Database);
        await Console.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{objects} objects as of revision {revision} are in {data.Database}. Start with: declarative up --data {data.Path}"));
        return 0;
    }

    private static string Unused(string path) => Enumerable.Range(1, int.MaxValue).Select(x => x == 1 ? path : string.Create(CultureInfo.InvariantCulture, $"{path}.{x}")).First(x => !File.Exists(x));

    private static void Move(string from, string to)
    {
        foreach (var part in Parts)
        {
            if (File.Exists(from + part)) File.Move(from + part, to + part);
        }
    }
}
