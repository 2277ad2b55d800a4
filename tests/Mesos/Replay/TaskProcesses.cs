using Declarative.Mesos.Mini.Runners;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>Processes of tasks, told by their working directories, which are sandboxes below one folder.</summary>
internal static class TaskProcesses
{
    /// <summary>
    /// Whether none of them has anything to do: each waits for a clock, input or another one (proc(5): state S). One that runs, is to run (R) or
    /// waits for a disk (D) is busy, however little of a loaded machine it gets. What sleeps by the clock of the replay looks at it again and
    /// again, which counts as sleep.
    /// </summary>
    public static bool Rest(string folder)
    {
        foreach (var stat in ProcessStat.All())
        {
            if (stat.State is 'R' or 'D' && IsBelow(folder, stat.Pid) && !Sleeps(stat.Pid))
                return false;
        }

        return true;
    }

    private static bool IsBelow(string folder, int pid)
    {
        try
        {
            return new FileInfo($"/proc/{pid}/cwd").LinkTarget?.StartsWith(folder + "/", StringComparison.Ordinal) == true;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            // It has ended, or is another user's.
            return false;
        }
    }

    private static bool Sleeps(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Contains("/sleep\0", StringComparison.Ordinal);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }
}
