using System.Globalization;

namespace Declarative.Mesos.Mini;

/// <summary>Durations in the form in which Mesos shows and reads them.</summary>
internal static class DurationText
{
    private static readonly (long Ticks, string Name)[] Units =
    [
        (7 * TimeSpan.TicksPerDay, "weeks"),
        (TimeSpan.TicksPerDay, "days"),
        (TimeSpan.TicksPerHour, "hrs"),
        (TimeSpan.TicksPerMinute, "mins"),
        (TimeSpan.TicksPerSecond, "secs"),
        (TimeSpan.TicksPerMillisecond, "ms"),
        (TimeSpan.TicksPerMicrosecond, "us"),
    ];

    /// <summary>In the largest unit of which it is a whole number: 10mins, 75secs, 1weeks, 0ns.</summary>
    public static string Of(TimeSpan time)
    {
        foreach (var (ticks, name) in Units)
        {
            if (time.Ticks != 0 && time.Ticks % ticks == 0)
                return string.Create(CultureInfo.InvariantCulture, $"{time.Ticks / ticks}{name}");
        }

        return string.Create(CultureInfo.InvariantCulture, $"{time.Ticks * 100}ns");
    }
}
