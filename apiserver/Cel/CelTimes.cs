using System.Globalization;
using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>The parts of times and durations. A time zone is an IANA name or an offset such as <c>-08:00</c>; without one, UTC.</summary>
internal static class CelTimes
{
    private static readonly (string Name, Func<DateTimeOffset, long> Part)[] Parts =
    [
        ("getFullYear", x => x.Year),
        ("getMonth", x => x.Month - 1),
        ("getDayOfYear", x => x.DayOfYear - 1),
        ("getDayOfMonth", x => x.Day - 1),
        ("getDate", x => x.Day),
        ("getDayOfWeek", x => (long)x.DayOfWeek),
        ("getHours", x => x.Hour),
        ("getMinutes", x => x.Minute),
        ("getSeconds", x => x.Second),
        ("getMilliseconds", x => x.Millisecond),
    ];

    public static IEnumerable<CelOverload> All()
    {
        foreach (var (name, part) in Parts)
        {
            yield return Member(name, [CelType.Timestamp], CelType.Int, (a, _) => part(((DateTimeOffset)a[0]!).ToUniversalTime()));
            yield return Member(name, [CelType.Timestamp, CelType.String], CelType.Int, (a, _) => part(In((DateTimeOffset)a[0]!, (string)a[1]!)));
        }
        yield return Member("getHours", [CelType.Duration], CelType.Int, (a, _) => ((CelDuration)a[0]!).Nanoseconds / 3_600_000_000_000);
        yield return Member("getMinutes", [CelType.Duration], CelType.Int, (a, _) => ((CelDuration)a[0]!).Nanoseconds / 60_000_000_000);
        yield return Member("getSeconds", [CelType.Duration], CelType.Int, (a, _) => ((CelDuration)a[0]!).Nanoseconds / 1_000_000_000);
        yield return Member("getMilliseconds", [CelType.Duration], CelType.Int, (a, _) => ((CelDuration)a[0]!).Nanoseconds / 1_000_000 % 1_000);
    }

    private static DateTimeOffset In(DateTimeOffset time, string zone)
    {
        try
        {
            if (zone.Length > 64) throw new TimeZoneNotFoundException();
            var digits = zone.TrimStart('+', '-');
            if (digits.Length == 5 && TimeSpan.TryParseExact(digits, @"hh\:mm", CultureInfo.InvariantCulture, out var offset)) return time.ToOffset(zone[0] == '-' ? -offset : offset);
            return TimeZoneInfo.ConvertTime(time, TimeZoneInfo.FindSystemTimeZoneById(zone));
        }
        catch (Exception e) when (e is TimeZoneNotFoundException or InvalidTimeZoneException or ArgumentException or System.Security.SecurityException or UnauthorizedAccessException or IOException)
        {
            throw new CelException($"unknown time zone \"{zone}\"");
        }
    }
}
