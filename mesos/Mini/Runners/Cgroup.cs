using System.Globalization;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>The cgroups of one container: its processes, however they forked away, and its limits.</summary>
internal sealed class Cgroup
{
    private const int CpuPeriodMicroseconds = 100_000;
    private const int CpuSharesPerCpu = 1024;
    private const int CpuSharesMin = 2;

    private readonly string? unified;
    private readonly string? cpu;
    private readonly string? memory;
    private readonly CgroupTree tree;

    /// <summary>Names the cgroups; <see cref="Make"/> makes them.</summary>
    public Cgroup(CgroupTree tree, string name)
    {
        this.tree = tree;
        unified = Below(tree.Unified, name);
        cpu = tree.CpuIsUnified ? unified : Below(tree.Cpu, name);
        memory = tree.MemoryIsUnified ? unified : Below(tree.Memory, name);
    }

    /// <summary>False where no hierarchy lets us find the processes: then they are found by session.</summary>
    public bool TracksProcesses => unified is not null;

    /// <summary>The files into which a process writes 0 to join.</summary>
    public IReadOnlyList<string> JoinFiles =>
        [.. Folders.Select(folder => Path.Combine(folder, "cgroup.procs")).Where(File.Exists)];

    private IEnumerable<string> Folders => new[] { unified, cpu, memory }.OfType<string>().Distinct();

    /// <returns>Null, or what could not be set.</returns>
    public string? Make(ProcessLimits limits)
    {
        foreach (var folder in Folders)
        {
            try
            {
                Directory.CreateDirectory(folder);
            }
            catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
            {
                return $"cgroup {folder}: {refused.Message}";
            }
        }

        var complete = true;
        if (cpu is not null && limits.CpuShare is { } share)
        {
            var shares = Math.Max(CpuSharesMin, (long)(share * CpuSharesPerCpu));
            complete &= tree.CpuIsUnified
                // The kernel's own mapping of shares 2…262144 to weights 1…10000.
                ? Write(cpu, "cpu.weight", Math.Clamp(1 + (shares - 2) * 9999 / 262142, 1, 10000))
                : Write(cpu, "cpu.shares", shares);
        }

        if (cpu is not null && limits.CpuMax is { } max)
        {
            var quota = Math.Max(1000, (long)(max * CpuPeriodMicroseconds));
            complete &= tree.CpuIsUnified
                ? CgroupTree.TryWrite(Path.Combine(cpu, "cpu.max"), string.Create(CultureInfo.InvariantCulture, $"{quota} {CpuPeriodMicroseconds}"))
                : Write(cpu, "cpu.cfs_period_us", CpuPeriodMicroseconds) && Write(cpu, "cpu.cfs_quota_us", quota);
        }

        if (memory is not null && limits.MemoryBytesMax is { } bytes)
            complete &= Write(memory, tree.MemoryIsUnified ? "memory.max" : "memory.limit_in_bytes", bytes);
        return complete ? null : "the cgroup of the task refused a limit";
    }

    public List<int> Processes()
    {
        List<int> pids = [];
        if (unified is null)
            return pids;
        try
        {
            foreach (var line in File.ReadLines(Path.Combine(unified, "cgroup.procs")))
                pids.Add(int.Parse(line, CultureInfo.InvariantCulture));
        }
        catch (IOException)
        {
            // Removed meanwhile: nobody is in it.
            return [];
        }

        return pids;
    }

    /// <summary>Kills everything at once (Linux 5.14); false where the kernel has no such switch.</summary>
    public bool KillAll() => unified is not null && CgroupTree.TryWrite(Path.Combine(unified, "cgroup.kill"), "1");

    /// <summary>The kernel killed something for want of memory. To be asked before <see cref="Remove"/>.</summary>
    public bool RanOutOfMemory =>
        memory is not null && Field(Path.Combine(memory, tree.MemoryIsUnified ? "memory.events" : "memory.oom_control"), "oom_kill") > 0;

    public long? MemoryBytes => memory is null ? null : Number(Path.Combine(memory, tree.MemoryIsUnified ? "memory.current" : "memory.usage_in_bytes"));

    public long? MemoryBytesMax
    {
        get
        {
            // v1 writes "no limit" as the largest multiple of the page size.
            var max = memory is null ? null : Number(Path.Combine(memory, tree.MemoryIsUnified ? "memory.max" : "memory.limit_in_bytes"));
            return max > 1L << 60 ? null : max;
        }
    }

    /// <summary>Seconds of CPU in user and in system mode; null where the unified hierarchy is not there.</summary>
    public (double User, double System)? CpuSeconds
    {
        get
        {
            if (unified is null)
                return null;
            var file = Path.Combine(unified, "cpu.stat");
            return Field(file, "user_usec") is { } user && Field(file, "system_usec") is { } system
                ? (user / 1e6, system / 1e6)
                : null;
        }
    }

    /// <summary>False when processes are still on their way out: try again.</summary>
    public bool Remove()
    {
        var gone = true;
        foreach (var folder in Folders)
        {
            try
            {
                if (Directory.Exists(folder))
                    Directory.Delete(folder);
            }
            catch (Exception busy) when (busy is IOException or UnauthorizedAccessException)
            {
                gone = false;
            }
        }

        return gone;
    }

    private static string? Below(string? folder, string name) => folder is null ? null : Path.Combine(folder, name);

    private static bool Write(string folder, string file, long value) =>
        CgroupTree.TryWrite(Path.Combine(folder, file), value.ToString(CultureInfo.InvariantCulture));

    private static long? Number(string file)
    {
        try
        {
            return long.TryParse(File.ReadAllText(file).AsSpan().Trim(), CultureInfo.InvariantCulture, out var number) ? number : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static long? Field(string file, string name)
    {
        try
        {
            foreach (var line in File.ReadLines(file))
            {
                if (line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] == ' ')
                    return long.TryParse(line.AsSpan(name.Length + 1), CultureInfo.InvariantCulture, out var value) ? value : null;
            }
        }
        catch (IOException)
        {
            return null;
        }

        return null;
    }
}
