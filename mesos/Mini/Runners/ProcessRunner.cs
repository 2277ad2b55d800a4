using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>Starts processes that outlive this one, and finds them again. Thread-safe.</summary>
internal sealed class ProcessRunner : IDisposable
{
    private readonly TimeProvider time;
    private readonly ExitWatch watch = new();
    private readonly CgroupTree cgroups;

    /// <param name="time">Paces the kills.</param>
    /// <param name="useCgroups">False: processes are found by session, and there are no limits.</param>
    public ProcessRunner(TimeProvider time, bool useCgroups = true)
    {
        this.time = time;
        cgroups = useCgroups ? CgroupTree.Find() : CgroupTree.None;
        KeepDescriptorsOurs();
    }

    /// <summary>What the runner cannot do on this machine; to be said once.</summary>
    public string? Note => cgroups.Note;

    /// <returns>The process, or why it could not be started.</returns>
    public (RunningProcess? Process, string? Error) Start(ProcessLaunch launch)
    {
        if (!Directory.Exists(launch.WorkingDirectory))
            return (null, $"working directory not found: {launch.WorkingDirectory}");
        Directory.CreateDirectory(launch.RecordDirectory);
        var cgroup = CgroupOf(launch.Name, launch.RecordDirectory);
        // A limit that the kernel refuses must not keep a task from running; the missing limit is said by Note.
        cgroup.Make(launch.Limits);
        int pid;
        string? error;
        TaskTerminal? terminal;
        try
        {
            (pid, terminal, error) = Start(launch, cgroup);
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            (pid, terminal, error) = (0, null, none.Message);
        }

        if (error is not null)
        {
            cgroup.Remove();
            return (null, $"cannot start {launch.File}: {error}");
        }

        // Not yet reaped, so it is there even if it has ended.
        var identity = ProcessIdentity.Of(pid) ?? new(pid, 0);
        File.WriteAllText(Path.Combine(launch.RecordDirectory, Keeper.IdentityFile), identity.ToString());
        return (new RunningProcess(identity, launch.RecordDirectory, cgroup, terminal, watch.Exited(identity), time), null);
    }

    private (int Pid, TaskTerminal? Terminal, string? Error) Start(ProcessLaunch launch, Cgroup cgroup)
    {
        if (launch.Input == ProcessInput.Terminal)
        {
            var opened = Terminal.Open();
            // There to be read before the first word.
            var stdout = TaskTerminal.Output(launch.Stdout);
            TaskTerminal.Output(launch.Stderr).Dispose();
            if (launch.TerminalSize is { } size)
                opened.Resize(size.Columns, size.Rows);
            var (pid, error) = Keeper.Of(launch, cgroup.JoinFiles, opened, input: null).Start();
            if (error is null)
                return (pid, TaskTerminal.Of(launch.Name, opened, stdout, time), null);
            stdout.Dispose();
            _ = Posix.Close(opened.Descriptor);
            return (0, null, error);
        }

        if (launch.Input == ProcessInput.Pipe)
        {
            var (read, write) = SessionProcess.NewPipe();
            var (pid, error) = Keeper.Of(launch, cgroup.JoinFiles, terminal: null, read).Start();
            _ = Posix.Close(read);
            if (error is null)
                return (pid, TaskTerminal.Of(launch.Name, write, time), null);
            _ = Posix.Close(write);
            return (0, null, error);
        }

        var (plain, failed) = Keeper.Of(launch, cgroup.JoinFiles, terminal: null, input: null).Start();
        return (plain, null, failed);
    }

    /// <summary>
    /// Finds a process again that an earlier runner started, running or ended. Null when it was never started: the record directory is
    /// written before.
    /// </summary>
    /// <param name="stdout">Where a terminal's output goes on; null for a task without one.</param>
    public RunningProcess? Adopt(string name, string recordDirectory, string? stdout = null)
    {
        var cgroup = CgroupOf(name, recordDirectory);
        if (Find(recordDirectory) is not { } identity)
        {
            return Keeper.ReadPid(recordDirectory) is null
                ? null
                : new RunningProcess(default, recordDirectory, cgroup, terminal: null, Task.FromResult<int?>(null), time);
        }

        var terminal = stdout is null ? null : TaskTerminal.Adopt(name, identity.Pid, stdout, time);
        return new RunningProcess(identity, recordDirectory, cgroup, terminal, watch.Exited(identity), time);
    }

    /// <summary>Runs a short command to its end or kills it: a check.</summary>
    /// <param name="mountsOf">A process whose mounts it sees; null: this process' own.</param>
    /// <returns>Its exit code (128+n for signal n), null after the time-out or when it could not be started.</returns>
    public async Task<int?> Run(
        string file,
        IReadOnlyList<string> arguments,
        IReadOnlyList<string> environment,
        string workingDirectory,
        TimeSpan timeout,
        int? mountsOf,
        CancellationToken stop
    )
    {
        const string nowhere = "/dev/null";
        var spawn = new Spawn(
            file,
            arguments,
            environment,
            workingDirectory,
            [(0, nowhere, 0), (1, nowhere, Posix.OpenWrite), (2, nowhere, Posix.OpenWrite)]
        );
        var (pid, error) = (mountsOf is { } process ? PrivateMounts.Of(process, spawn) : spawn).Start();
        if (error is not null)
            return null;
        var exited = watch.Exited(ProcessIdentity.Of(pid) ?? new(pid, 0));
        try
        {
            var status = await exited.WaitAsync(timeout, time, stop);
            var exit = ProcessExit.OfWaitStatus(status ?? 0);
            return exit.Code ?? 128 + exit.Signal;
        }
        catch (TimeoutException)
        {
            return null;
        }
        finally
        {
            // The group is the command's own session; what it left behind goes with it.
            Posix.Kill(-pid, Posix.SigKill);
        }
    }

    /// <summary>Starts a process to talk to, beside a task.</summary>
    /// <returns>The process, or why it could not be started.</returns>
    public (SessionProcess? Process, string? Error) Start(SessionLaunch launch) =>
        SessionProcess.Start(launch, pid => watch.Exited(ProcessIdentity.Of(pid) ?? new(pid, 0)), time);

    public void Dispose() => watch.Dispose();

    // The directory too: two platforms on one machine may give the same name (seeded ids do), and must not kill each other's processes.
    private Cgroup CgroupOf(string name, string recordDirectory)
    {
        var place = SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(recordDirectory)));
        return new(cgroups, $"{name}-{Convert.ToHexStringLower(place.AsSpan(0, 4))}");
    }

    // .NET opens everything close-on-exec, but not what this process inherited itself: a pipe of whoever started it must not live on in tasks.
    private static void KeepDescriptorsOurs()
    {
        foreach (var file in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            var descriptor = int.Parse(Path.GetFileName(file.AsSpan()), CultureInfo.InvariantCulture);
            if (descriptor > 2)
                Posix.FileControl(descriptor, Posix.SetDescriptorFlags, Posix.DescriptorCloseOnExec);
        }
    }

    private static ProcessIdentity? Find(string recordDirectory)
    {
        var identityFile = Path.Combine(recordDirectory, Keeper.IdentityFile);
        if (File.Exists(identityFile) && ProcessIdentity.Parse(File.ReadAllText(identityFile)) is { } known)
            return known.IsAlive ? known : null;
        // The agent died between the start and its own note of it.
        if (Keeper.ReadExit(recordDirectory) is not null || !Directory.Exists(recordDirectory))
            return null;
        var status = Path.GetFullPath(Path.Combine(recordDirectory, Keeper.StatusFile));
        var candidates = Keeper.ReadPid(recordDirectory) is { } pid ? [pid] : ProcessStat.All().Select(stat => stat.Pid);
        foreach (var candidate in candidates)
        {
            if (Holds(candidate, status))
                return ProcessIdentity.Of(candidate);
        }

        return null;
    }

    private static bool Holds(int pid, string statusFile)
    {
        try
        {
            var link = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/fd/{Keeper.StatusDescriptor}");
            return new FileInfo(link).LinkTarget == statusFile;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
