using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>All zones served, at one moment. Immutable; a version shares everything with the one before it but the names that changed.</summary>
internal sealed class ZoneSnapshot(NameMap names, Zone[] zones, long version)
{
    public static readonly ZoneSnapshot Empty = new(NameMap.Empty, [], 0);

    public NameMap Names => names;
    public IReadOnlyList<Zone> Zones => zones;
    public long Version => version;

    /// <summary>Whether some zone is too old to be answered.</summary>
    public bool HasExpired { get; } = zones.Any(z => z.Trust == ZoneTrust.Expired);

    /// <summary>The zone a folded wire-form name belongs to: of several, the one with the longest apex.</summary>
    public Zone? ZoneOf(ReadOnlySpan<byte> folded)
    {
        Zone? best = null;
        foreach (var zone in zones)
        {
            if (DnsName.SuffixStart(folded, zone.Apex.Wire) >= 0 && (best is null || zone.Apex.Wire.Length > best.Apex.Wire.Length))
                best = zone;
        }
        return best;
    }

    /// <summary>The zones as text, one record a line, ordered by zone, name, type and data.</summary>
    public IEnumerable<string> Lines()
    {
        var entries = names.Sorted();
        foreach (var zone in zones)
        {
            yield return zone.Soa.ToString();
            foreach (var entry in entries)
            {
                if (ZoneOf(entry.Wire) != zone)
                    continue;
                foreach (var record in entry.Records)
                    yield return record.ToString();
            }
        }
    }
}
