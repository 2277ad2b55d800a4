using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>From what the sources say of one name to its record sets, and who has which part in them. Pure.</summary>
internal static class EntryBuilder
{
    /// <summary>By type, then data, then pod: the order that records have in a name.</summary>
    public static readonly Comparer<Record> Order = Comparer<Record>.Create(static (a, b) =>
        a.Type != b.Type ? ((ushort)a.Type).CompareTo((ushort)b.Type)
        : a.Rdata.Span.SequenceCompareTo(b.Rdata.Span) is var data and not 0 ? data
        : string.CompareOrdinal(a.PodUid, b.PodUid));

    /// <summary>Sets by type, records by data, without duplicates; one TTL per set, the least (RFC 2181, 5.2).</summary>
    public static (RecordSet[] Sets, Share[] Shares) Build(IReadOnlyList<Contribution> contributions)
    {
        var all = contributions.ToArray();
        Array.Sort(all, static (a, b) => Order.Compare(a.Record, b.Record));
        var (sets, firsts, others) = (new List<RecordSet>(1), new List<Share>(all.Length), new List<Share>());
        for (int start = 0, end; start < all.Length; start = end)
        {
            end = start + 1;
            while (end < all.Length && all[end].Record.Type == all[start].Record.Type)
                end++;
            Add(all.AsSpan(start..end), sets, firsts, others);
        }
        return ([.. sets], [.. firsts, .. others]);
    }

    private static void Add(ReadOnlySpan<Contribution> sameType, List<RecordSet> sets, List<Share> firsts, List<Share> others)
    {
        var ttl = uint.MaxValue;
        foreach (var (_, record) in sameType)
            ttl = Math.Min(ttl, record.Ttl);
        var records = new List<Record>(sameType.Length);
        foreach (var (_, record) in sameType)
        {
            var next = record.Ttl == ttl ? record : record with { Ttl = ttl };
            if (records.Count == 0 || !records[^1].Equals(next))
                records.Add(next);
            else if (next.Type == RecordType.Srv)
                // The target has the addresses that any of the sources knows.
                records[^1] = next with { Targets = [.. records[^1].Targets.Union(next.Targets)] };
        }
        var set = RecordSet.Of([.. records]);
        var (before, number) = (firsts.Count, -1);
        foreach (var (source, record) in sameType)
        {
            var isFirst = number < 0 || !record.Rdata.Span.SequenceEqual(records[number].Rdata.Span);
            if (isFirst)
                number++;
            object? detail = !set.Holds(number, record) ? record : isFirst ? record.PodUid : new Again(before + number, record.PodUid);
            (isFirst ? firsts : others).Add(new Share(source, detail));
        }
        sets.Add(set);
    }
}
