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
        object? value = null;
        var found = operand switch
        {
            CelObject json => json.TryGet(select.Field, out value),
            CelMap map => map.TryGet(select.Field, out value),
            _ => throw new CelException($"no such overload: '{select.Field}' of a {CelValues.TypeOf(operand)}"),
        };
        if (select.Test) return found;
        return found ? value : throw new CelException($"no such key: {select.Field}");
    }

    private object?[] List(ListLiteral list)
    {
        meter.Make(list.Elements.Count);
        return [.. list.Elements.Select(Of)];
    }

    private CelMap Map(MapLiteral literal)
    {
        meter.Make(literal.Entries.Count);
        var map = new CelMap();
        foreach (var (key, value) in literal.Entries)
        {
            if (Of(key) is not (string or long or ulong or bool) and var wrong) throw new CelException($"a {CelValues.TypeOf(wrong)} can not be the key of a map");
            map.Add(Of(key)!, Of(value));
        }
        return map;
    }

    private object? Macro(Comprehension x)
    {
        var range = Of(x.Range) switch
        {
            IReadOnlyList<object?> list => list,
            CelMap map => [.. map.Select(y => (object?)y.Key)],
            CelObject json => [.. json.Json.Select(y => (object?)y.Key)],
            var other => throw new CelException($"no such overload: {x.Macro}() of a {CelValues.TypeOf(other)}"),
        };
        var hidden = _locals.TryGetValue(x.Variable, out var outer);
        try
        {
            return x.Macro switch
            {
                "all" => Quantifier(x, range, decides: false),
                "exists" => Quantifier(x, range, decides: true),
                "exists_one" => Count(x, range) == 1,
                _ => Collect(x, range),
            };
        }
        finally
        {
            if (hidden) _locals[x.Variable] = outer;
            else _locals.Remove(x.Variable);
        }
    }

    private bool Quantifier(Comprehension x, IReadOnlyList<object?> range, bool decides)
    {
        CelException? failure = null;
        foreach (var element in range)
        {
            _locals[x.Variable] = element;
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

    private int Count(Comprehension x, IReadOnlyList<object?> range)
    {
        var count = 0;
        foreach (var element in range)
        {
            _locals[x.Variable] = element;
            if (Flag(Of(x.Condition!))) count++;
        }
        return count;
    }

    private List<object?> Collect(Comprehension x, IReadOnlyList<object?> range)
    {
        var result = new List<object?>();
        foreach (var element in range)
        {
            _locals[x.Variable] = element;
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
        }
        var name = CelFunctions.NameOf(call, null);
        var member = name == call.Function && call.Target is not null;
        var arguments = new object?[call.Arguments.Count + (member ? 1 : 0)];
        if (member) arguments[0] = Of(call.Target!);
        for (var i = 0; i < call.Arguments.Count; i++) arguments[i + (member ? 1 : 0)] = Of(call.Arguments[i]);
        foreach (var overload in CelFunctions.Table[name])
        {
            if (overload.IsMember == member && overload.Takes(arguments)) return overload.Run(arguments, meter);
        }
        throw new CelException($"no such overload: {name}({string.Join(", ", arguments.Select(CelValues.TypeOf))})");
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
