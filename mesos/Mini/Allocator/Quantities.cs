using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>The scalars that fairness is measured by, in thousandths.</summary>
internal sealed class Quantities
{
    private static readonly string[] Names = ["cpus", "mem", "disk", "gpus"];

    private readonly long[] _amounts = new long[Names.Length];

    public void Add(ResourceBag bag) => Add(bag, 1);

    public void Subtract(ResourceBag bag) => Add(bag, -1);

    /// <summary>The largest part that this is of the total, over all kinds: the dominant share of DRF.</summary>
    public double DominantShare(Quantities total)
    {
        var share = 0d;
        for (var i = 0; i < _amounts.Length; i++)
        {
            if (total._amounts[i] > 0)
                share = Math.Max(share, (double)_amounts[i] / total._amounts[i]);
        }

        return share;
    }

    private void Add(ResourceBag bag, int sign)
    {
        foreach (var (name, milli) in bag.Scalars)
        {
            var at = Array.IndexOf(Names, name);
            if (at >= 0)
                _amounts[at] += sign * milli;
        }
    }
}
