using System.Runtime.CompilerServices;

namespace Declarative.ApiServer.Cel;

/// <summary>
/// The most that an expression can cost, before it has ever run: what cel-go's checker/cost.go and Kubernetes' library/cost.go estimate. Sizes
/// come from the types of the variables; what nothing bounds is as large as a request may be.
/// </summary>
internal sealed class CelCost
{
    private const double ListCost = 10;
    private const double MapCost = 30;
    private const double PatternFactor = 0.25;
    private const double AuthorizationCost = 350_000;
    private readonly Dictionary<CelNode, CelType> _types = new(ReferenceEqualityComparer.Instance);

    /// <summary>Characters or elements that fit into one request.</summary>
    public const long UnboundedSize = Api.Limits.RequestBodyBytesMax;

    /// <exception cref="CelException">The expression has no type.</exception>
    public static double Of(CelNode root, IReadOnlyDictionary<string, CelType> variables)
    {
        var cost = new CelCost();
        CelChecker.Check(root, variables, cost._types);
        return cost.Cost(root);
    }

    private double Cost(CelNode node)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        return node switch
        {
            Literal => 0,
            Identifier => 1,
            // Kubernetes counts no presence test.
            Select select => Cost(select.Operand) + (select.Test ? 0 : 1),
            ListLiteral list => ListCost + list.Elements.Sum(Cost),
            MapLiteral map => MapCost + map.Entries.Sum(x => Cost(x.Key) + Cost(x.Value)),
            Comprehension x => Cost(x.Range) + Rounds(x) * Round(x) + 1,
            Call call => CallCost(call),
            _ => throw new InvalidOperationException(node.GetType().Name),
        };
    }

    private double Rounds(Comprehension x) => x.Macro is "optMap" or "optFlatMap" ? 1 : Size(x.Range);

    /// <summary>One round: the loop's condition, the expression, and adding to the result.</summary>
    private double Round(Comprehension x)
    {
        var inner = (x.Condition is null ? 0 : Cost(x.Condition)) + (x.Transform is null ? 0 : Cost(x.Transform));
        return inner + x.Macro switch { "all" => 3, "exists" => 4, "exists_one" => 2, "transformMap" or "transformMapEntry" => MapCost + 2, "optMap" or "optFlatMap" => 1, _ => ListCost + 2 };
    }

    private double CallCost(Call call)
    {
        List<CelNode> all = call.Target is null || !_types.ContainsKey(call.Target) ? [.. call.Arguments] : [call.Target, .. call.Arguments];
        if (call.Function == "_?_:_") return Cost(all[0]) + Math.Max(Cost(all[1]), Cost(all[2]));
        return all.Sum(Cost) + Own(call, all);
    }

    private double Own(Call call, List<CelNode> all)
    {
        switch (call.Function)
        {
            case "_&&_" or "_||_":
                return 0;
            case "_==_" or "_!=_" or "_<_" or "_<=_" or "_>_" or "_>=_":
                return Traversed(Math.Min(Size(all[0]), Size(all[1])));
            case "@in":
                return _types[all[1]].Kind == CelKind.List ? Size(all[1]) : 1;
            case "_+_" when _types[call].Kind is CelKind.String or CelKind.Bytes or CelKind.Dyn:
                return Traversed(Size(all[0]) + Size(all[1]));
            case "contains" when all.Count == 2 && _types[all[1]].Kind != CelKind.List:
                return Traversed(Size(all[0])) * Traversed(Size(all[1]));
            case "startsWith" or "endsWith":
                return Traversed(Size(all[1]));
            case "matches" or "find" or "findAll":
                return Traversed(Size(all[0]) + 1) * Math.Ceiling(Math.Max(Size(all[1]), 1) * PatternFactor);
            case "contains" or "equivalent" or "intersects":
                return Size(all[0]) * Size(all[1]);
            case "isSorted" or "sum" or "min" or "max" or "indexOf" or "lastIndexOf" when _types[all[0]].Kind == CelKind.List:
                return Size(all[0]);
            case "indexOf" or "lastIndexOf" or "lowerAscii" or "upperAscii" or "substring" or "trim" or "split" or "join" or "reverse" or "format" or "validate" or "url" or "isURL" or "ip" or "isIP" or "cidr" or "isCIDR"
                or "quantity" or "isQuantity" or "timestamp" or "duration" or "bytes" or "containsIP" or "containsCIDR":
                return Traversed(all.Count == 0 ? 1 : Size(all[0]));
            case "replace":
                return 2 * Traversed(Size(call));
            case "check":
                return AuthorizationCost;
            default:
                return 1;
        }
    }

    private static double Traversed(double size) => Math.Max(1, Math.Ceiling(size * 0.1));

    /// <summary>Characters or elements of a value at most; 1 of what has no size.</summary>
    private double Size(CelNode node)
    {
        switch (node)
        {
            case Literal { Value: string text }:
                return text.Length;
            case Literal { Value: byte[] bytes }:
                return bytes.Length;
            case Literal:
                return 1;
            case ListLiteral list:
                return list.Elements.Count;
            case MapLiteral map:
                return map.Entries.Count;
            case Comprehension { Macro: "map" or "filter" or "transformList" or "transformMap" or "transformMapEntry" } made:
                return Size(made.Range);
            case Call call when SizeOf(call) is { } size:
                return size;
        }
        var type = _types[node];
        if (type.Kind == CelKind.Optional) type = type.Element!;
        return type.SizeMax ?? type.Kind switch
        {
            CelKind.String or CelKind.Bytes or CelKind.List or CelKind.Map or CelKind.Dyn => UnboundedSize,
            _ => 1,
        };
    }

    private double? SizeOf(Call call) => (call.Function, call.Target, call.Arguments) switch
    {
        ("_+_", _, [var a, var b]) when _types[call].Kind is CelKind.String or CelKind.Bytes or CelKind.List => Size(a) + Size(b),
        ("_?_:_", _, [_, var a, var b]) => Math.Max(Size(a), Size(b)),
        ("lowerAscii" or "upperAscii" or "substring" or "trim" or "split" or "find" or "findAll" or "reverse", { } target, _) => Size(target),
        ("replace", { } target, [var old, var by, ..]) => Size(target) * Math.Max(1, Math.Ceiling(Size(by) / Math.Max(1, Size(old)))),
        ("orValue", { } target, [var other]) => Math.Max(Size(target), Size(other)),
        ("string" or "bytes" or "dyn", _, [var a]) => Math.Max(64, Size(a)),
        _ => null,
    };
}
