using System.Collections;
using System.Text;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Resources;

/// <summary>A set of whole numbers as sorted ranges that neither overlap nor touch; both ends belong to a range. Immutable.</summary>
public sealed class RangeSet : IEnumerable<(ulong Begin, ulong End)>
{
    public static readonly RangeSet Empty = new([]);

    private readonly (ulong Begin, ulong End)[] ranges;

    private RangeSet((ulong, ulong)[] ranges) => this.ranges = ranges;

    public bool IsEmpty => ranges.Length == 0;

    /// <summary>How many numbers belong to the set.</summary>
    public ulong Count
    {
        get
        {
            ulong count = 0;
            foreach (var (begin, end) in ranges)
                count += end - begin + 1;
            return count;
        }
    }

    public static RangeSet Of(ulong begin, ulong end) => begin <= end ? new([(begin, end)]) : Empty;

    public static RangeSet Of(Value.Types.Ranges? ranges) =>
        ranges is null ? Empty : Of(ranges.Range.Where(range => range.Begin <= range.End).Select(range => (range.Begin, range.End)));

    public static RangeSet Of(IEnumerable<(ulong Begin, ulong End)> parts)
    {
        var sorted = parts.ToArray();
        if (sorted.Length == 0)
            return Empty;
        Array.Sort(sorted);
        var kept = 0;
        for (var i = 1; i < sorted.Length; i++)
        {
            ref var last = ref sorted[kept];
            if (sorted[i].Begin <= last.End || sorted[i].Begin == last.End + 1)
                last.End = Math.Max(last.End, sorted[i].End);
            else
                sorted[++kept] = sorted[i];
        }

        return new(sorted[..(kept + 1)]);
    }

    public bool Contains(ulong number)
    {
        var at = FirstEndingAtOrAfter(number);
        return at < ranges.Length && ranges[at].Begin <= number;
    }

    public bool Contains(RangeSet other)
    {
        foreach (var (begin, end) in other.ranges)
        {
            var at = FirstEndingAtOrAfter(begin);
            if (at == ranges.Length || ranges[at].Begin > begin || ranges[at].End < end)
                return false;
        }

        return true;
    }

    public RangeSet Add(RangeSet other) =>
        other.IsEmpty ? this
        : IsEmpty ? other
        : Of(ranges.Concat(other.ranges));

    public RangeSet Subtract(RangeSet other)
    {
        if (IsEmpty || other.IsEmpty)
            return this;
        List<(ulong, ulong)> left = [];
        var cut = 0;
        foreach (var (begin, end) in ranges)
        {
            var from = begin;
            var used = false;
            while (cut < other.ranges.Length && other.ranges[cut].End < from)
                cut++;
            for (var i = cut; i < other.ranges.Length && other.ranges[i].Begin <= end; i++)
            {
                var (holeBegin, holeEnd) = other.ranges[i];
                if (holeBegin > from)
                    left.Add((from, holeBegin - 1));
                if (holeEnd >= end)
                {
                    used = true;
                    break;
                }

                from = holeEnd + 1;
            }

            if (!used)
                left.Add((from, end));
        }

        return left.Count == 0 ? Empty : new([.. left]);
    }

    public Value.Types.Ranges ToProtocol()
    {
        var message = new Value.Types.Ranges();
        foreach (var (begin, end) in ranges)
            message.Range.Add(new Value.Types.Range { Begin = begin, End = end });
        return message;
    }

    public IEnumerator<(ulong Begin, ulong End)> GetEnumerator() => ((IEnumerable<(ulong, ulong)>)ranges).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>As Mesos prints it: <c>[31000-31005, 31007-31007]</c>.</summary>
    public override string ToString()
    {
        var text = new StringBuilder("[");
        foreach (var (begin, end) in ranges)
            text.Append(text.Length > 1 ? ", " : "").Append(begin).Append('-').Append(end);
        return text.Append(']').ToString();
    }

    private int FirstEndingAtOrAfter(ulong number)
    {
        var (low, high) = (0, ranges.Length);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (ranges[middle].End < number)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
