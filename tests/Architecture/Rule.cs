using Xunit;

namespace Declarative.Tests.Architecture;

internal static class Rule
{
    /// <summary>Fails with every violation on a line of its own.</summary>
    public static void Holds(IEnumerable<string> violations)
    {
        var found = violations.ToList();
        if (found.Count > 0) Assert.Fail($"{found.Count} violations:\n{string.Join('\n', found)}");
    }
}
