using System.Runtime.CompilerServices;

namespace Declarative.ApiServer.Cel;

/// <summary>Finds the type of every expression, and refuses what can have none: unknown names, fields and functions, and arguments that no overload takes.</summary>
internal sealed class CelChecker
{
    private readonly Dictionary<string, CelType> _variables;

    private CelChecker(IReadOnlyDictionary<string, CelType> variables) => _variables = new(variables, StringComparer.Ordinal);

    public static CelType Check(CelNode node, IReadOnlyDictionary<string, CelType> variables) => new CelChecker(variables).Of(node);

    private CelType Of(CelNode node)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        return node switch
        {
            Literal literal => CelValues.TypeOf(literal.Value),
            Identifier name => Variable(name),
            Select select => Field(select),
            ListLiteral list => CelType.ListOf(Join(list.Elements.Select(Of))),
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
        var field = operand.Kind switch
        {
            CelKind.Dyn => CelType.Dyn,
            CelKind.Map when CelType.String.Fits(operand.Key!) => operand.Element!,
            CelKind.Object => operand.Field!(select.Field) ?? throw new CelException($"undefined field '{select.Field}' at {select.At + 1}"),
            _ => throw new CelException($"a {operand} has no field '{select.Field}' at {select.At + 1}"),
        };
        return select.Test ? CelType.Bool : field;
    }

    private CelType Map(MapLiteral map)
    {
        foreach (var (key, _) in map.Entries)
        {
            if (Of(key).Kind is not (CelKind.Dyn or CelKind.String or CelKind.Int or CelKind.Uint or CelKind.Bool)) throw new CelException($"a key of a map must be a string, int, uint or bool, at {key.At + 1}");
        }
        return CelType.MapOf(Join(map.Entries.Select(x => Of(x.Key))), Join(map.Entries.Select(x => Of(x.Value))));
    }

    private CelType Macro(Comprehension x)
    {
        var range = Of(x.Range);
        var element = range.Kind switch
        {
            CelKind.List => range.Element!,
            CelKind.Map => range.Key!,
            CelKind.Dyn => CelType.Dyn,
            CelKind.Object => throw new CelException($"{x.Macro}() at {x.At + 1}: the fields of an object can not be gone through; a map has additionalProperties"),
            _ => throw new CelException($"{x.Macro}() at {x.At + 1} wants a list or map, not a {range}"),
        };
        var hidden = _variables.TryGetValue(x.Variable, out var outer);
        _variables[x.Variable] = element;
        if (x.Condition is { } condition && !Of(condition).Fits(CelType.Bool)) throw new CelException($"{x.Macro}() at {x.At + 1}: the condition must be a bool");
        var result = x.Macro switch
        {
            "map" => CelType.ListOf(Of(x.Transform!)),
            "filter" => CelType.ListOf(element),
            _ => CelType.Bool,
        };
        if (hidden) _variables[x.Variable] = outer!;
        else _variables.Remove(x.Variable);
        return result;
    }

    private CelType Function(Call call)
    {
        // A dotted name may be a function's own, as in ip.isCanonical(...).
        var name = CelFunctions.NameOf(call, _variables);
        List<CelType> arguments = [.. name == call.Function && call.Target is not null ? [Of(call.Target)] : (CelType[])[], .. call.Arguments.Select(Of)];
        var member = name == call.Function && call.Target is not null;
        if (!CelFunctions.Table.TryGetValue(name, out var overloads)) throw new CelException($"undeclared reference to '{name}': the function is unknown or not supported here, at {call.At + 1}");
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
            case CelKind.List when actual.Kind == CelKind.List:
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
