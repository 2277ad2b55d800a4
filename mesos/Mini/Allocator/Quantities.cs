using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>The scalars that fairness is measured by, in thousandths.</summary>
internal sealed class Quantities
{
    private static readonly string[] Names = ["cpus", "mem", "disk", "gpus"];

    private readonly long[] amounts = new long[Names.Length];

    public void Add(ResourceBag bag) => Add(bag, 1);

    public void Subtract(ResourceBag bag) => Add(bag, -1);

    /// <summary>The largest part that this is of the total, over all kinds: the dominant share of DRF.</summary>
    public double DominantShare(Quantities total)
    {
        var share = 0d;
        for (var i = 0; i < amounts.Length; i++)
        {
            if (total.amounts[i] > 0)
                share = Math.Max(share, (double)amounts[i] / total.amounts[i]);
        }

        return share;
    }

    private void Add(ResourceBag bag, int sign)
    {
        foreach (var (name, milli) in bag.Scalars)
        {
            var at = Array.IndexOf(Names, name);
            if (at >= 0)
                amounts[at] += sign * milli;
        }
    }
}
