using System.Globalization;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>What is used of /proc/PID/stat (proc(5)); times in clock ticks.</summary>
internal sealed record ProcessStat(int Pid, char State, int Parent, int Session, long UserTicks, long SystemTicks, long StartTicks, long ResidentPages)
{
    /// <summary>sysconf(_SC_CLK_TCK): 100 on every Linux that .NET runs on.</summary>
    public const double TicksPerSecond = 100;

    /// <summary>Null when there is no such process.</summary>
    public static ProcessStat? Read(int pid)
    {
        string text;
        try
        {
            text = File.ReadAllText($"/proc/{pid.ToString(CultureInfo.InvariantCulture)}/stat");
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }

        // The name, in parentheses, may itself contain spaces and parentheses: the fields begin after the last one.
        var close = text.LastIndexOf(')');
        var fields = close < 0 ? [] : text[(close + 2)..].Split(' ');
        return fields.Length < 22
            ? null
            : new(
                pid,
                fields[0][0],
                (int)Number(fields[1]),
                (int)Number(fields[3]),
                Number(fields[11]),
                Number(fields[12]),
                Number(fields[19]),
                Number(fields[21])
            );
    }

    /// <summary>Every process there is, in no order.</summary>
    public static List<ProcessStat> All()
    {
        List<ProcessStat> all = [];
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory.AsSpan()), CultureInfo.InvariantCulture, out var pid) && Read(pid) is { } stat)
                all.Add(stat);
        }

        return all;
    }

    private static long Number(string field) => long.Parse(field, CultureInfo.InvariantCulture);
}
