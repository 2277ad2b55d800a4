using System.Globalization;
using System.Text;
using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>Conversions between types; what does not fit is an error.</summary>
internal static class CelConversions
{
    public static IEnumerable<CelOverload> All()
    {
        yield return Of("dyn", [CelType.Dyn], CelType.Dyn, (a, _) => a[0]);
        yield return Of("type", [CelType.Dyn], CelType.Type, (a, _) => CelFunctions.TypeNames.Values.FirstOrDefault(x => x.Kind == CelValues.TypeOf(a[0]).Kind) ?? CelValues.TypeOf(a[0]));
        yield return Of("int", [CelType.Int], CelType.Int, (a, _) => a[0]);
        yield return Of("int", [CelType.Uint], CelType.Int, (a, _) => (ulong)a[0]! <= long.MaxValue ? (long)(ulong)a[0]! : throw Range());
        yield return Of("int", [CelType.Double], CelType.Int, (a, _) => Math.Abs((double)a[0]!) < 9223372036854775807d ? (long)(double)a[0]! : throw Range());
        yield return Of("int", [CelType.String], CelType.Int, (a, m) => Parsed(a, m, long.TryParse((string)a[0]!, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var x), x));
        yield return Of("int", [CelType.Timestamp], CelType.Int, (a, _) => ((DateTimeOffset)a[0]!).ToUnixTimeSeconds());
        yield return Of("int", [CelType.Duration], CelType.Int, (a, _) => ((CelDuration)a[0]!).Nanoseconds / 1_000_000_000);
        yield return Of("uint", [CelType.Uint], CelType.Uint, (a, _) => a[0]);
        yield return Of("uint", [CelType.Int], CelType.Uint, (a, _) => (long)a[0]! >= 0 ? (ulong)(long)a[0]! : throw Range());
        yield return Of("uint", [CelType.Double], CelType.Uint, (a, _) => (double)a[0]! is >= 0 and < 18446744073709551615d and var x ? (ulong)x : throw Range());
        yield return Of("uint", [CelType.String], CelType.Uint, (a, m) => Parsed(a, m, ulong.TryParse((string)a[0]!, NumberStyles.None, CultureInfo.InvariantCulture, out var x), x));
        yield return Of("double", [CelType.Double], CelType.Double, (a, _) => a[0]);
        yield return Of("double", [CelType.Int], CelType.Double, (a, _) => (double)(long)a[0]!);
        yield return Of("double", [CelType.Uint], CelType.Double, (a, _) => (double)(ulong)a[0]!);
        yield return Of("double", [CelType.String], CelType.Double, (a, m) => Parsed(a, m, double.TryParse((string)a[0]!, NumberStyles.Float, CultureInfo.InvariantCulture, out var x), x));
        yield return Of("bool", [CelType.Bool], CelType.Bool, (a, _) => a[0]);
        yield return Of("bool", [CelType.String], CelType.Bool, (a, m) => (string)a[0]! switch
        {
            "1" or "t" or "true" or "TRUE" or "True" => true,
            "0" or "f" or "false" or "FALSE" or "False" => false,
            _ => throw Unreadable(a[0]),
        });
        foreach (var x in (CelType[])[CelType.String, CelType.Int, CelType.Uint, CelType.Double, CelType.Bool, CelType.Timestamp, CelType.Duration, CelType.Address, CelType.Cidr])
        {
            yield return Of("string", [x], CelType.String, (a, _) => CelValues.Text(a[0]));
        }
        yield return Of("string", [CelType.Bytes], CelType.String, (a, m) =>
        {
            m.Make(((byte[])a[0]!).Length);
            return System.Text.Unicode.Utf8.IsValid((byte[])a[0]!) ? Encoding.UTF8.GetString((byte[])a[0]!) : throw new CelException("the bytes are no UTF-8");
        });
        yield return Of("bytes", [CelType.Bytes], CelType.Bytes, (a, _) => a[0]);
        yield return Of("bytes", [CelType.String], CelType.Bytes, (a, m) =>
        {
            m.Make(((string)a[0]!).Length);
            return Encoding.UTF8.GetBytes((string)a[0]!);
        });
        yield return Of("timestamp", [CelType.Timestamp], CelType.Timestamp, (a, _) => a[0]);
        yield return Of("timestamp", [CelType.String], CelType.Timestamp, (a, m) => CelValues.ParseTime((string)a[0]!));
        yield return Of("timestamp", [CelType.Int], CelType.Timestamp, (a, _) => (long)a[0]! is >= -62135596800 and <= 253402300799 and var x ? DateTimeOffset.FromUnixTimeSeconds(x) : throw Range());
        yield return Of("duration", [CelType.Duration], CelType.Duration, (a, _) => a[0]);
        yield return Of("duration", [CelType.String], CelType.Duration, (a, m) => Durations.TryParse((string)a[0]!, out var x) ? new CelDuration(x) : throw Unreadable(a[0]));
    }

    private static object Parsed(object?[] a, CelMeter meter, bool good, object value)
    {
        meter.Read(((string)a[0]!).Length);
        return good ? value : throw Unreadable(a[0]);
    }

    private static CelException Range() => new("the number is out of range");

    private static CelException Unreadable(object? text) => new($"type conversion error: \"{text}\"");
}
