namespace Declarative.Controllers.Placement;

/// <summary>How often each thing happened since the start: a campaign in which one never occurs has not tested it.</summary>
public sealed class PlacementCounters
{
    private readonly SortedDictionary<string, long> _counts = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();

    internal void Add(string name, long by = 1)
    {
        lock (_lock) _counts[name] = _counts.GetValueOrDefault(name) + by;
    }

    public long this[string name]
    {
        get
        {
            lock (_lock) return _counts.GetValueOrDefault(name);
        }
    }

    /// <summary>All counts in ordinal order of their names.</summary>
    public IReadOnlyList<KeyValuePair<string, long>> Snapshot()
    {
        lock (_lock) return [.. _counts];
    }
}
