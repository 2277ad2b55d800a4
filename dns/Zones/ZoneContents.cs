using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>
/// The zones' names as the union of what each source (a pod, a service) contributes. Changes are gathered by <see cref="Put"/> and made
/// into the next snapshot by <see cref="Publish"/>, at a cost of the names that changed. Not safe for several threads.
/// </summary>
internal sealed class ZoneContents
{
    private readonly Dictionary<string, Record[]> _sources = new(StringComparer.Ordinal);
    private readonly Dictionary<DnsName, List<Contribution>> _dirty = [];
    private Zone[] _zones;
    private NameMap _names = NameMap.Empty;
    private long _version;
    private bool _trustChanged;

    /// <param name="zones">The zones; the serial starts at <paramref name="serial"/> and grows by one per change.</param>
    /// <param name="serial">Should grow from one start of the server to the next: seconds since 1970.</param>
    public ZoneContents(IEnumerable<ZoneAuthority> zones, uint serial)
    {
        _zones = [.. zones.Select(z => new Zone(z, serial))];
        foreach (var zone in _zones)
            Put("zone/" + zone.Apex, [Record.OfName(zone.Apex, RecordType.Ns, zone.Times.Ttl, zone.Authority.Server)]);
        Current = ZoneSnapshot.Empty;
        Publish(0);
    }

    public ZoneSnapshot Current { get; private set; }

    /// <summary>Whether the zones keep their last changes, for secondaries.</summary>
    public bool KeepsChanges { get; init; }

    /// <summary>Replaces what a source contributes; no records: the source is gone. Each name must lie within a zone.</summary>
    public void Put(string source, IReadOnlyList<Record> records)
    {
        var before = _sources.GetValueOrDefault(source, []);
        if (Same(before, records))
            return;
        foreach (var record in records)
        {
            if (ZoneIndex(record.Name) < 0)
                throw new ArgumentException($"{record.Name} lies in none of the zones served", nameof(records));
        }
        // Records of a source come grouped by name but in no order of names: compare name by name.
        var old = before.ToLookup(r => r.Name);
        var now = records.ToLookup(r => r.Name);
        foreach (var name in old.Select(g => g.Key).Concat(now.Select(g => g.Key)).Distinct())
        {
            if (Same([.. old[name]], [.. now[name]]))
                continue;
            var contributions = Dirty(name);
            contributions.RemoveAll(c => c.Source == source);
            contributions.AddRange(now[name].Select(r => new Contribution(source, r)));
        }
        if (records.Count == 0)
            _sources.Remove(source);
        else
            _sources[source] = [.. records];
    }

    public void Remove(string source) => Put(source, []);

    /// <summary>Whether <see cref="Publish"/> would make a new version.</summary>
    public bool Changed => _dirty.Count > 0 || _trustChanged;

    /// <summary>Says how far a zone may be relied on, from the next version on.</summary>
    public void Trust(DnsName apex, ZoneTrust trust)
    {
        var index = Array.FindIndex(_zones, z => z.Apex.Equals(apex));
        if (_zones[index].Trust == trust)
            return;
        _zones = [.. _zones];
        _zones[index] = _zones[index].With(trust);
        _trustChanged = true;
    }

    /// <summary>Makes the gathered changes the current snapshot; returns which pods were withdrawn from which names.</summary>
    /// <param name="now">Ticks of <see cref="AnswerMark"/>.</param>
    public IReadOnlyList<Withdrawal> Publish(long now)
    {
        if (!Changed)
            return [];
        _trustChanged = false;
        var withdrawals = new List<Withdrawal>();
        var editor = _names.Edit();
        var touched = new (List<Record> Removed, List<Record> Added)?[_zones.Length];
        foreach (var (name, contributions) in _dirty)
        {
            var before = editor.Find(name);
            var mark = MarkFor(before, contributions, withdrawals, now);
            var sets = SetsOf(contributions);
            var (removed, added) = touched[ZoneIndex(name)] ??= ([], []);
            if (KeepsChanges)
            {
                var (old, young) = (Records(before?.Sets ?? []), Records(sets));
                removed.AddRange(old.Except(young));
                added.AddRange(young.Except(old));
            }
            Store(editor, name, before, [.. contributions], sets, before?.Children ?? 0, mark);
        }
        _dirty.Clear();
        _names = editor.Freeze();
        _zones = [.. _zones.Select((zone, i) => touched[i] is not { } change ? zone : zone.Next(KeepsChanges ? change : null))];
        Current = new ZoneSnapshot(_names, _zones, ++_version);
        return withdrawals;
    }

    private static Record[] Records(RecordSet[] sets) => [.. sets.SelectMany(s => s.Records)];

    private List<Contribution> Dirty(DnsName name)
    {
        if (!_dirty.TryGetValue(name, out var contributions))
            _dirty[name] = contributions = [.. _names.Find(name.Wire)?.Contributions ?? []];
        return contributions;
    }

    private void Store(
        NameMap.Editor editor, DnsName name, NameEntry? before, Contribution[] contributions, RecordSet[] sets, int children, AnswerMark? mark)
    {
        var exists = sets.Length > 0 || children > 0;
        if (exists)
            editor.Set(new NameEntry(name, contributions, sets, children, mark));
        else if (before is not null)
            editor.Remove(name);
        if (exists == before is not null || ZoneIndex(name) is var zone && _zones[zone].Apex.Equals(name))
            return;
        // A name that came or went changes the number of names below its parent, which may make or end an empty non-terminal.
        var parentName = name.Parent;
        var parent = editor.Find(parentName);
        Store(editor, parentName, parent, parent?.Contributions ?? [], parent?.Sets ?? [],
            (parent?.Children ?? 0) + (exists ? 1 : -1), parent?.Mark);
    }

    private int ZoneIndex(DnsName name)
    {
        var best = -1;
        for (var i = 0; i < _zones.Length; i++)
        {
            if (name.IsWithin(_zones[i].Apex) && (best < 0 || _zones[i].Apex.Wire.Length > _zones[best].Apex.Wire.Length))
                best = i;
        }
        return best;
    }

    private static AnswerMark? MarkFor(NameEntry? before, List<Contribution> contributions, List<Withdrawal> withdrawals, long now)
    {
        var have = contributions.Where(c => c.Record.PodUid is not null).Select(c => c.Record.PodUid!).ToHashSet(StringComparer.Ordinal);
        long? ttl = null;
        foreach (var (_, record) in before?.Contributions ?? [])
        {
            if (record.PodUid is not { } uid || have.Contains(uid) || before!.Mark is not { } mark)
                continue;
            ttl = Math.Max(ttl ?? 0, record.Ttl);
            var address = record.Type is RecordType.A or RecordType.Aaaa ? record : record.Targets.FirstOrDefault();
            withdrawals.Add(new Withdrawal(uid, address?.Address.ToString() ?? "", record.Ttl, mark));
        }
        if (before?.Mark is { } ended && ttl is { } seconds)
        {
            // Looking also cuts off what has expired: names that change for weeks do not gather marks.
            ended.Last(now, seconds * AnswerMark.TicksPerSecond);
            return have.Count > 0 ? new AnswerMark(ended, now) : null;
        }
        return before?.Mark ?? (have.Count > 0 ? new AnswerMark(null, now) : null);
    }

    /// <summary>Sets by type, records by data, without duplicates; one TTL per set, the least (RFC 2181, 5.2).</summary>
    private static RecordSet[] SetsOf(List<Contribution> contributions) =>
        [.. contributions.Select(c => c.Record)
            .GroupBy(r => r.Type)
            .OrderBy(g => g.Key)
            .Select(set =>
            {
                var ttl = set.Min(r => r.Ttl);
                return RecordSet.Of([.. set.Select(r => r.Ttl == ttl ? r : r with { Ttl = ttl }).GroupBy(r => r).Select(Merge).Order(ByData)]);
            })];

    /// <summary>One record that several sources contribute: its SRV target has the addresses that any of them knows.</summary>
    private static Record Merge(IGrouping<Record, Record> same) =>
        same.Key.Type == RecordType.Srv && same.Skip(1).Any() ? same.Key with { Targets = [.. same.SelectMany(r => r.Targets).Distinct()] } : same.Key;

    private static readonly Comparer<Record> ByData = Comparer<Record>.Create((a, b) => a.Rdata.Span.SequenceCompareTo(b.Rdata.Span));

    private static bool Same(IReadOnlyList<Record> a, IReadOnlyList<Record> b)
    {
        if (a.Count != b.Count)
            return false;
        for (var i = 0; i < a.Count; i++)
        {
            if (!ReferenceEquals(a[i], b[i]) && !(a[i].Equals(b[i]) && a[i].PodUid == b[i].PodUid && a[i].Targets.SequenceEqual(b[i].Targets)))
                return false;
        }
        return true;
    }
}

/// <summary>A pod that a name no longer leads to, and the mark that tells when an answer last did.</summary>
internal readonly record struct Withdrawal(string PodUid, string Address, uint Ttl, AnswerMark Mark);
