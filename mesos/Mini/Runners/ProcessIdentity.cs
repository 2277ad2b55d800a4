using System.Globalization;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>A process that cannot be mistaken for a later one with the same number: pid and start time (clock ticks since boot).</summary>
internal readonly record struct ProcessIdentity(int Pid, long StartTicks)
{
    public bool IsAlive => Of(Pid) == this && ProcessStat.Read(Pid) is { State: not ('Z' or 'X') };

    public static ProcessIdentity? Of(int pid) => ProcessStat.Read(pid) is { } stat ? new(pid, stat.StartTicks) : null;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Pid} {StartTicks}");

    public static ProcessIdentity? Parse(string text)
    {
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        return
            space > 0
            && int.TryParse(text.AsSpan(0, space), CultureInfo.InvariantCulture, out var pid)
            && long.TryParse(text.AsSpan(space + 1), CultureInfo.InvariantCulture, out var ticks)
            ? new(pid, ticks)
            : null;
    }
}
