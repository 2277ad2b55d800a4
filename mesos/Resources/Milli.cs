using System.Globalization;

namespace Declarative.Mesos.Resources;

/// <summary>Scalars in Mesos are fixed-point with three decimals; here they are counted in thousandths.</summary>
public static class Milli
{
    /// <summary>0.1234 cpus are 123 thousandths. What is no number, or out of range, is 0.</summary>
    public static long Of(double value) =>
        double.IsFinite(value) && Math.Abs(value) < 9e15 ? (long)Math.Round(value * 1000, MidpointRounding.AwayFromZero) : 0;

    public static double ToDouble(long thousandths) => thousandths / 1000d;

    public static string ToText(long thousandths) => ToDouble(thousandths).ToString(CultureInfo.InvariantCulture);
}
