using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>
/// The zones' names as the union of what each source (a pod, a service) contributes. Changes are gathered by <see cref="Put"/> and made
/// into the next snapshot by <see cref="Publish"/>, at a cost of the names that changed. Not safe for several threads.
/// </summary>
internal sealed class ZoneContents
{
    /// <summary>After more changes at once than this the room that they took is given back.</summary>
    private const int DirtyKept = 64;

    private readonly Dictionary<string, Source> _sources = new(StringComparer.Ordinal);
    private Dictionary<DnsName, Change> _dirty = [];
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
    public void Put(string key, IReadOnlyList<Record> records)
    {
        var source = _sources.GetValueOrDefault(key);
        if (source is null && records.Count == 0)
            return;
        source ??= new Source(key, records[0].PodUid);
        foreach (var record in records)
        {
            if (ZoneIndex(record.Name) < 0)
                throw new ArgumentException($"{record.Name} lies in none of the zones served", nameof(records));
        }
        // Records of a source come grouped by name but in no order of names: compare name by name.
        var now = records.ToLookup(r => r.Name);
        var names = new List<byte[]>(now.Count);
        foreach (var name in source.Names.Select(DnsName.FromFolded).Union(now.Select(g => g.Key)))
        {
            var entry = _names.Find(name.Wire, name.Hash);
            var change = _dirty.GetValueOrDefault(name);
            Record[] given = [.. now[name].Order(EntryBuilder.Order)];
            if (!Same([.. Known(source, change, entry).Order(EntryBuilder.Order)], given))
            {
                // One array of bytes stands for a name wherever it is needed.
                if (change is null)
                    _dirty[name] = change = new Change(entry?.Wire ?? name.WireArray, [.. entry?.Contributions ?? []]);
                change.Contributions.RemoveAll(c => ReferenceEquals(c.Source, source));
                change.Contributions.AddRange(given.Select(r => new Contribution(source, r)));
            }
            if (given.Length > 0)
                names.Add(change?.Wire ?? entry!.Wire);
        }
        source.Names = [.. names];
        if (records.Count == 0)
            _sources.Remove(key);
        else
            _sources[key] = source;
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
        foreach (var (key, change) in _dirty)
        {
            var name = change.Wire == key.WireArray ? key : DnsName.FromFolded(change.Wire);
            var before = editor.Find(name);
            var mark = MarkFor(before, change.Contributions, withdrawals, now);
            var entry = new NameEntry(name, change.Contributions, before?.Children ?? 0, mark);
            var (removed, added) = touched[ZoneIndex(name)] ??= ([], []);
            if (KeepsChanges)
            {
                Record[] old = [.. before?.Records ?? []], young = [.. entry.Records];
                removed.AddRange(old.Except(young));
                added.AddRange(young.Except(old));
            }
            Store(editor, name, before, entry);
        }
        if (_dirty.Count > DirtyKept)
            _dirty = [];
        else
            _dirty.Clear();
        _names = editor.Freeze();
        _zones = [.. _zones.Select((zone, i) => touched[i] is not { } change ? zone : zone.Next(KeepsChanges ? change : null))];
        Current = new ZoneSnapshot(_names, _zones, ++_version);
        return withdrawals;
    }

    private static IEnumerable<Record> Known(Source source, Change? change, NameEntry? entry) =>
        (change is not null ? change.Contributions.Where(c => ReferenceEquals(c.Source, source)) : entry?.Of(source) ?? []).Select(c => c.Record);

    private void Store(NameMap.Editor editor, DnsName name, NameEntry? before, NameEntry entry)
    {
        var exists = entry.HasRecords || entry.Children > 0;
        if (exists)
            editor.Set(entry);
        else if (before is not null)
            editor.Remove(name);
        if (exists == before is not null || ZoneIndex(name) is var zone && _zones[zone].Apex.Equals(name))
            return;
        // A name that came or went changes the number of names below its parent, which may make or end an empty non-terminal.
        var step = exists ? 1 : -1;
        var parentName = name.Parent;
        var parent = editor.Find(parentName);
        Store(editor, parentName, parent, parent?.WithChildren(parent.Children + step) ?? new NameEntry(parentName, [], step, null));
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
        foreach (var record in before?.Mark is null ? [] : before.LeadingElsewhere(have))
        {
            ttl = Math.Max(ttl ?? 0, record.Ttl);
            var address = record.Type is RecordType.A or RecordType.Aaaa ? record : record.Targets.FirstOrDefault();
            withdrawals.Add(new Withdrawal(record.PodUid!, address?.Address.ToString() ?? "", record.Ttl, before!.Mark!));
        }
        if (before?.Mark is { } ended && ttl is { } seconds)
        {
            // Looking also cuts off what has expired: names that change for weeks do not gather marks.
            ended.Last(now, seconds * AnswerMark.TicksPerSecond);
            return have.Count > 0 ? new AnswerMark(ended, now) : null;
        }
        return before?.Mark ?? (have.Count > 0 ? new AnswerMark(null, now) : null);
    }

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

    /// <summary>What is said of a name from the next version on.</summary>
    private sealed record Change(byte[] Wire, List<Contribution> Contributions);
}

/// <summary>A pod that a name no longer leads to, and the mark that tells when an answer last did.</summary>
internal readonly record struct Withdrawal(string PodUid, string Address, uint Ttl, AnswerMark Mark);
