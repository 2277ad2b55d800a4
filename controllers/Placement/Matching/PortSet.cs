namespace Declarative.Controllers.Placement.Matching;

/// <summary>The free ports of one agent: sorted ranges from which single ports are taken. Mutable, for one matching round.</summary>
internal sealed class PortSet
{
    private readonly List<(int Begin, int End)> _ranges = [];

    public int Count { get; private set; }

    public PortSet() { }

    public PortSet(params IEnumerable<(int Begin, int End)> ranges)
    {
        foreach (var (begin, end) in ranges) Add(begin, end);
    }

    public void Add(int begin, int end)
    {
        if (begin > end) return;
        var at = 0;
        while (at < _ranges.Count && _ranges[at].Begin < begin) at++;
        _ranges.Insert(at, (begin, end));
        Count += end - begin + 1;
    }

    public PortSet Clone() => new(_ranges);

    public bool Contains(int port) => Find(port) >= 0;

    public bool Take(int port)
    {
        var at = Find(port);
        if (at < 0) return false;
        var (begin, end) = _ranges[at];
        _ranges.RemoveAt(at);
        if (port < end) _ranges.Insert(at, (port + 1, end));
        if (begin < port) _ranges.Insert(at, (begin, port - 1));
        Count--;
        return true;
    }

    /// <summary>One of the free ports, each with the same chance; 0 where there is none.</summary>
    public int TakeRandom(Random random)
    {
        if (Count == 0) return 0;
        var skip = random.Next(Count);
        foreach (var (begin, end) in _ranges)
        {
            var size = end - begin + 1;
            if (skip < size)
            {
                Take(begin + skip);
                return begin + skip;
            }
            skip -= size;
        }
        return 0;
    }

    public override string ToString() => Count == 0 ? "none" : string.Join(",", _ranges.Select(x => x.Begin == x.End ? $"{x.Begin}" : $"{x.Begin}-{x.End}"));

    private int Find(int port)
    {
        for (var i = 0; i < _ranges.Count; i++)
        {
            if (_ranges[i].Begin > port) return -1;
            if (port <= _ranges[i].End) return i;
        }
        return -1;
    }
}
