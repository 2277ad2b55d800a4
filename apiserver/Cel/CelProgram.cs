using System.Runtime.CompilerServices;

namespace Declarative.ApiServer.Cel;

/// <summary>A compiled expression. Immutable; safe for use by many threads.</summary>
internal sealed class CelProgram
{
    private readonly CelNode _root;
    private readonly string? _error;

    private CelProgram(string text, CelNode root, CelType type, string? error = null) => (Text, _root, Type, _error) = (text, root, type, error);

    public string Text { get; }
    public CelType Type { get; }

    /// <param name="wanted">The type that the expression must have, or null.</param>
    /// <exception cref="CelException">What is wrong, and where.</exception>
    public static CelProgram Compile(string text, IReadOnlyDictionary<string, CelType> variables, CelType? wanted = null)
    {
        if (string.IsNullOrWhiteSpace(text)) throw new CelException("the expression is empty");
        try
        {
            var root = CelParser.Parse(text);
            var type = CelChecker.Check(root, variables);
            if (wanted is not null && !type.Fits(wanted)) throw new CelException($"must evaluate to {wanted}, not {type}");
            return new(text, root, type);
        }
        catch (InsufficientExecutionStackException)
        {
            throw new CelException("the expression is nested too deep");
        }
    }

    /// <summary>One whose evaluations all fail: a stored expression that this version does not take.</summary>
    public static CelProgram Failing(string text, string error) => new(text, new Literal(0, null), CelType.Dyn, error);

    /// <summary>The most that an evaluation can cost, by the sizes that the variables' types allow.</summary>
    public double CostMax(IReadOnlyDictionary<string, CelType> variables) => CelCost.Of(_root, variables);

    /// <summary>Whether the expression reads a variable.</summary>
    public bool Uses(string variable) => Uses(_root, variable);

    /// <exception cref="CelException">The evaluation has no value, or costs more than the meter allows.</exception>
    public object? Evaluate(IReadOnlyDictionary<string, object?> variables, CelMeter meter)
    {
        if (_error is not null) throw new CelException(_error);
        try
        {
            return CelEvaluator.Evaluate(_root, variables, meter);
        }
        catch (InsufficientExecutionStackException)
        {
            throw new CelException("the evaluation is nested too deep");
        }
    }

    private static bool Uses(CelNode node, string variable)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        return node switch
        {
            Identifier name => name.Name == variable,
            Select select => Uses(select.Operand, variable),
            Call call => (call.Target is not null && Uses(call.Target, variable)) || call.Arguments.Any(x => Uses(x, variable)),
            ListLiteral list => list.Elements.Any(x => Uses(x, variable)),
            MapLiteral map => map.Entries.Any(x => Uses(x.Key, variable) || Uses(x.Value, variable)),
            Comprehension x => Uses(x.Range, variable) || (x.Variable != variable && x.Second != variable && ((x.Condition is not null && Uses(x.Condition, variable)) || (x.Transform is not null && Uses(x.Transform, variable)))),
            _ => false,
        };
    }
}
