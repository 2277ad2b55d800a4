namespace Declarative.ApiServer.Cel;

/// <summary>An expression that can not be compiled, or an evaluation that has no value. The message is for the user.</summary>
internal class CelException(string message) : Exception(message);

/// <summary>An evaluation that went beyond its budget: no operator may absorb it.</summary>
internal sealed class CelCostException() : CelException("cost limit exceeded: the expression does too much work; bound lists, maps and strings with maxItems, maxProperties and maxLength, or simplify it");
