using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>From one version of a zone to the next: what IXFR sends (RFC 1995, 4).</summary>
/// <param name="From">The older version's SOA.</param>
/// <param name="To">The newer one's.</param>
internal sealed record ZoneChange(Record From, Record To, IReadOnlyList<Record> Removed, IReadOnlyList<Record> Added)
{
    public int Size => Removed.Count + Added.Count;

    /// <summary>The history with one more change, the newest last, within its bounds.</summary>
    public static ZoneChange[] Append(ZoneChange[] history, ZoneChange next)
    {
        var records = next.Size;
        var from = history.Length;
        while (from > 0 && history.Length - from + 1 < DnsLimits.ZoneChangesMax && records + history[from - 1].Size <= DnsLimits.ZoneChangeRecordsMax)
            records += history[--from].Size;
        return next.Size > DnsLimits.ZoneChangeRecordsMax ? [] : [.. history[from..], next];
    }
}
