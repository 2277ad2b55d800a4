using System.Globalization;

namespace Declarative.Controllers.CronJobs;

/// <summary>
/// A cron schedule as Kubernetes has it (doc "CronJob", Schedule syntax): minute, hour, day of month, month, day of week with <c>*</c>, <c>?</c>,
/// numbers, names, ranges, lists and steps; <c>@hourly</c> and the like; <c>@every 1h30m</c>. Where both day fields are restricted, either is enough.
/// Times are those of the clock on the wall of a zone: one that daylight saving skips does not come, one that it repeats comes twice.
/// </summary>
internal sealed class CronSchedule
{
    /// <summary>A schedule that has no time for this long has none at all (30 February); a leap day is at most 8 years away.</summary>
    private const int DaysAheadMax = 8 * 366 + 1;

    private static readonly (string Word, string Fields)[] Words =
    [
        ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 *"), ("@monthly", "0 0 1 * *"), ("@weekly", "0 0 * * 0"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@hourly", "0 * * * *"),
    ];

    private static readonly string[] Months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    private static readonly string[] Days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    private readonly TimeZoneInfo _zone;
    private ulong _minutes;
    private ulong _hours;
    private ulong _days;
    private ulong _months;
    private ulong _weekDays;
    private bool _anyDay;
    private bool _anyWeekDay;
    private TimeSpan? _every;

    private CronSchedule(TimeZoneInfo zone) => _zone = zone;

    /// <returns>null where the text is no schedule.</returns>
    public static CronSchedule? Parse(string text, TimeZoneInfo zone)
    {
        var schedule = new CronSchedule(zone);
        text = text.Trim();
        if (text.StartsWith("@every ", StringComparison.Ordinal))
        {
            schedule._every = Duration(text[7..].Trim());
            return schedule._every is null ? null : schedule;
        }
        foreach (var (word, fields) in Words)
        {
            if (text == word) text = fields;
        }
        var parts = text.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length != 5) return null;
        var all = Field(parts[0], 0, 59, [], out schedule._minutes, out _)
            && Field(parts[1], 0, 23, [], out schedule._hours, out _)
            && Field(parts[2], 1, 31, [], out schedule._days, out schedule._anyDay)
            && Field(parts[3], 1, 12, Months, out schedule._months, out _)
            && Field(parts[4], 0, 6, Days, out schedule._weekDays, out schedule._anyWeekDay);
        return all ? schedule : null;
    }

    /// <summary>The first time after the given one, in UTC with whole seconds; null where there is none within 8 years.</summary>
    public DateTimeOffset? Next(DateTimeOffset after)
    {
        if (_every is { } step) return Seconds(after) + step;
        var from = Minute(after) + TimeSpan.FromMinutes(1);
        var day = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(from, _zone).DateTime);
        for (var i = 0; i < DaysAheadMax; i++, day = day.AddDays(1))
        {
            if (!Has(day)) continue;
            foreach (var time in Times(day))
            {
                if (time >= from) return time;
            }
        }
        return null;
    }

    /// <summary>The last time up to and including the given one that is later than <paramref name="after"/>; null where there is none.</summary>
    public DateTimeOffset? Last(DateTimeOffset after, DateTimeOffset until)
    {
        if (_every is { } step)
        {
            var count = (until - Seconds(after)).Ticks / step.Ticks;
            return count < 1 ? null : Seconds(after) + count * step;
        }
        var first = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(after, _zone).DateTime);
        for (var day = DateOnly.FromDateTime(TimeZoneInfo.ConvertTime(until, _zone).DateTime); day >= first; day = day.AddDays(-1))
        {
            if (!Has(day)) continue;
            foreach (var time in Times(day).Reverse())
            {
                if (time <= after) return null;
                if (time <= until) return time;
            }
        }
        return null;
    }

    private bool Has(DateOnly day)
    {
        if (!Bit(_months, day.Month)) return false;
        var (byDay, byWeekDay) = (Bit(_days, day.Day), Bit(_weekDays, (int)day.DayOfWeek));
        return _anyDay || _anyWeekDay ? byDay && byWeekDay : byDay || byWeekDay;
    }

    /// <summary>The moments of a day of the zone, in order. A time of the clock that comes twice is two moments.</summary>
    private IEnumerable<DateTimeOffset> Times(DateOnly day)
    {
        var times = new List<DateTimeOffset>();
        for (var hour = 0; hour < 24; hour++)
        {
            if (!Bit(_hours, hour)) continue;
            for (var minute = 0; minute < 60; minute++)
            {
                if (!Bit(_minutes, minute)) continue;
                var wall = day.ToDateTime(new(hour, minute), DateTimeKind.Unspecified);
                if (_zone.IsInvalidTime(wall)) continue;
                if (_zone.IsAmbiguousTime(wall)) times.AddRange(_zone.GetAmbiguousTimeOffsets(wall).Select(x => new DateTimeOffset(wall, x).ToUniversalTime()));
                else times.Add(new DateTimeOffset(wall, _zone.GetUtcOffset(wall)).ToUniversalTime());
            }
        }
        times.Sort();
        return times;
    }

    private static bool Field(string text, int first, int last, string[] names, out ulong bits, out bool any)
    {
        (bits, any) = (0, false);
        foreach (var part in text.Split(','))
        {
            var slash = part.Split('/');
            var step = 1;
            if (slash.Length > 2 || (slash.Length == 2 && (!int.TryParse(slash[1], NumberStyles.None, CultureInfo.InvariantCulture, out step) || step == 0))) return false;
            int low, high;
            if (slash[0] is "*" or "?")
            {
                (low, high) = (first, last);
                any |= step == 1;
            }
            else
            {
                var ends = slash[0].Split('-');
                if (ends.Length > 2 || !Number(ends[0], names, first, out low) || !Number(ends[^1], names, first, out high)) return false;
                // 5/15 means: from 5 on.
                if (ends.Length == 1 && slash.Length == 2) high = last;
                if (low < first || high > last || low > high) return false;
            }
            for (var value = low; value <= high; value += step) bits |= 1UL << value;
        }
        return true;
    }

    private static bool Number(string text, string[] names, int first, out int number)
    {
        number = Array.FindIndex(names, x => x.Equals(text, StringComparison.OrdinalIgnoreCase)) + first;
        return number >= first || int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>Such as <c>1h30m</c> or <c>90s</c>, at least a second.</summary>
    private static TimeSpan? Duration(string text)
    {
        var total = 0.0;
        for (var at = 0; at < text.Length;)
        {
            var start = at;
            while (at < text.Length && (char.IsAsciiDigit(text[at]) || text[at] == '.')) at++;
            if (!double.TryParse(text.AsSpan(start, at - start), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return null;
            var unit = at;
            while (at < text.Length && char.IsAsciiLetter(text[at])) at++;
            var seconds = text[unit..at] switch { "h" => 3600, "m" => 60, "s" => 1, "ms" => 0.001, _ => 0.0 };
            if (seconds == 0) return null;
            total += number * seconds;
        }
        return total <= 0 || total > TimeSpan.MaxValue.TotalSeconds / 2 ? null : TimeSpan.FromSeconds(Math.Max(1, Math.Floor(total)));
    }

    private static bool Bit(ulong bits, int index) => (bits >> index & 1) == 1;

    private static DateTimeOffset Minute(DateTimeOffset time) => time.AddTicks(-(time.Ticks % TimeSpan.TicksPerMinute)).ToUniversalTime();

    private static DateTimeOffset Seconds(DateTimeOffset time) => time.AddTicks(-(time.Ticks % TimeSpan.TicksPerSecond)).ToUniversalTime();
}
