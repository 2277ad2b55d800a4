using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>The scalars that fairness and quota are measured by, in thousandths.</summary>
internal sealed class Quantities
{
    public static readonly string[] Names = ["cpus", "mem", "disk", "gpus"];

    private readonly long[] _amounts = new long[Names.Length];

    /// <param name="name">One of <see cref="Names"/>; of others there is nothing.</param>
    public long this[string name] => Array.IndexOf(Names, name) is >= 0 and var at ? _amounts[at] : 0;

    public void Add(ResourceBag bag) => Add(bag.Scalars, 1);

    public void Subtract(ResourceBag bag) => Add(bag.Scalars, -1);

    /// <summary>Only what is neither reserved nor revocable.</summary>
    public void AddUnreserved(ResourceBag bag, int sign) => Add(bag.UnreservedScalars, sign);

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

    private void Add(IEnumerable<(string Name, long Milli)> scalars, int sign)
    {
        foreach (var (name, milli) in scalars)
        {
            var at = Array.IndexOf(Names, name);
            if (at >= 0)
                _amounts[at] += sign * milli;
        }
    }
}
