using System.Globalization;

namespace Declarative.Bench.Api;

/// <summary>A measure beside what it must reach.</summary>
internal static class Bar
{
    /// <summary>What must not be more: below 1.00 is reached.</summary>
    public static string AtMost(string name, double value, double bar, string unit) =>
        string.Create(CultureInfo.InvariantCulture, $"  {name,-48}{value,10:0.###} {unit,-4} {value / bar,6:F2} x what it may be ({bar:0.###} {unit})");
}
