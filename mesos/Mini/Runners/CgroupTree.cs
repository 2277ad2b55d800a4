namespace Declarative.Mesos.Mini.Runners;

/// <summary>
/// Where cgroups can be made: below the ones this process is in, so that the tasks stay within whatever limits it has itself. The unified
/// hierarchy (cgroup v2, also when mounted beside v1) is used to find and kill a task's processes; limits are set there or in v1's cpu
/// and memory hierarchies, whichever has the controller.
/// </summary>
internal sealed class CgroupTree
{
    private const string Folder = "declarative";

    private CgroupTree(string? unified, string? cpu, string? memory, bool cpuIsUnified, bool memoryIsUnified)
    {
        Unified = unified;
        Cpu = cpu;
        Memory = memory;
        CpuIsUnified = cpuIsUnified;
        MemoryIsUnified = memoryIsUnified;
    }

    /// <summary>The folder for tasks in the hierarchy, or null where there is none that we may write.</summary>
    public string? Unified { get; }
    public string? Cpu { get; }
    public string? Memory { get; }
    public bool CpuIsUnified { get; }
    public bool MemoryIsUnified { get; }

    /// <summary>What this machine does not allow, in one sentence; null when all is well.</summary>
    public string? Note =>
        (Unified, Cpu, Memory) switch
        {
            (not null, not null, not null) => null,
            (null, null, null) => "no cgroup may be made here: tasks run without cpu and memory limits",
            (_, null, null) => "cpu and memory cgroups may not be made here: tasks run without these limits",
            (_, null, _) => "no cpu cgroup may be made here: tasks run without cpu limits",
            (_, _, null) => "no memory cgroup may be made here: tasks run without memory limits",
            _ => null,
        };

    public static CgroupTree None { get; } = new(null, null, null, false, false);

    public static CgroupTree Find()
    {
        try
        {
            return Find(File.ReadAllLines("/proc/self/mountinfo"), File.ReadAllLines("/proc/self/cgroup"));
        }
        catch (IOException)
        {
            return None;
        }
    }

    private static CgroupTree Find(string[] mounts, string[] memberships)
    {
        string? unified = null;
        string? cpu = null;
        string? memory = null;
        foreach (var mount in mounts)
        {
            // ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS] - TYPE SOURCE SUPEROPTIONS
            var halves = mount.Split(" - ", 2);
            var left = halves[0].Split(' ');
            var right = halves.Length == 2 ? halves[1].Split(' ') : [];
            if (left.Length < 5 || right.Length < 3)
                continue;
            if (right[0] == "cgroup2")
                unified = Own(left, memberships, "");
            else if (right[0] == "cgroup" && right[2].Split(',') is var controllers)
            {
                if (controllers.Contains("cpu"))
                    cpu = Own(left, memberships, "cpu");
                if (controllers.Contains("memory"))
                    memory = Own(left, memberships, "memory");
            }
        }

        unified = Made(unified);
        var cpuIsUnified = cpu is null && Delegated(unified, "cpu");
        var memoryIsUnified = memory is null && Delegated(unified, "memory");
        return new(
            unified,
            cpuIsUnified ? unified : Made(cpu),
            memoryIsUnified ? unified : Made(memory),
            cpuIsUnified,
            memoryIsUnified
        );
    }

    // The controller has to be enabled from our own cgroup (which v2 allows only while that has no processes or is the root) down to the folder.
    private static bool Delegated(string? folder, string controller)
    {
        if (folder is null || Path.GetDirectoryName(folder) is not { } parent)
            return false;
        return TryWrite(Path.Combine(parent, "cgroup.subtree_control"), "+" + controller)
            && TryWrite(Path.Combine(folder, "cgroup.subtree_control"), "+" + controller);
    }

    private static string? Own(string[] mount, string[] memberships, string controller)
    {
        foreach (var membership in memberships)
        {
            // NUMBER:CONTROLLERS:PATH
            var parts = membership.Split(':', 3);
            if (parts.Length != 3 || !parts[1].Split(',').Contains(controller))
                continue;
            var root = mount[3];
            var path = root != "/" && parts[2].StartsWith(root, StringComparison.Ordinal) ? parts[2][root.Length..] : parts[2];
            return Path.Combine(mount[4], path.TrimStart('/'));
        }

        return null;
    }

    private static string? Made(string? own)
    {
        if (own is null)
            return null;
        var folder = Path.Combine(own, Folder);
        try
        {
            Directory.CreateDirectory(folder);
            // A task's cgroup must be makeable below it too.
            var probe = Path.Combine(folder, "probe");
            Directory.CreateDirectory(probe);
            Directory.Delete(probe);
            return folder;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return Directory.Exists(folder) && Posix.Access(folder, 2) == 0 ? folder : null;
        }
    }

    internal static bool TryWrite(string file, string value)
    {
        try
        {
            File.WriteAllText(file, value);
            return true;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
