namespace Declarative.Mesos.Mini.Runners;

/// <summary>A process that was started or adopted, with everything that it forked.</summary>
internal sealed class RunningProcess
{
    private const int KillRounds = 100;
    private static readonly TimeSpan KillPause = TimeSpan.FromMilliseconds(10);

    private readonly ProcessIdentity keeper;
    private readonly string recordDirectory;
    private readonly Cgroup cgroup;
    private readonly TimeProvider time;
    private volatile bool killing;

    internal RunningProcess(ProcessIdentity keeper, string recordDirectory, Cgroup cgroup, TaskTerminal? terminal, Task<int?> exited, TimeProvider time)
    {
        this.keeper = keeper;
        this.recordDirectory = recordDirectory;
        this.cgroup = cgroup;
        Terminal = terminal;
        this.time = time;
        Ended = End(exited);
    }

    /// <summary>
    /// Completes when the process has ended and everything it forked is gone too; canceled when the runner is disposed (the process goes on).
    /// </summary>
    public Task<ProcessExit> Ended { get; }

    /// <summary>The files into which a process that runs beside this one writes 0 to count with it.</summary>
    public IReadOnlyList<string> JoinFiles => cgroup.JoinFiles;

    /// <summary>What it reads and, with a terminal, writes; null where it reads nothing.</summary>
    public TaskTerminal? Terminal { get; }

    /// <summary>The session's leader, the parent of <see cref="Pid"/>.</summary>
    public int KeeperPid => keeper.Pid;

    /// <summary>The process itself; null before it has started and after it has ended.</summary>
    public int? Pid
    {
        get
        {
            var children = Members().Select(ProcessStat.Read).OfType<ProcessStat>().Where(stat => stat.Parent == keeper.Pid).ToList();
            return children.Count > 0 ? children.Min(stat => stat.Pid) : null;
        }
    }

    /// <summary>The kernel killed one of its processes for want of memory; known when it has ended.</summary>
    public bool RanOutOfMemory { get; private set; }

    /// <summary>Asks the process group to end.</summary>
    public void Terminate()
    {
        // 0 is a process that had ended before it was adopted; kill(0) and kill(-1) would reach others.
        if (!Ended.IsCompleted && keeper.Pid > 1)
            Posix.Kill(-keeper.Pid, Posix.SigTerm);
    }

    /// <summary>Kills every process at once, those too that made a session of their own. Completes when it has ended.</summary>
    public async Task Kill()
    {
        killing = true;
        for (var round = 0; round < KillRounds && !Ended.IsCompleted; round++)
        {
            // The keeper last: it is to write down how the process ended.
            foreach (var pid in Members())
                Posix.Kill(pid, Posix.SigKill);
            await Task.WhenAny(Ended, Task.Delay(KillPause, time));
        }

        if (!Ended.IsCompleted && !cgroup.KillAll() && keeper.Pid > 1)
            Posix.Kill(-keeper.Pid, Posix.SigKill);
        await Ended;
    }

    /// <summary>What its processes use now. CPU in seconds, memory in bytes.</summary>
    public ProcessUsage Usage()
    {
        var stats = cgroup.CpuSeconds is null || cgroup.MemoryBytes is null ? Members().Select(ProcessStat.Read).OfType<ProcessStat>().ToList() : [];
        var cpu =
            cgroup.CpuSeconds
            ?? (
                stats.Sum(stat => stat.UserTicks) / ProcessStat.TicksPerSecond,
                stats.Sum(stat => stat.SystemTicks) / ProcessStat.TicksPerSecond
            );
        var memory = cgroup.MemoryBytes ?? stats.Sum(stat => stat.ResidentPages) * Environment.SystemPageSize;
        return new(cpu.Item1, cpu.Item2, memory, cgroup.MemoryBytesMax);
    }

    private async Task<ProcessExit> End(Task<int?> exited)
    {
        try
        {
            await exited;
        }
        catch (OperationCanceledException) when (Terminal is not null)
        {
            // The agent stops; the process goes on with the terminal that its keeper holds.
            await Terminal.Close();
            throw;
        }

        var exit = Keeper.ReadExit(recordDirectory) ?? (killing ? new(null, Posix.SigKill) : ProcessExit.Unseen);
        for (var round = 0; round < KillRounds && Members() is { Count: > 0 } left; round++)
        {
            foreach (var pid in left)
                Posix.Kill(pid, Posix.SigKill);
            await Task.Delay(KillPause, time);
        }

        if (Terminal is not null)
            await Terminal.Close();
        RanOutOfMemory = cgroup.RanOutOfMemory;
        for (var round = 0; round < KillRounds && !cgroup.Remove(); round++)
            await Task.Delay(KillPause, time);
        return exit;
    }

    // Without the keeper.
    private List<int> Members()
    {
        if (keeper.Pid == 0 && !cgroup.TracksProcesses)
            return [];
        if (cgroup.TracksProcesses)
        {
            var tracked = cgroup.Processes();
            if (tracked.Remove(keeper.Pid) || tracked.Count > 0 || Ended is null or { IsCompleted: true } || !keeper.IsAlive)
                return tracked;
        }

        // The keeper could not join, or there are no cgroups: its session and whoever descends from it.
        HashSet<int> found = [keeper.Pid];
        var all = ProcessStat.All();
        int before;
        do
        {
            before = found.Count;
            foreach (var stat in all)
            {
                if (stat.State is not ('Z' or 'X') && (stat.Session == keeper.Pid || found.Contains(stat.Parent)))
                    found.Add(stat.Pid);
            }
        } while (found.Count > before);

        found.Remove(keeper.Pid);
        return [.. found];
    }
}
