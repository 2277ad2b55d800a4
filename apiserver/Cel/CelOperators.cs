using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>Operators. Arithmetic on int and uint fails on overflow, as the language demands.</summary>
internal static class CelOperators
{
    public static IEnumerable<CelOverload> All()
    {
        var (t, dyn) = (CelType.T, CelType.Dyn);
        yield return Of("_&&_", [CelType.Bool, CelType.Bool], CelType.Bool, Lazy);
        yield return Of("_||_", [CelType.Bool, CelType.Bool], CelType.Bool, Lazy);
        yield return Of("_?_:_", [CelType.Bool, t, t], t, Lazy);
        yield return Of("!_", [CelType.Bool], CelType.Bool, (a, _) => !(bool)a[0]!);
        yield return Of("_==_", [t, t], CelType.Bool, (a, m) => CelValues.Same(a[0], a[1], m));
        yield return Of("_!=_", [t, t], CelType.Bool, (a, m) => !CelValues.Same(a[0], a[1], m));
        // Numbers are compared across their types.
        foreach (var x in (CelType[])[CelType.Int, CelType.Uint, CelType.Double])
        {
            foreach (var y in (CelType[])[CelType.Int, CelType.Uint, CelType.Double])
            {
                foreach (var order in Orders(x, y)) yield return order;
            }
        }
        foreach (var x in (CelType[])[CelType.String, CelType.Bytes, CelType.Bool, CelType.Timestamp, CelType.Duration])
        {
            foreach (var order in Orders(x, x)) yield return order;
        }
        foreach (var each in Arithmetic()) yield return each;
        yield return Of("_[_]", [CelType.ListOf(t), CelType.Int], t, (a, _) => At((IReadOnlyList<object?>)a[0]!, (long)a[1]!));
        yield return Of("_[_]", [CelType.MapOf(dyn, t), dyn], t, (a, _) => a[0] is CelObject json ? FieldOf(json, a[1]) : ((CelMap)a[0]!).TryGet(a[1], out var value) ? value : throw new CelException($"no such key: {CelValues.Text(a[1])}"));
        yield return Of("@in", [t, CelType.ListOf(t)], CelType.Bool, (a, m) => ((IReadOnlyList<object?>)a[1]!).Any(x => CelValues.Same(a[0], x, m)));
        yield return Of("@in", [dyn, CelType.MapOf(dyn, dyn)], CelType.Bool, (a, _) => a[1] is CelObject json ? a[0] is string name && json.Json.ContainsKey(name) : ((CelMap)a[1]!).TryGet(a[0], out var unused));
    }

    private static IEnumerable<CelOverload> Arithmetic()
    {
        yield return Of("_+_", [CelType.Int, CelType.Int], CelType.Int, (a, _) => Checked(() => checked((long)a[0]! + (long)a[1]!)));
        yield return Of("_-_", [CelType.Int, CelType.Int], CelType.Int, (a, _) => Checked(() => checked((long)a[0]! - (long)a[1]!)));
        yield return Of("_*_", [CelType.Int, CelType.Int], CelType.Int, (a, _) => Checked(() => checked((long)a[0]! * (long)a[1]!)));
        yield return Of("_/_", [CelType.Int, CelType.Int], CelType.Int, (a, _) => Checked(() => (long)a[0]! / (long)a[1]!));
        yield return Of("_%_", [CelType.Int, CelType.Int], CelType.Int, (a, _) => Checked(() => (long)a[0]! % (long)a[1]!));
        yield return Of("_+_", [CelType.Uint, CelType.Uint], CelType.Uint, (a, _) => Checked(() => checked((ulong)a[0]! + (ulong)a[1]!)));
        yield return Of("_-_", [CelType.Uint, CelType.Uint], CelType.Uint, (a, _) => Checked(() => checked((ulong)a[0]! - (ulong)a[1]!)));
        yield return Of("_*_", [CelType.Uint, CelType.Uint], CelType.Uint, (a, _) => Checked(() => checked((ulong)a[0]! * (ulong)a[1]!)));
        yield return Of("_/_", [CelType.Uint, CelType.Uint], CelType.Uint, (a, _) => Checked(() => (ulong)a[0]! / (ulong)a[1]!));
        yield return Of("_%_", [CelType.Uint, CelType.Uint], CelType.Uint, (a, _) => Checked(() => (ulong)a[0]! % (ulong)a[1]!));
        yield return Of("_+_", [CelType.Double, CelType.Double], CelType.Double, (a, _) => (double)a[0]! + (double)a[1]!);
        yield return Of("_-_", [CelType.Double, CelType.Double], CelType.Double, (a, _) => (double)a[0]! - (double)a[1]!);
        yield return Of("_*_", [CelType.Double, CelType.Double], CelType.Double, (a, _) => (double)a[0]! * (double)a[1]!);
        yield return Of("_/_", [CelType.Double, CelType.Double], CelType.Double, (a, _) => (double)a[0]! / (double)a[1]!);
        yield return Of("-_", [CelType.Int], CelType.Int, (a, _) => Checked(() => checked(-(long)a[0]!)));
        yield return Of("-_", [CelType.Double], CelType.Double, (a, _) => -(double)a[0]!);
        yield return Of("_+_", [CelType.String, CelType.String], CelType.String, (a, m) =>
        {
            m.Make(((string)a[0]!).Length + ((string)a[1]!).Length);
            return (string)a[0]! + (string)a[1]!;
        });
        yield return Of("_+_", [CelType.Bytes, CelType.Bytes], CelType.Bytes, (a, m) =>
        {
            m.Make(((byte[])a[0]!).Length + ((byte[])a[1]!).Length);
            return (byte[])[.. (byte[])a[0]!, .. (byte[])a[1]!];
        });
        yield return Of("_+_", [CelType.ListOf(CelType.T), CelType.ListOf(CelType.T)], CelType.ListOf(CelType.T), (a, m) =>
        {
            var (x, y) = ((IReadOnlyList<object?>)a[0]!, (IReadOnlyList<object?>)a[1]!);
            m.Make((long)x.Count + y.Count);
            return (object?[])[.. x, .. y];
        });
        yield return Of("_+_", [CelType.Duration, CelType.Duration], CelType.Duration, (a, _) => Checked(() => new CelDuration(checked(Span(a[0]) + Span(a[1])))));
        yield return Of("_-_", [CelType.Duration, CelType.Duration], CelType.Duration, (a, _) => Checked(() => new CelDuration(checked(Span(a[0]) - Span(a[1])))));
        yield return Of("_+_", [CelType.Timestamp, CelType.Duration], CelType.Timestamp, (a, _) => Moved(a[0], Span(a[1]) / 100));
        yield return Of("_+_", [CelType.Duration, CelType.Timestamp], CelType.Timestamp, (a, _) => Moved(a[1], Span(a[0]) / 100));
        yield return Of("_-_", [CelType.Timestamp, CelType.Duration], CelType.Timestamp, (a, _) => Moved(a[0], -(Span(a[1]) / 100)));
        yield return Of("_-_", [CelType.Timestamp, CelType.Timestamp], CelType.Duration, (a, _) => Checked(() => new CelDuration(checked(((DateTimeOffset)a[0]! - (DateTimeOffset)a[1]!).Ticks * 100))));
    }

    private static IEnumerable<CelOverload> Orders(CelType x, CelType y)
    {
        yield return Of("_<_", [x, y], CelType.Bool, (a, m) => Order(a, m) < 0);
        yield return Of("_<=_", [x, y], CelType.Bool, (a, m) => Order(a, m) <= 0);
        yield return Of("_>_", [x, y], CelType.Bool, (a, m) => Order(a, m) > 0);
        yield return Of("_>=_", [x, y], CelType.Bool, (a, m) => Order(a, m) >= 0);
    }

    private static int? Order(object?[] a, CelMeter meter)
    {
        if (a[0] is string x && a[1] is string y) meter.Read(Math.Min(x.Length, y.Length));
        return CelValues.Order(a[0], a[1]);
    }

    private static object? At(IReadOnlyList<object?> list, long index) =>
        index >= 0 && index < list.Count ? list[(int)index] : throw new CelException($"index out of bounds: {index}");

    private static object? FieldOf(CelObject json, object? name) =>
        name is string field && json.Json.ContainsKey(field) ? CelValues.FromJson(json.Json[field], CelType.Dyn) : throw new CelException($"no such key: {CelValues.Text(name)}");

    private static long Span(object? duration) => ((CelDuration)duration!).Nanoseconds;

    private static object Moved(object? time, long ticks) => Checked(() => ((DateTimeOffset)time!).AddTicks(ticks));

    private static object Checked<T>(Func<T> compute)
    {
        try
        {
            return compute()!;
        }
        catch (DivideByZeroException)
        {
            throw new CelException("division by zero");
        }
        catch (Exception e) when (e is OverflowException or ArgumentOutOfRangeException)
        {
            throw new CelException("the result is out of range");
        }
    }

    // The evaluator decides which side is evaluated at all.
    private static object? Lazy(object?[] arguments, CelMeter meter) => throw new InvalidOperationException("evaluated lazily");
}
