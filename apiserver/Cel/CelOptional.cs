using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>A value that may be absent (cel-go, OptionalTypes): what <c>a.?b</c>, <c>a[?i]</c> and <c>optional.of(x)</c> give.</summary>
/// <param name="Has">False = <c>optional.none()</c>.</param>
internal sealed record CelOptional(object? Value, bool Has)
{
    public static readonly CelOptional None = new(null, false);

    public static CelOptional Of(object? value) => new(value, true);

    public override string ToString() => Has ? $"optional.of({CelValues.Text(Value)})" : "optional.none()";
}

/// <summary>Functions of optional values. <c>or</c> and <c>orValue</c> look at their argument where there is no value alone; optMap and optFlatMap are macros.</summary>
internal static class CelOptionals
{
    public static IEnumerable<CelOverload> All()
    {
        var (t, optional) = (CelType.T, CelType.OptionalOf(CelType.T));
        yield return Of("optional.none", [], CelType.OptionalOf(CelType.Dyn), (_, _) => CelOptional.None);
        yield return Of("optional.of", [t], optional, (a, _) => CelOptional.Of(a[0]));
        yield return Of("optional.ofNonZeroValue", [t], optional, (a, _) => IsZero(a[0]) ? CelOptional.None : CelOptional.Of(a[0]));
        yield return Member("hasValue", [optional], CelType.Bool, (a, _) => ((CelOptional)a[0]!).Has);
        yield return Member("value", [optional], t, (a, _) => a[0] is CelOptional { Has: true } given ? given.Value : throw new CelException("optional.none() dereference"));
        yield return Member("or", [optional, optional], optional, (a, _) => a[0] is CelOptional { Has: true } ? a[0] : a[1]);
        yield return Member("orValue", [optional, t], t, (a, _) => a[0] is CelOptional { Has: true } given ? given.Value : a[1]);
    }

    private static bool IsZero(object? value) => value switch
    {
        null or false or 0L or 0UL or 0d or "" => true,
        byte[] bytes => bytes.Length == 0,
        CelDuration duration => duration.Nanoseconds == 0,
        DateTimeOffset time => time == DateTimeOffset.MinValue,
        CelMap map => map.Count == 0,
        CelObject json => json.Json.Count == 0,
        IReadOnlyList<object?> list => list.Count == 0,
        _ => false,
    };
}
