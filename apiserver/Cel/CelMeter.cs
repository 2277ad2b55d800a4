namespace Declarative.ApiServer.Cel;

/// <summary>Counts the cost of an evaluation and ends it at its limit.</summary>
internal sealed class CelMeter(long limit)
{
    private long _tenths;

    public long Cost => _tenths / 10;

    public void Step() => Add(10);

    /// <summary>Characters or elements that are read one by one.</summary>
    public void Read(long size) => Add(Math.Max(size, 1));

    /// <summary>For work that grows with a product, such as a search of one text in another.</summary>
    public void Read(long size, long times) => Add(Math.Max(size, 1) * (Math.Max(times, 1) / 10 + 1));

    /// <summary>A value that is made: it costs memory too.</summary>
    public void Make(long size)
    {
        if (size > CelLimits.ValueSizeMax) throw new CelException($"a value of {size} characters or elements is more than {CelLimits.ValueSizeMax}");
        Add(Math.Max(size, 1));
    }

    /// <summary>Work whose cost is known beforehand.</summary>
    public void Spend(long cost) => Add(cost * 10);

    private void Add(long tenths)
    {
        _tenths += tenths;
        if (_tenths / 10 > limit) throw new CelCostException();
    }
}
