using System.Globalization;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>
/// The syntax of a cron schedule as Kubernetes takes it: five fields (minute hour day-of-month month day-of-week) of <c>*</c>, <c>?</c>, numbers, ranges,
/// lists and steps, with English names for months and days; or <c>@hourly</c>, <c>@daily</c>, <c>@midnight</c>, <c>@weekly</c>, <c>@monthly</c>,
/// <c>@yearly</c>, <c>@annually</c>, <c>@every DURATION</c>.
/// </summary>
internal static class CronFormat
{
    private static readonly string[] Words = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];
    private static readonly string[] Months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    private static readonly string[] Days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    private static readonly (string Name, int First, int Last, string[] Names)[] Fields =
        [("minute", 0, 59, []), ("hour", 0, 23, []), ("day of month", 1, 31, []), ("month", 1, 12, Months), ("day of week", 0, 6, Days)];

    /// <summary>null, or what is wrong and what was expected.</summary>
    public static string? Error(string schedule)
    {
        if (schedule.Contains("TZ=", StringComparison.Ordinal)) return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        if (schedule.StartsWith('@'))
        {
            if (schedule.StartsWith("@every ", StringComparison.Ordinal)) return schedule.Length > 7 && char.IsAsciiDigit(schedule[7]) ? null : "@every needs a duration such as 1h30m";
            return Words.Contains(schedule) ? null : $"unrecognized descriptor: {schedule}; expected one of {string.Join(", ", Words)}, @every DURATION";
        }
        var parts = schedule.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length != Fields.Length) return $"expected exactly {Fields.Length} fields, found {parts.Length}: [{schedule}]";
        for (var i = 0; i < parts.Length; i++)
        {
            foreach (var item in parts[i].Split(','))
            {
                if (Item(item, Fields[i].First, Fields[i].Last, Fields[i].Names) is { } error) return $"{Fields[i].Name} \"{item}\": {error}";
            }
        }
        return null;
    }

    private static string? Item(string item, int first, int last, string[] names)
    {
        var slash = item.Split('/');
        if (slash.Length > 2) return "too many slashes";
        if (slash.Length == 2 && (!int.TryParse(slash[1], NumberStyles.None, CultureInfo.InvariantCulture, out var step) || step == 0)) return "a step is a number of at least 1";
        if (slash[0] is "*" or "?") return null;
        var ends = slash[0].Split('-');
        if (ends.Length > 2) return "too many hyphens";
        var (low, high) = (Number(ends[0], names, first), Number(ends[^1], names, first));
        if (low is null || high is null) return $"expected a number from {first} to {last}{(names.Length > 0 ? " or a name" : "")}";
        if (low < first || high > last) return $"must be from {first} to {last}";
        return low > high ? $"the beginning of the range ({low}) is beyond its end ({high})" : null;
    }

    private static int? Number(string text, string[] names, int first)
    {
        var named = Array.FindIndex(names, x => x.Equals(text, StringComparison.OrdinalIgnoreCase));
        if (named >= 0) return named + first;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }
}
