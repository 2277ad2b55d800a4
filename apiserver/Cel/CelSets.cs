using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>CEL's sets extension: lists as sets, whatever their order and however often they name something.</summary>
internal static class CelSets
{
    public static IEnumerable<CelOverload> All()
    {
        CelType[] two = [CelType.ListOf(CelType.T), CelType.ListOf(CelType.T)];
        yield return Of("sets.contains", two, CelType.Bool, (a, m) => Within(a[1], a[0], m));
        yield return Of("sets.equivalent", two, CelType.Bool, (a, m) => Within(a[1], a[0], m) && Within(a[0], a[1], m));
        yield return Of("sets.intersects", two, CelType.Bool, (a, m) => List(a[0]).Any(x => Has(a[1], x, m)));
    }

    private static bool Within(object? inner, object? outer, CelMeter meter) => List(inner).All(x => Has(outer, x, meter));

    private static bool Has(object? list, object? value, CelMeter meter) => List(list).Any(x => CelValues.Same(x, value, meter));

    private static IReadOnlyList<object?> List(object? value) => (IReadOnlyList<object?>)value!;
}
