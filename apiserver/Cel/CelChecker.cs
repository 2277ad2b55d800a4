using System.Runtime.CompilerServices;

namespace Declarative.ApiServer.Cel;

/// <summary>Finds the type of every expression, and refuses what can have none: unknown names, fields and functions, and arguments that no overload takes.</summary>
internal sealed class CelChecker
{
    private readonly Dictionary<string, CelType> _variables;
    private readonly Dictionary<CelNode, CelType>? _found;

    private CelChecker(IReadOnlyDictionary<string, CelType> variables, Dictionary<CelNode, CelType>? found) => (_variables, _found) = (new(variables, StringComparer.Ordinal), found);

    /// <param name="found">Receives the type of every node, by reference.</param>
    public static CelType Check(CelNode node, IReadOnlyDictionary<string, CelType> variables, Dictionary<CelNode, CelType>? found = null) => new CelChecker(variables, found).Of(node);

    private CelType Of(CelNode node)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var type = TypeOf(node);
        if (_found is not null) _found[node] = type;
        return type;
    }

    private CelType TypeOf(CelNode node)
    {
        return node switch
        {
            Literal literal => CelValues.TypeOf(literal.Value),
            Identifier name => Variable(name),
            Select select => Field(select),
            ListLiteral list => CelType.ListOf(Join(list.Elements.Select((x, i) => list.Optional.Contains(i) ? Unwrapped(x) : Of(x)))),
            MapLiteral map => Map(map),
            Comprehension comprehension => Macro(comprehension),
            Call call => Function(call),
            _ => throw new InvalidOperationException(node.GetType().Name),
        };
    }

    private CelType Variable(Identifier name)
    {
        if (_variables.TryGetValue(name.Name, out var type)) return type;
        if (CelFunctions.TypeNames.ContainsKey(name.Name)) return CelType.Type;
        throw new CelException($"undeclared reference to '{name.Name}' at {name.At + 1}");
    }

    private CelType Field(Select select)
    {
        var operand = Of(select.Operand);
        var isOptional = select.IsOptional || operand.Kind == CelKind.Optional;
        if (operand.Kind == CelKind.Optional) operand = operand.Element!;
        var field = operand.Kind switch
        {
            CelKind.Dyn => CelType.Dyn,
            CelKind.Authorizer when select.Field == CelAuthorizer.RequestResource && !isOptional => CelType.ResourceCheck,
            CelKind.Map when CelType.String.Fits(operand.Key!) => operand.Element!,
            CelKind.Object => operand.Field!(select.Field) ?? throw new CelException($"undefined field '{select.Field}' at {select.At + 1}"),
            _ => throw new CelException($"a {operand} has no field '{select.Field}' at {select.At + 1}"),
        };
        return select.Test ? CelType.Bool : isOptional ? Optional(field) : field;
    }

    private CelType Map(MapLiteral map)
    {
        foreach (var (key, _) in map.Entries)
        {
            if (Of(key).Kind is not (CelKind.Dyn or CelKind.String or CelKind.Int or CelKind.Uint or CelKind.Bool)) throw new CelException($"a key of a map must be a string, int, uint or bool, at {key.At + 1}");
        }
        return CelType.MapOf(Join(map.Entries.Select(x => Of(x.Key))), Join(map.Entries.Select((x, i) => map.Optional.Contains(i) ? Unwrapped(x.Value) : Of(x.Value))));
    }

    // What stands behind a question mark in a literal.
    private CelType Unwrapped(CelNode node) => Of(node) switch
    {
        { Kind: CelKind.Optional } optional => optional.Element!,
        { Kind: CelKind.Dyn } => CelType.Dyn,
        var other => throw new CelException($"an optional element at {node.At + 1} must be an optional value, not a {other}"),
    };

    // Optional once is optional.
    private static CelType Optional(CelType type) => type.Kind == CelKind.Optional ? type : CelType.OptionalOf(type);

    private CelType Macro(Comprehension x)
    {
        var range = Of(x.Range);
        if (x.Macro is "optMap" or "optFlatMap") return OptionalMacro(x, range);
        var element = range.Kind switch
        {
            CelKind.List => range.Element!,
            CelKind.Map => range.Key!,
            CelKind.Dyn => CelType.Dyn,
            CelKind.Object => throw new CelException($"{x.Macro}() at {x.At + 1}: the fields of an object can not be gone through; a map has additionalProperties"),
            _ => throw new CelException($"{x.Macro}() at {x.At + 1} wants a list or map, not a {range}"),
        };
        // Two variables are index and element, or key and value.
        using var first = Shadow(x.Variable, x.Second is not null && range.Kind == CelKind.List ? CelType.Int : element);
        using var second = x.Second is null ? default : Shadow(x.Second, range.Kind == CelKind.Dyn ? CelType.Dyn : range.Element!);
        if (x.Condition is { } condition && !Of(condition).Fits(CelType.Bool)) throw new CelException($"{x.Macro}() at {x.At + 1}: the condition must be a bool");
        var result = x.Macro switch
        {
            "map" or "transformList" => CelType.ListOf(Of(x.Transform!)),
            "transformMap" => CelType.MapOf(range.Kind switch { CelKind.List => CelType.Int, CelKind.Map => range.Key!, _ => CelType.Dyn }, Of(x.Transform!)),
            "transformMapEntry" => Of(x.Transform!) is { Kind: CelKind.Map or CelKind.Dyn } entry ? entry : throw new CelException($"{x.Macro}() at {x.At + 1} wants a map literal, such as {{k: v}}"),
            "filter" => CelType.ListOf(element),
            _ => CelType.Bool,
        };
        return result;
    }

    private CelType OptionalMacro(Comprehension x, CelType operand)
    {
        if (operand.Kind is not (CelKind.Optional or CelKind.Dyn)) throw new CelException($"{x.Macro}() at {x.At + 1} wants an optional value, not a {operand}");
        using var variable = Shadow(x.Variable, operand.Element ?? CelType.Dyn);
        var result = Of(x.Transform!);
        if (x.Macro == "optMap") return CelType.OptionalOf(result);
        return result.Kind is CelKind.Optional or CelKind.Dyn ? result : throw new CelException($"{x.Macro}() at {x.At + 1}: the expression must give an optional value, not a {result}");
    }

    private Shadowed Shadow(string name, CelType type)
    {
        var outer = _variables.GetValueOrDefault(name);
        _variables[name] = type;
        return new(_variables, name, outer);
    }

    /// <summary>A variable of a macro, as long as its macro is looked at.</summary>
    private readonly struct Shadowed(Dictionary<string, CelType>? variables, string name, CelType? outer) : IDisposable
    {
        public void Dispose()
        {
            if (outer is not null) variables![name] = outer;
            else variables?.Remove(name);
        }
    }

    private static CelType Element(CelType of, CelType index, int at) => of.Kind switch
    {
        CelKind.Dyn => CelType.Dyn,
        CelKind.List when index.Fits(CelType.Int) => of.Element!,
        CelKind.Map => of.Element!,
        _ => throw new CelException($"found no matching overload for '_[?_]' applied to '({of}, {index})' at {at + 1}"),
    };

    private CelType Function(Call call)
    {
        // A dotted name may be a function's own, as in ip.isCanonical(...).
        var name = CelFunctions.NameOf(call, _variables);
        List<CelType> arguments = [.. name == call.Function && call.Target is not null ? [Of(call.Target)] : (CelType[])[], .. call.Arguments.Select(Of)];
        var member = name == call.Function && call.Target is not null;
        if (name == "_[?_]") return Optional(Element(arguments[0].Kind == CelKind.Optional ? arguments[0].Element! : arguments[0], arguments[1], call.At));
        if (!CelFunctions.Table.TryGetValue(name, out var overloads)) throw new CelException($"undeclared reference to '{name}': the function is unknown or not supported here, at {call.At + 1}");
        if (name == "_[_]" && arguments[0].Kind == CelKind.Optional) return Optional(Element(arguments[0].Element!, arguments[1], call.At));
        CelType? result = null;
        foreach (var overload in overloads)
        {
            if (overload.IsMember != member || overload.Parameters.Count != arguments.Count) continue;
            var bound = new CelType?[1];
            var fits = true;
            for (var i = 0; i < arguments.Count && fits; i++) fits = Bind(arguments[i], overload.Parameters[i], bound);
            if (!fits) continue;
            var found = Substitute(overload.Result, bound[0] ?? CelType.Dyn);
            result = result is null ? found : Join([result, found]);
        }
        return result ?? throw new CelException($"found no matching overload for '{name}' applied to '({string.Join(", ", arguments)})' at {call.At + 1}");
    }

    private static bool Bind(CelType actual, CelType wanted, CelType?[] bound)
    {
        switch (wanted.Kind)
        {
            case CelKind.Parameter:
                if (bound[0] is not { } known)
                {
                    bound[0] = actual;
                    return true;
                }
                if (known.Kind == CelKind.Null) bound[0] = actual;
                return actual.Fits(known) || known.Fits(actual);
            case CelKind.List or CelKind.Optional when actual.Kind == wanted.Kind:
                return Bind(actual.Element!, wanted.Element!, bound);
            case CelKind.Map when actual.Kind == CelKind.Map:
                return Bind(actual.Key!, wanted.Key!, bound) && (wanted.Element!.Kind == CelKind.Parameter && wanted.Key!.Kind == CelKind.Dyn ? Bind(actual.Element!, wanted.Element, bound) : actual.Element!.Fits(wanted.Element!));
            default:
                return actual.Fits(wanted);
        }
    }

    private static CelType Substitute(CelType type, CelType bound) => type.Kind switch
    {
        CelKind.Parameter => bound,
        CelKind.List => CelType.ListOf(Substitute(type.Element!, bound)),
        CelKind.Optional => CelType.OptionalOf(Substitute(type.Element!, bound)),
        _ => type,
    };

    private static CelType Join(IEnumerable<CelType> types)
    {
        CelType? joined = null;
        foreach (var type in types)
        {
            if (joined is null || joined.Kind == CelKind.Null) joined = type;
            else if (!type.Fits(joined) || !joined.Fits(type)) return CelType.Dyn;
        }
        return joined ?? CelType.Dyn;
    }
}
