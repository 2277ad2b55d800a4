using System.Collections.Frozen;

namespace Declarative.ApiServer.Cel;

/// <summary>One form of a function.</summary>
/// <param name="IsMember">Called as <c>x.f(y)</c>; x is the first parameter.</param>
internal sealed record CelOverload(string Name, bool IsMember, IReadOnlyList<CelType> Parameters, CelType Result, Func<object?[], CelMeter, object?> Run)
{
    public bool Takes(object?[] arguments)
    {
        if (arguments.Length != Parameters.Count) return false;
        for (var i = 0; i < arguments.Length; i++)
        {
            var wanted = Parameters[i].Kind;
            if (wanted is CelKind.Dyn or CelKind.Parameter) continue;
            if (CelValues.TypeOf(arguments[i]).Kind != wanted) return false;
        }
        return true;
    }
}

/// <summary>Every function and operator, by name: the standard ones of CEL and those of Kubernetes' libraries.</summary>
internal static class CelFunctions
{
    public static readonly FrozenDictionary<string, CelType> TypeNames = new Dictionary<string, CelType>
    {
        ["bool"] = CelType.Bool,
        ["int"] = CelType.Int,
        ["uint"] = CelType.Uint,
        ["double"] = CelType.Double,
        ["string"] = CelType.String,
        ["bytes"] = CelType.Bytes,
        ["list"] = CelType.ListOf(CelType.Dyn),
        ["map"] = CelType.MapOf(CelType.Dyn, CelType.Dyn),
        ["null_type"] = CelType.Null,
        ["type"] = CelType.Type,
        ["optional_type"] = CelType.OptionalOf(CelType.Dyn),
    }.ToFrozenDictionary();

    public static FrozenDictionary<string, IReadOnlyList<CelOverload>> Table { get; } =
        ((IEnumerable<CelOverload>)[.. CelOperators.All(), .. CelConversions.All(), .. CelTexts.All(), .. CelCollections.All(), .. CelSets.All(), .. CelTimes.All(), .. CelLibraries.All(), .. CelOptionals.All(), .. CelAuthorizers.All(), .. CelFormats.All()])
        .GroupBy(x => x.Name)
        .ToFrozenDictionary(x => x.Key, x => (IReadOnlyList<CelOverload>)[.. x]);

    /// <summary>The name a call means: <c>ip.isCanonical(x)</c> is a function of its own unless ip is a variable, and so are those of sets.</summary>
    public static string NameOf(Call call, IReadOnlyDictionary<string, CelType>? variables)
    {
        // No member of that name takes two arguments, so there is nothing to mistake them for.
        if (call is { Target: Identifier { Name: "sets" }, Function: "contains" or "equivalent" or "intersects", Arguments.Count: 2 }) return "sets." + call.Function;
        if (call is { Target: Identifier { Name: "optional" }, Function: "of" or "none" or "ofNonZeroValue" }) return "optional." + call.Function;
        if (call is { Target: Identifier { Name: "format" } } && CelFormats.IsName(call.Function)) return "format." + call.Function;
        if (call.Target is not Identifier { Name: "ip" } || call.Function != "isCanonical") return call.Function;
        return variables?.ContainsKey("ip") == true ? call.Function : "ip.isCanonical";
    }

    public static CelOverload Of(string name, CelType[] parameters, CelType result, Func<object?[], CelMeter, object?> run) => new(name, false, parameters, result, run);

    public static CelOverload Member(string name, CelType[] parameters, CelType result, Func<object?[], CelMeter, object?> run) => new(name, true, parameters, result, run);
}
