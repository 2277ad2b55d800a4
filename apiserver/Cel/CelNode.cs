namespace Declarative.ApiServer.Cel;

/// <summary>A node of a parsed expression.</summary>
/// <param name="At">Where it begins in the text, in characters from 0.</param>
internal abstract record CelNode(int At);

internal sealed record Literal(int At, object? Value) : CelNode(At);

internal sealed record Identifier(int At, string Name) : CelNode(At);

/// <param name="Test">Only whether the field is there: <c>has(a.b)</c>.</param>
/// <param name="IsOptional"><c>a.?b</c>: none where the field is not there.</param>
internal sealed record Select(int At, CelNode Operand, string Field, bool Test = false, bool IsOptional = false) : CelNode(At);

/// <summary>A function or an operator (<c>_+_</c>, <c>_[_]</c>, <c>!_</c> …).</summary>
/// <param name="Target">What stands before the dot, or null.</param>
internal sealed record Call(int At, string Function, CelNode? Target, IReadOnlyList<CelNode> Arguments) : CelNode(At);

/// <param name="Optional">Which elements are written <c>?x</c>: left out where x is none.</param>
internal sealed record ListLiteral(int At, IReadOnlyList<CelNode> Elements, IReadOnlySet<int> Optional) : CelNode(At);

/// <param name="Optional">Which entries are written <c>?k: x</c>.</param>
internal sealed record MapLiteral(int At, IReadOnlyList<(CelNode Key, CelNode Value)> Entries, IReadOnlySet<int> Optional) : CelNode(At);

/// <summary>One of the macros over lists and maps, or over an optional value.</summary>
/// <param name="Condition">null where map has none.</param>
/// <param name="Transform">Of map, the transforms and the optional ones.</param>
/// <param name="Second">Of macros with two variables, which are index and element or key and value.</param>
internal sealed record Comprehension(int At, string Macro, CelNode Range, string Variable, CelNode? Condition, CelNode? Transform, string? Second = null) : CelNode(At);
