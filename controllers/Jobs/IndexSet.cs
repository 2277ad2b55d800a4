using System.Globalization;
using System.Text;

namespace Declarative.Controllers.Jobs;

/// <summary>Completion indexes in Kubernetes' text form: ascending, runs as <c>first-last</c>, such as <c>1,3-5,7</c>.</summary>
internal sealed class IndexSet
{
    private readonly SortedSet<int> _indexes = [];

    public int Count => _indexes.Count;

    public bool Contains(int index) => _indexes.Contains(index);

    public bool Add(int index) => _indexes.Add(index);

    public IEnumerable<int> Indexes => _indexes;

    /// <summary>Indexes of <paramref name="end"/> and above are left out: an elastic job that shrank forgets them.</summary>
    public static IndexSet Parse(string? text, int end)
    {
        var set = new IndexSet();
        foreach (var part in (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var dash = part.IndexOf('-', StringComparison.Ordinal);
            if (!Number(dash < 0 ? part : part[..dash], out var first)) continue;
            var last = first;
            if (dash >= 0 && !Number(part[(dash + 1)..], out last)) continue;
            for (var i = first; i <= last && i < end; i++) set.Add(i);
        }
        return set;
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        int? first = null;
        var last = 0;
        foreach (var index in _indexes)
        {
            if (first is not null && index == last + 1)
            {
                last = index;
                continue;
            }
            Run();
            (first, last) = (index, index);
        }
        Run();
        return text.ToString();

        void Run()
        {
            if (first is not { } from) return;
            if (text.Length > 0) text.Append(',');
            text.Append(CultureInfo.InvariantCulture, $"{from}");
            if (last > from) text.Append(CultureInfo.InvariantCulture, $"{(last == from + 1 ? ',' : '-')}{last}");
        }
    }

    private static bool Number(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
