using System.Runtime.CompilerServices;

namespace Declarative.ApiServer.Cel;

/// <summary>
/// Evaluation as the language defines it (cel-spec, doc/langdef.md, "Evaluation"): an error is a value that &amp;&amp;, || and the macros
/// absorb where the other side decides. Every step is metered.
/// </summary>
internal sealed class CelEvaluator(IReadOnlyDictionary<string, object?> variables, CelMeter meter)
{
    private readonly Dictionary<string, object?> _locals = new(StringComparer.Ordinal);

    public static object? Evaluate(CelNode node, IReadOnlyDictionary<string, object?> variables, CelMeter meter) => new CelEvaluator(variables, meter).Of(node);

    private object? Of(CelNode node)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        meter.Step();
        return node switch
        {
            Literal literal => literal.Value,
            Identifier name => _locals.TryGetValue(name.Name, out var local) ? local
                : variables.TryGetValue(name.Name, out var value) ? value is Func<object?> late ? late() : value
                : CelFunctions.TypeNames.GetValueOrDefault(name.Name) ?? throw new CelException($"no such variable: {name.Name}"),
            Select select => Field(select),
            ListLiteral list => List(list),
            MapLiteral map => Map(map),
            Comprehension comprehension => Macro(comprehension),
            Call call => Function(call),
            _ => throw new InvalidOperationException(node.GetType().Name),
        };
    }

    private object? Field(Select select)
    {
        var operand = Of(select.Operand);
        var isOptional = select.IsOptional;
        if (operand is CelOptional given)
        {
            if (!given.Has) return select.Test ? false : given;
            (operand, isOptional) = (given.Value, true);
        }
        object? value = null;
        var found = operand switch
        {
            CelAuthorizer asks when select.Field == CelAuthorizer.RequestResource => (value = asks.Request is { } about ? new CelCheck(asks, about, CelKind.ResourceCheck) : throw new CelException("the request is about no resource")) is not null,
            CelObject json => json.TryGet(select.Field, out value),
            CelMap map => map.TryGet(select.Field, out value),
            CelVariables named => named.TryGet(select.Field, out value),
            _ => throw new CelException($"no such overload: '{select.Field}' of a {CelValues.TypeOf(operand)}"),
        };
        if (select.Test) return found;
        if (isOptional) return found ? Optional(value) : CelOptional.None;
        return found ? value : throw new CelException($"no such key: {select.Field}");
    }

    private object?[] List(ListLiteral list)
    {
        meter.Make(list.Elements.Count);
        if (list.Optional.Count == 0) return [.. list.Elements.Select(Of)];
        var values = new List<object?>();
        for (var i = 0; i < list.Elements.Count; i++)
        {
            var value = Of(list.Elements[i]);
            if (!list.Optional.Contains(i)) values.Add(value);
            else if (Given(value) is { Has: true } given) values.Add(given.Value);
        }
        return [.. values];
    }

    private static CelOptional Given(object? value) => value as CelOptional ?? throw new CelException($"no such overload: a {CelValues.TypeOf(value)} is no optional value");

    // Optional once is optional.
    private static CelOptional Optional(object? value) => value as CelOptional ?? CelOptional.Of(value);

    private CelMap Map(MapLiteral literal)
    {
        meter.Make(literal.Entries.Count);
        var map = new CelMap();
        for (var i = 0; i < literal.Entries.Count; i++)
        {
            var key = Of(literal.Entries[i].Key);
            if (key is not (string or long or ulong or bool)) throw new CelException($"a {CelValues.TypeOf(key)} can not be the key of a map");
            var value = Of(literal.Entries[i].Value);
            if (!literal.Optional.Contains(i)) map.Add(key, value);
            else if (Given(value) is { Has: true } given) map.Add(key, given.Value);
        }
        return map;
    }

    private object? Macro(Comprehension x)
    {
        if (x.Macro is "optMap" or "optFlatMap") return OptionalMacro(x);
        if (x.Second is not null) return Pairs(x);
        var range = Of(x.Range) switch
        {
            IReadOnlyList<object?> list => list,
            CelMap map => [.. map.Select(y => (object?)y.Key)],
            CelObject json => [.. json.Json.Select(y => (object?)y.Key)],
            var other => throw new CelException($"no such overload: {x.Macro}() of a {CelValues.TypeOf(other)}"),
        };
        return Within(x.Variable, () => x.Macro switch
        {
            "all" => Quantifier(x, range, decides: false),
            "exists" => Quantifier(x, range, decides: true),
            "exists_one" => Count(x, range) == 1,
            _ => Collect(x, range),
        });
    }

    private object? Within(string variable, Func<object?> evaluate)
    {
        var hidden = _locals.TryGetValue(variable, out var outer);
        try
        {
            return evaluate();
        }
        finally
        {
            if (hidden) _locals[variable] = outer;
            else _locals.Remove(variable);
        }
    }

    private object? OptionalMacro(Comprehension x)
    {
        if (Given(Of(x.Range)) is not { Has: true } given) return CelOptional.None;
        return Within(x.Variable, () =>
        {
            _locals[x.Variable] = given.Value;
            var result = Of(x.Transform!);
            return x.Macro == "optMap" ? CelOptional.Of(result) : Given(result);
        });
    }

    /// <summary>The macros with two variables: index and element of a list, key and value of a map (cel-go, TwoVarComprehensions).</summary>
    private object? Pairs(Comprehension x)
    {
        List<KeyValuePair<object, object?>> pairs = Of(x.Range) switch
        {
            IReadOnlyList<object?> list => [.. list.Select((y, i) => KeyValuePair.Create((object)(long)i, y))],
            CelMap map => [.. map],
            CelObject json => [.. json.ToMap()],
            var other => throw new CelException($"no such overload: {x.Macro}() of a {CelValues.TypeOf(other)}"),
        };
        // The one variable of the shared loops is the pair.
        return Within(x.Variable, () => Within(x.Second!, () => x.Macro switch
        {
            "all" => Quantifier(x, pairs, decides: false),
            "exists" => Quantifier(x, pairs, decides: true),
            "exists_one" => Count(x, pairs) == 1,
            "transformList" => Collect(x, pairs),
            _ => Transformed(x, pairs),
        }));
    }

    private CelMap Transformed(Comprehension x, List<KeyValuePair<object, object?>> pairs)
    {
        var map = new CelMap();
        foreach (var pair in pairs)
        {
            Set(x, pair);
            if (x.Condition is not null && !Flag(Of(x.Condition))) continue;
            var value = Of(x.Transform!);
            if (x.Macro == "transformMap") map.Add(pair.Key, value);
            else
            {
                foreach (var (key, inner) in value as CelMap ?? throw new CelException($"{x.Macro}() wants a map, not a {CelValues.TypeOf(value)}")) map.Add(key, inner);
            }
        }
        return map;
    }

    private void Set<T>(Comprehension x, T element)
    {
        if (x.Second is not null && element is KeyValuePair<object, object?> pair) (_locals[x.Variable], _locals[x.Second]) = (pair.Key, pair.Value);
        else _locals[x.Variable] = element;
    }

    private bool Quantifier<T>(Comprehension x, IReadOnlyList<T> range, bool decides)
    {
        CelException? failure = null;
        foreach (var element in range)
        {
            Set(x, element);
            try
            {
                if (Flag(Of(x.Condition!)) == decides) return decides;
            }
            catch (CelException e) when (e is not CelCostException)
            {
                failure ??= e;
            }
        }
        return failure is null ? !decides : throw failure;
    }

    private int Count<T>(Comprehension x, IReadOnlyList<T> range)
    {
        var count = 0;
        foreach (var element in range)
        {
            Set(x, element);
            if (Flag(Of(x.Condition!))) count++;
        }
        return count;
    }

    private List<object?> Collect<T>(Comprehension x, IReadOnlyList<T> range)
    {
        var result = new List<object?>();
        foreach (var element in range)
        {
            Set(x, element);
            if (x.Condition is not null && !Flag(Of(x.Condition))) continue;
            result.Add(x.Transform is null ? element : Of(x.Transform));
        }
        return result;
    }

    private object? Function(Call call)
    {
        switch (call.Function)
        {
            case "_&&_":
                return Junction(call, decides: false);
            case "_||_":
                return Junction(call, decides: true);
            case "_?_:_":
                return Flag(Of(call.Arguments[0])) ? Of(call.Arguments[1]) : Of(call.Arguments[2]);
            case "or" or "orValue" when call is { Target: { } target, Arguments.Count: 1 }:
                var first = Given(Of(target));
                if (!first.Has) return Of(call.Arguments[0]);
                return call.Function == "or" ? first : first.Value;
            case "_[?_]":
                return At(Of(call.Arguments[0]), Of(call.Arguments[1]));
        }
        var name = CelFunctions.NameOf(call, null);
        var member = name == call.Function && call.Target is not null;
        var arguments = new object?[call.Arguments.Count + (member ? 1 : 0)];
        if (member) arguments[0] = Of(call.Target!);
        for (var i = 0; i < call.Arguments.Count; i++) arguments[i + (member ? 1 : 0)] = Of(call.Arguments[i]);
        if (name == "_[_]" && arguments[0] is CelOptional) return At(arguments[0], arguments[1]);
        foreach (var overload in CelFunctions.Table[name])
        {
            if (overload.IsMember == member && overload.Takes(arguments)) return overload.Run(arguments, meter);
        }
        throw new CelException($"no such overload: {name}({string.Join(", ", arguments.Select(CelValues.TypeOf))})");
    }

    private static CelOptional At(object? operand, object? index)
    {
        if (operand is CelOptional given)
        {
            if (!given.Has) return given;
            operand = given.Value;
        }
        object? value = null;
        var found = operand switch
        {
            IReadOnlyList<object?> list => index is long at ? at >= 0 && at < list.Count : throw new CelException($"no such overload: a list by a {CelValues.TypeOf(index)}"),
            CelMap map => map.TryGet(index, out value),
            CelObject json => index is string name && json.TryGet(name, out value),
            _ => throw new CelException($"no such overload: an element of a {CelValues.TypeOf(operand)}"),
        };
        if (found && operand is IReadOnlyList<object?> items) value = items[(int)(long)index!];
        return found ? Optional(value) : CelOptional.None;
    }

    private bool Junction(Call call, bool decides)
    {
        var left = Try(call.Arguments[0], out var failure);
        if (left == decides) return decides;
        if (Try(call.Arguments[1], out var second) == decides) return decides;
        return (failure ?? second) is { } undecided ? throw undecided : !decides;
    }

    private bool? Try(CelNode node, out CelException? failure)
    {
        try
        {
            failure = null;
            return Flag(Of(node));
        }
        catch (CelException e) when (e is not CelCostException)
        {
            failure = e;
            return null;
        }
    }

    private static bool Flag(object? value) => value is bool flag ? flag : throw new CelException($"no such overload: a {CelValues.TypeOf(value)} is no bool");
}
