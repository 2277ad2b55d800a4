using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>Functions of lists and maps: size, and Kubernetes' list library.</summary>
internal static class CelCollections
{
    public static IEnumerable<CelOverload> All()
    {
        var (t, list, map) = (CelType.T, CelType.ListOf(CelType.T), CelType.MapOf(CelType.Dyn, CelType.Dyn));
        foreach (var member in (bool[])[true, false])
        {
            yield return new("size", member, [list], CelType.Int, (a, _) => (long)List(a[0]).Count);
            yield return new("size", member, [map], CelType.Int, (a, _) => a[0] is CelObject json ? json.Json.Count : (long)((CelMap)a[0]!).Count);
            yield return new("size", member, [CelType.Bytes], CelType.Int, (a, _) => (long)((byte[])a[0]!).Length);
        }
        yield return Member("isSorted", [list], CelType.Bool, (a, m) =>
        {
            m.Read(List(a[0]).Count);
            return List(a[0]).Zip(List(a[0]).Skip(1)).All(x => CelValues.Order(x.First, x.Second) <= 0);
        });
        yield return Member("min", [list], t, (a, m) => Best(a, m, -1));
        yield return Member("max", [list], t, (a, m) => Best(a, m, 1));
        yield return Member("sum", [list], t, Sum);
        yield return Member("indexOf", [list, t], CelType.Int, (a, m) => (long)List(a[0]).Select((x, i) => (x, i)).Where(x => CelValues.Same(x.x, a[1], m)).Select(x => x.i).DefaultIfEmpty(-1).First());
        yield return Member("lastIndexOf", [list, t], CelType.Int, (a, m) => (long)List(a[0]).Select((x, i) => (x, i)).Where(x => CelValues.Same(x.x, a[1], m)).Select(x => x.i).DefaultIfEmpty(-1).Last());
    }

    private static IReadOnlyList<object?> List(object? value) => (IReadOnlyList<object?>)value!;

    private static object? Best(object?[] a, CelMeter meter, int sign)
    {
        var list = List(a[0]);
        meter.Read(list.Count);
        if (list.Count == 0) throw new CelException("min and max of an empty list");
        var best = list[0];
        foreach (var x in list)
        {
            if (CelValues.Order(x, best) == sign) best = x;
        }
        return best;
    }

    private static object? Sum(object?[] a, CelMeter meter)
    {
        var list = List(a[0]);
        meter.Read(list.Count);
        if (list.Count == 0) return 0L;
        var add = Table["_+_"];
        var sum = list[0];
        foreach (var x in list.Skip(1))
        {
            object?[] pair = [sum, x];
            sum = (add.FirstOrDefault(y => y.Takes(pair) && y.Parameters[0].Kind is CelKind.Int or CelKind.Uint or CelKind.Double or CelKind.Duration) ?? throw new CelException("sum() wants numbers or durations")).Run(pair, meter);
        }
        return sum;
    }
}
