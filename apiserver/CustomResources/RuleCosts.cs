using System.Globalization;
using Declarative.Api.Objects;
using Declarative.ApiServer.Cel;

namespace Declarative.ApiServer.CustomResources;

/// <summary>
/// Refuses rules of a definition that could cost too much on the largest object that its schema allows (Kubernetes: apiextensions validation,
/// ValidateCustomResourceDefinitionOpenAPISchema): each by itself, and all of a version together.
/// </summary>
internal sealed class RuleCosts
{
    private const int UnboundedShown = 3;
    private readonly List<(string Path, double Cost)> _rules = [];
    private double _total;

    /// <param name="rounds">How often a rule at this place is evaluated for one object; null where nothing bounds it.</param>
    /// <param name="unbounded">The places on the way to it that nothing bounds.</param>
    public void Add(CelProgram program, IReadOnlyDictionary<string, CelType> variables, Structural schema, double? rounds, IReadOnlyList<string> unbounded, string path, string what, List<StatusCause> causes)
    {
        var cost = program.CostMax(variables) * (rounds ?? MostRounds(schema));
        _total += cost;
        _rules.Add((path, cost));
        if (cost <= CelLimits.RuleCostEstimateMax) return;
        List<string> places = [.. unbounded];
        Unbounded(schema, "self", places);
        var where = places.Count == 0 ? "" : $"; without a bound: {string.Join(", ", places.Take(UnboundedShown))}{(places.Count > UnboundedShown ? " …" : "")}";
        causes.Add(new("FieldValueForbidden", $"Forbidden: {Exceeds($"estimated {what} cost", cost, CelLimits.RuleCostEstimateMax)}{where}", path));
    }

    /// <summary>Judges all together.</summary>
    public void Check(string path, List<StatusCause> causes)
    {
        if (_total <= CelLimits.DefinitionCostEstimateMax) return;
        foreach (var (rule, _) in _rules.Where(x => x.Cost > CelLimits.DefinitionCostEstimateMax / 100.0).OrderByDescending(x => x.Cost).Take(4))
        {
            causes.Add(new("FieldValueForbidden", "Forbidden: contributed to estimated rule & messageExpression cost total exceeding cost limit for entire OpenAPIv3 schema", rule));
        }
        causes.Add(new("FieldValueForbidden", $"Forbidden: {Exceeds("x-kubernetes-validations estimated rule & messageExpression cost total for entire OpenAPIv3 schema", _total, CelLimits.DefinitionCostEstimateMax)}", path));
    }

    /// <summary>Characters, elements or members of a value at most; null where the schema does not say.</summary>
    public static long? BoundOf(Structural schema) => schema.Type switch
    {
        "array" => Bound(schema, "maxItems"),
        "object" when schema.Additional is not null || schema.AdditionalAny => Bound(schema, "maxProperties"),
        // A character may have four bytes.
        "string" when schema.Enum.Count > 0 => schema.Enum.Max(x => (long?)(x?.ToString().Length ?? 0)),
        "string" when schema.Format is "date-time" or "date" or "duration" => 32,
        "string" => Bound(schema, "maxLength") * 4,
        _ => 1,
    };

    /// <summary>The most that a value can have: what its schema says, or what fits into a request.</summary>
    public static long SizeMax(Structural schema) => BoundOf(schema) ?? schema.Type switch
    {
        "array" => CelCost.UnboundedSize / (Least(schema.Items) + 1),
        "object" => CelCost.UnboundedSize / (Least(schema.Additional) + 6),
        _ => CelCost.UnboundedSize,
    };

    private static double MostRounds(Structural schema) => (double)CelCost.UnboundedSize / (Least(schema) + 1);

    private static long? Bound(Structural schema, string name) => schema.Number(name) is { } number ? (long)Math.Min(number, CelCost.UnboundedSize) : null;

    /// <summary>Bytes of the shortest JSON of a value.</summary>
    private static long Least(Structural? schema) => schema?.Type switch
    {
        "object" => 2 + schema.Required.Sum(x => schema.Properties.TryGetValue(x, out var member) && member.Default is null ? x.Length + 4 + Least(member) : 0),
        "array" or "string" => 2,
        "boolean" => 4,
        _ => 1,
    };

    private static void Unbounded(Structural schema, string path, List<string> places)
    {
        if (BoundOf(schema) is null) places.Add($"{path} ({BoundName(schema)})");
        foreach (var (name, member) in schema.Properties) Unbounded(member, $"{path}.{name}", places);
        if (schema.Items is { } items) Unbounded(items, path + "[]", places);
        if (schema.Additional is { } each) Unbounded(each, path + "[]", places);
    }

    public static string BoundName(Structural schema) => schema.Type switch { "array" => "maxItems", "object" => "maxProperties", _ => "maxLength" };

    private static string Exceeds(string what, double cost, double limit)
    {
        var factor = cost / limit;
        var text = factor > 100 ? "more than 100x" : factor < 1.5 ? factor.ToString("F6", CultureInfo.InvariantCulture) + "x" : factor.ToString("F1", CultureInfo.InvariantCulture) + "x";
        return $"{what} exceeds budget by factor of {text} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";
    }
}
