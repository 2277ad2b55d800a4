using System.Globalization;
using System.Numerics;

namespace Declarative.ApiServer.Cel;

/// <summary>Durations as Go writes them: <c>[sign] ( number unit )+</c>, unit = <c>ns us µs ms s m h</c>. Kept as nanoseconds in 64 bits.</summary>
internal static class Durations
{
    private static readonly (string Unit, long Nanoseconds)[] Units = [("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

    public static bool TryParse(string text, out long nanoseconds)
    {
        nanoseconds = 0;
        var rest = text.AsSpan();
        var negative = rest is ['-', ..];
        if (rest is ['-' or '+', ..]) rest = rest[1..];
        if (rest is "0") return true;
        if (rest.IsEmpty || rest.Length > 64) return false;
        BigInteger total = 0;
        while (!rest.IsEmpty)
        {
            var digits = 0;
            while (digits < rest.Length && (char.IsAsciiDigit(rest[digits]) || rest[digits] == '.')) digits++;
            if (digits == 0 || !decimal.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return false;
            rest = rest[digits..];
            var letters = 0;
            while (letters < rest.Length && !char.IsAsciiDigit(rest[letters]) && rest[letters] != '.') letters++;
            var unit = 0L;
            foreach (var (name, size) in Units)
            {
                if (rest[..letters].SequenceEqual(name)) unit = size;
            }
            if (unit == 0 || number > long.MaxValue) return false;
            total += new BigInteger(number) * unit + new BigInteger((number - decimal.Truncate(number)) * unit);
            rest = rest[letters..];
        }
        if (negative) total = -total;
        if (total < long.MinValue || total > long.MaxValue) return false;
        nanoseconds = (long)total;
        return true;
    }

    /// <summary>In seconds, as CEL's string() writes it: <c>90s</c>, <c>0.5s</c>.</summary>
    public static string Text(long nanoseconds) => ((decimal)nanoseconds / 1_000_000_000m).ToString("0.#########", CultureInfo.InvariantCulture) + "s";
}
