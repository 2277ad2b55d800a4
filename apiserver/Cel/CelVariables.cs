namespace Declarative.ApiServer.Cel;

/// <summary>
/// Named expressions, each evaluated when it is first read and no more than once: one that nothing reads may have no value (Kubernetes: cel/composition).
/// An expression sees those that stand before it.
/// </summary>
/// <param name="meter">Counts what they cost.</param>
internal sealed class CelVariables(IReadOnlyList<(string Name, CelProgram Program)> programs, IReadOnlyDictionary<string, object?> values, CelMeter meter)
{
    private readonly Dictionary<string, (object? Value, CelException? Failure)> _known = new(StringComparer.Ordinal);

    /// <exception cref="CelException">The variable has no value.</exception>
    public bool TryGet(string name, out object? value)
    {
        value = null;
        if (!_known.TryGetValue(name, out var known))
        {
            if (programs.FirstOrDefault(x => x.Name == name).Program is not { } program) return false;
            _known[name] = known = Evaluate(name, program);
        }
        value = known.Failure is null ? known.Value : throw known.Failure;
        return true;
    }

    private (object?, CelException?) Evaluate(string name, CelProgram program)
    {
        try
        {
            return (program.Evaluate(values, meter), null);
        }
        catch (CelException e) when (e is not CelCostException)
        {
            return (null, new CelException($"composited variable \"{name}\" fails to evaluate: {e.Message}"));
        }
    }
}
