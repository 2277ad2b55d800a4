using System.Buffers.Text;

namespace Declarative.Api.Schema;

/// <summary>The syntax of the strings that have a form of their own. All on unescaped UTF-8.</summary>
internal static class JsonFormats
{
    /// <summary>
    /// <c>quantity = [sign] digits [ "." [digits] ] | [sign] "." digits, then a suffix</c>;
    /// suffix = <c>Ki Mi Gi Ti Pi Ei | n u m k M G T P E | ("e" | "E") [sign] digits</c> or nothing.
    /// </summary>
    public static bool IsQuantity(ReadOnlySpan<byte> text)
    {
        var rest = SkipSign(text);
        var whole = Digits(rest);
        rest = rest[whole..];
        var fraction = 0;
        if (!rest.IsEmpty && rest[0] == (byte)'.')
        {
            fraction = Digits(rest[1..]);
            rest = rest[(1 + fraction)..];
        }

        if (whole + fraction == 0)
        {
            return false;
        }

        return rest.Length switch
        {
            0 => true,
            1 => "numkMGTPE"u8.Contains(rest[0]),
            2 when rest[1] == (byte)'i' => "KMGTPE"u8.Contains(rest[0]),
            _ => rest[0] is (byte)'e' or (byte)'E' && SkipSign(rest[1..]) is { IsEmpty: false } power && Digits(power) == power.Length,
        };
    }

    /// <summary>A Go duration: <c>[sign] ( "0" | ( number unit )+ )</c>, unit = <c>ns us µs ms s m h</c>.</summary>
    public static bool IsDuration(ReadOnlySpan<byte> text)
    {
        var rest = SkipSign(text);
        if (rest.SequenceEqual("0"u8))
        {
            return true;
        }

        do
        {
            var whole = Digits(rest);
            rest = rest[whole..];
            if (!rest.IsEmpty && rest[0] == (byte)'.')
            {
                var fraction = Digits(rest[1..]);
                whole += fraction;
                rest = rest[(1 + fraction)..];
            }

            var unit = rest.StartsWith("ns"u8) || rest.StartsWith("us"u8) || rest.StartsWith("ms"u8) ? 2
                : rest.StartsWith("µs"u8) || rest.StartsWith("μs"u8) ? 3
                : !rest.IsEmpty && rest[0] is (byte)'s' or (byte)'m' or (byte)'h' ? 1
                : 0;
            if (whole == 0 || unit == 0)
            {
                return false;
            }

            rest = rest[unit..];
        }
        while (!rest.IsEmpty);
        return true;
    }

    /// <summary>RFC 4648, section 4, with padding; line breaks are allowed inside.</summary>
    public static bool IsBase64(ReadOnlySpan<byte> text) => Base64.IsValid(text);

    /// <summary>RFC 3339, section 5.6: <c>date "T" time [fraction] ("Z" | offset)</c>. Times before year 1 or after year 9999 are none.</summary>
    public static bool TryTime(ReadOnlySpan<byte> text, out DateTime utc)
    {
        utc = default;
        if (text.Length < 20 || text[4] != (byte)'-' || text[7] != (byte)'-' || text[10] != (byte)'T'
            || text[13] != (byte)':' || text[16] != (byte)':'
            || !Number(text[..4], out var year) || !Number(text[5..7], out var month) || !Number(text[8..10], out var day)
            || !Number(text[11..13], out var hour) || !Number(text[14..16], out var minute) || !Number(text[17..19], out var second)
            || year < 1 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month)
            || hour > 23 || minute > 59 || second > 59)
        {
            return false;
        }

        var rest = text[19..];
        long ticks = 0;
        if (rest[0] is (byte)'.' or (byte)',')
        {
            var digits = Digits(rest[1..]);
            if (digits == 0)
            {
                return false;
            }

            long unit = TimeSpan.TicksPerSecond / 10;
            foreach (var digit in rest.Slice(1, digits))
            {
                ticks += (digit - '0') * unit;
                unit /= 10;
            }

            rest = rest[(1 + digits)..];
        }

        if (!TryOffset(rest, out var offset))
        {
            return false;
        }

        var total = new DateTime(year, month, day, hour, minute, second, DateTimeKind.Utc).Ticks + ticks - offset;
        if (total < 0 || total > DateTime.MaxValue.Ticks)
        {
            return false;
        }

        utc = new DateTime(total, DateTimeKind.Utc);
        return true;
    }

    private static bool TryOffset(ReadOnlySpan<byte> text, out long ticks)
    {
        ticks = 0;
        if (text.SequenceEqual("Z"u8))
        {
            return true;
        }

        if (text.Length != 6 || text[0] is not ((byte)'+' or (byte)'-') || text[3] != (byte)':'
            || !Number(text[1..3], out var hours) || !Number(text[4..6], out var minutes) || hours > 23 || minutes > 59)
        {
            return false;
        }

        ticks = ((hours * 60L) + minutes) * TimeSpan.TicksPerMinute * (text[0] == (byte)'-' ? -1 : 1);
        return true;
    }

    private static ReadOnlySpan<byte> SkipSign(ReadOnlySpan<byte> text) =>
        !text.IsEmpty && text[0] is (byte)'+' or (byte)'-' ? text[1..] : text;

    private static int Digits(ReadOnlySpan<byte> text) =>
        text.IndexOfAnyExceptInRange((byte)'0', (byte)'9') is var end and >= 0 ? end : text.Length;

    private static bool Number(ReadOnlySpan<byte> digits, out int value)
    {
        value = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            value = (value * 10) + (digit - '0');
        }

        return true;
    }
}
