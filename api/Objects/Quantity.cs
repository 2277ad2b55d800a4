using System.Globalization;
using System.Numerics;

namespace Declarative.Api.Objects;

/// <summary>
/// A Kubernetes quantity (doc "Quantity"): a decimal with a suffix of n u m k M G T P E, Ki Mi Gi Ti Pi Ei or an exponent.
/// Held as an exact count of thousandths (rounded up, as Kubernetes rounds to its smallest unit), so 1 CPU = 1000 milli.
/// </summary>
public readonly record struct Quantity(long Milli) : IComparable<Quantity>
{
    /// <summary>A whole number of so many digits is worked out without numbers of any size.</summary>
    private const int PlainDigitsMax = 15;

    public static Quantity Zero => default;

    /// <summary>In whole units, rounded up: bytes of a memory quantity.</summary>
    public long Value => Milli / 1000 + (Milli % 1000 > 0 ? 1 : 0);

    public double AsDouble => Milli / 1000.0;

    /// <summary>What a correct quantity looks like, for error messages.</summary>
    public const string Syntax = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$', for example 500m, 1.5, 64Mi or 2G";

    public static bool TryParse(ReadOnlySpan<char> text, out Quantity quantity)
    {
        quantity = default;
        var end = 0;
        if (end < text.Length && text[end] is '+' or '-') end++;
        var digits = 0;
        var dots = 0;
        while (end < text.Length && (char.IsAsciiDigit(text[end]) || text[end] == '.'))
        {
            if (text[end] == '.') dots++;
            else digits++;
            end++;
        }
        if (digits == 0 || dots > 1 || digits > 30) return false;
        var suffix = text[end..];
        if (dots == 0 && digits <= PlainDigitsMax && Thousandths(suffix) is > 0 and var unit)
        {
            var exact = (Int128)long.Parse(text[..end], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) * unit;
            quantity = new(exact > long.MaxValue ? long.MaxValue : exact < long.MinValue ? long.MinValue : (long)exact);
            return true;
        }
        var (mantissa, decimals) = Mantissa(text[..end]);
        BigInteger scaled;
        switch (suffix)
        {
            case "": scaled = mantissa * 1000; break;
            case "n": scaled = mantissa; decimals += 6; break;
            case "u": scaled = mantissa; decimals += 3; break;
            case "m": scaled = mantissa; break;
            case "k": scaled = mantissa * Thousand(2); break;
            case "M": scaled = mantissa * Thousand(3); break;
            case "G": scaled = mantissa * Thousand(4); break;
            case "T": scaled = mantissa * Thousand(5); break;
            case "P": scaled = mantissa * Thousand(6); break;
            case "E": scaled = mantissa * Thousand(7); break;
            case "Ki": scaled = (mantissa * 1000) << 10; break;
            case "Mi": scaled = (mantissa * 1000) << 20; break;
            case "Gi": scaled = (mantissa * 1000) << 30; break;
            case "Ti": scaled = (mantissa * 1000) << 40; break;
            case "Pi": scaled = (mantissa * 1000) << 50; break;
            case "Ei": scaled = (mantissa * 1000) << 60; break;
            default:
                if (suffix[0] is not ('e' or 'E') || !int.TryParse(suffix[1..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var exponent) || Math.Abs(exponent) > 30) return false;
                scaled = mantissa * 1000;
                decimals -= exponent;
                break;
        }
        if (decimals < 0) scaled *= BigInteger.Pow(10, -decimals);
        else if (decimals > 0)
        {
            scaled = BigInteger.DivRem(scaled, BigInteger.Pow(10, decimals), out var rest);
            if (rest.Sign > 0) scaled += 1;
        }
        // Kubernetes caps at 2^63-1 as well.
        quantity = new(scaled > long.MaxValue ? long.MaxValue : scaled < long.MinValue ? long.MinValue : (long)scaled);
        return true;
    }

    /// <exception cref="FormatException">The text is no quantity.</exception>
    public static Quantity Parse(string text) => TryParse(text, out var quantity) ? quantity : throw new FormatException($"\"{text}\": {Syntax}");

    public static Quantity FromUnits(double units) => new((long)Math.Ceiling(units * 1000 - 1e-9));

    public static Quantity FromBytes(long bytes) => new(bytes > long.MaxValue / 1000 ? long.MaxValue : bytes * 1000);

    public static Quantity operator +(Quantity a, Quantity b) => new(a.Milli + b.Milli);

    public static Quantity operator -(Quantity a, Quantity b) => new(a.Milli - b.Milli);

    public static bool operator <(Quantity a, Quantity b) => a.Milli < b.Milli;

    public static bool operator >(Quantity a, Quantity b) => a.Milli > b.Milli;

    public static bool operator <=(Quantity a, Quantity b) => a.Milli <= b.Milli;

    public static bool operator >=(Quantity a, Quantity b) => a.Milli >= b.Milli;

    public int CompareTo(Quantity other) => Milli.CompareTo(other.Milli);

    /// <summary>Canonical text: whole units with the largest binary suffix that divides them, else units, else milli.</summary>
    public override string ToString()
    {
        if (Milli % 1000 != 0) return Milli.ToString(CultureInfo.InvariantCulture) + "m";
        var units = Milli / 1000;
        if (units != 0)
        {
            ReadOnlySpan<string> suffixes = ["Ei", "Pi", "Ti", "Gi", "Mi", "Ki"];
            for (var i = 0; i < suffixes.Length; i++)
            {
                var size = 1L << (60 - 10 * i);
                if (units % size == 0) return (units / size).ToString(CultureInfo.InvariantCulture) + suffixes[i];
            }
        }
        return units.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Of one unit, for the suffixes of whole numbers that are used every day; 0 for others, which are worked out.</summary>
    private static long Thousandths(ReadOnlySpan<char> suffix) => suffix switch
    {
        "" => 1000,
        "m" => 1,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "Ki" => 1000L << 10,
        "Mi" => 1000L << 20,
        "Gi" => 1000L << 30,
        "Ti" => 1000L << 40,
        _ => 0,
    };

    private static BigInteger Thousand(int power) => BigInteger.Pow(1000, power);

    private static (BigInteger Mantissa, int Decimals) Mantissa(ReadOnlySpan<char> text)
    {
        var dot = text.IndexOf('.');
        if (dot < 0) return (BigInteger.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture), 0);
        var whole = string.Concat(text[..dot], text[(dot + 1)..]);
        return (BigInteger.Parse(whole, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture), text.Length - dot - 1);
    }
}
