namespace Declarative.ApiServer.Cel;

/// <summary>Bounds of one expression. Cost counts steps of evaluation and, where a step's work grows with its input, a tenth of the characters or elements it reads.</summary>
internal static class CelLimits
{
    public const int ExpressionCharsMax = 16 * 1024;
    public const int NodesMax = 4_000;

    /// <summary>Nesting of parentheses, lists and operators of a kind that recurse.</summary>
    public const int DepthMax = 100;

    /// <summary>Cost units of one evaluation (Kubernetes: PerCallLimit).</summary>
    public const long CallCostMax = 1_000_000;

    /// <summary>Cost units of all rules of one object (Kubernetes: RuntimeCELCostBudget).</summary>
    public const long ObjectCostMax = 10_000_000;

    /// <summary>What a rule of a definition may cost at most on the largest object that its schema allows (Kubernetes: StaticEstimatedCostLimit).</summary>
    public const long RuleCostEstimateMax = 10_000_000;

    /// <summary>And all rules of one version together (Kubernetes: StaticEstimatedCRDCostLimit).</summary>
    public const long DefinitionCostEstimateMax = 100_000_000;

    /// <summary>Characters or elements of one value that an expression makes.</summary>
    public const int ValueSizeMax = 1_000_000;
}
