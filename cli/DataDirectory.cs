using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Declarative.Cli;

/// <summary>What a platform keeps on disk, and which process holds it.</summary>
internal sealed partial class DataDirectory
{
    private const int SigTerm = 15;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private readonly FileStream? _lock;

    private DataDirectory(string path, FileStream? holding) => (Path, _lock) = (path, holding);

    public string Path { get; }
    public string Database => Under("state.db");

    /// <summary>What objects were, where they themselves are in etcd.</summary>
    public string History => Under("history.db");
    public string Kubeconfig => Under("kubeconfig");
    public string Mesos => Under("mesos");
    private string PidFile => Under("up.pid");

    public string Under(string name) => System.IO.Path.Combine(Path, name);

    public string RoleKubeconfig(string role) => System.IO.Path.Combine(Path, "pki", role + ".kubeconfig");

    public static DataDirectory At(string path) => new(System.IO.Path.GetFullPath(path), null);

    /// <summary>Makes the directory where it is absent and holds it for this process. Throws <see cref="UsageException"/> where it can not.</summary>
    public static DataDirectory Hold(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        try
        {
            if (OperatingSystem.IsWindows()) Directory.CreateDirectory(full);
            else Directory.CreateDirectory(full, OwnerOnly);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--data {path}: can not be made: {e.Message.TrimEnd('.')}; choose another directory");
        }
        FileStream holding;
        try
        {
            holding = new FileStream(System.IO.Path.Combine(full, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException)
        {
            throw new UsageException($"--data {path}: this user may not write there; choose another directory");
        }
        catch (IOException e)
        {
            RefuseHeld(path);
            throw new UsageException($"--data {path}: can not be locked: {e.Message.TrimEnd('.')}; choose another directory");
        }
        var data = new DataDirectory(full, holding);
        using var self = Process.GetCurrentProcess();
        File.WriteAllText(data.PidFile, string.Create(CultureInfo.InvariantCulture, $"{self.Id} {StartTicks(self.Id)}\n"));
        return data;
    }

    /// <summary>Throws <see cref="UsageException"/> where another process holds the directory; makes nothing.</summary>
    public static void RefuseHeld(string path)
    {
        if (At(path).Holder() is { } holder) throw new UsageException($"--data {path}: in use by process {holder}: stop it (declarative down --data {path}) or choose another directory");
    }

    /// <summary>The process that holds this directory, null where none does.</summary>
    public int? Holder()
    {
        if (!File.Exists(PidFile)) return null;
        var parts = File.ReadAllText(PidFile).Split(' ', StringSplitOptions.TrimEntries);
        return parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var pid) && StartTicks(pid) == parts[1] ? pid : null;
    }

    /// <summary>Ends the process that holds this directory, with TERM, and waits until it has let go. False where none held it.</summary>
    public async Task<bool> StopHolder(TimeSpan within, TimeProvider time, CancellationToken stop)
    {
        if (Holder() is not { } pid) return false;
        await Console.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"Stopping process {pid} ..."));
        if (Kill(pid, SigTerm) != 0) throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"process {pid} can not be stopped: {Marshal.GetLastPInvokeErrorMessage()}"));
        using var limit = new CancellationTokenSource(within, time);
        while (StartTicks(pid).Length > 0)
        {
            if (limit.IsCancellationRequested) throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"process {pid} has not stopped within {within.TotalSeconds:0} s"));
            await Task.Delay(TimeSpan.FromMilliseconds(20), time, stop);
        }
        return true;
    }

    public void Release()
    {
        File.Delete(PidFile);
        _lock?.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);

    /// <summary>The start time of a process in clock ticks since boot: with it a pid that was given out again is told apart. "" where there is none.</summary>
    private static string StartTicks(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            // Its first thread may have ended before the others, which have its files, and its locks, until they end too (proc(5): num_threads).
            return fields[0] is "Z" or "X" && fields[17] is "0" or "1" ? "" : fields[19];
        }
        catch (IOException)
        {
            return "";
        }
    }
}

/// <summary>What the user asked for can not be done; the message says what is wrong and what to do. Exit code 2.</summary>
internal sealed class UsageException(string message) : Exception(message);
