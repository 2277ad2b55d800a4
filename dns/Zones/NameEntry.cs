using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>
/// One name of a zone: its record sets, or none when it only has names below it (an empty non-terminal, RFC 8020); and who contributes what.
/// Never changed once made. There may be a million of them: records are not held beside their encoded form.
/// </summary>
internal sealed class NameEntry
{
    public readonly byte[] Wire;
    public readonly uint Hash;
    private readonly int _children;
    /// <summary>Null, one set, or an array of them.</summary>
    private readonly object? _sets;
    /// <summary>
    /// Null; of a name with one record the <see cref="Source"/> itself (it leads to that source's pod) or a <see cref="Lone"/>; else an array:
    /// first the contributor of each record, set by set, then those who contribute a record that is there already.
    /// </summary>
    private readonly object? _shares;
    private readonly AnswerMark? _mark;

    /// <param name="name">The name.</param>
    /// <param name="contributions">What each source says of it, duplicates included.</param>
    /// <param name="children">How many names stand directly below.</param>
    /// <param name="mark">Null where no record leads to a pod.</param>
    public NameEntry(DnsName name, IReadOnlyList<Contribution> contributions, int children, AnswerMark? mark)
    {
        (Wire, Hash, _children, _mark) = (name.WireArray, name.Hash, children, mark);
        if (contributions.Count == 0)
            return;
        var (sets, shares) = EntryBuilder.Build(contributions);
        _sets = sets.Length == 1 ? sets[0] : sets;
        _shares = shares is not [var only] || only.Detail is Record ? shares
            : only.Detail as string == only.Source.PodUid ? only.Source
            : new Lone(only);
    }

    private NameEntry(NameEntry before, int children)
    {
        (Wire, Hash, _sets, _shares, _mark) = (before.Wire, before.Hash, before._sets, before._shares, before._mark);
        _children = children;
    }

    public DnsName Name => DnsName.FromFolded(Wire);
    /// <summary>How many names stand directly below.</summary>
    public int Children => _children;
    /// <summary>Null where no record leads to a pod.</summary>
    public AnswerMark? Mark => _mark;
    public bool HasRecords => _sets is not null;

    /// <summary>Ordered by type.</summary>
    public IReadOnlyList<RecordSet> Sets => _sets switch
    {
        null => [],
        RecordSet one => [one],
        _ => (RecordSet[])_sets,
    };

    public IEnumerable<Record> Records => Sets.SelectMany(s => s.Records(Name));

    /// <summary>What each source says, duplicates included.</summary>
    public IEnumerable<Contribution> Contributions => Select(static _ => true);

    public NameEntry WithChildren(int children) => new(this, children);

    public RecordSet? Find(RecordType type)
    {
        if (_sets is RecordSet one)
            return one.Type == type ? one : null;
        foreach (var set in _sets as RecordSet[] ?? [])
        {
            if (set.Type == type)
                return set;
        }
        return null;
    }

    /// <summary>The set of the lowest type; null where there is none.</summary>
    public RecordSet? First => _sets as RecordSet ?? (_sets as RecordSet[])?[0];

    /// <summary>What one source says.</summary>
    public IEnumerable<Contribution> Of(Source source) => Select(share => ReferenceEquals(share.Source, source));

    /// <summary>What leads to other pods than these.</summary>
    public IEnumerable<Record> LeadingElsewhere(IReadOnlySet<string> pods) =>
        Select(share => share.PodUid is { } uid && !pods.Contains(uid)).Select(c => c.Record);

    private IEnumerable<Contribution> Select(Predicate<Share> wanted)
    {
        if (_shares is not Share[] shares)
        {
            var lone = _shares is Source source ? new Share(source, source.PodUid) : (_shares as Lone)?.Share;
            shares = lone is { } only ? [only] : [];
        }
        DnsName? name = null;
        for (var i = 0; i < shares.Length; i++)
        {
            if (!wanted(shares[i]))
                continue;
            if (shares[i].Detail is not Record record)
            {
                name ??= Name;
                record = At(name, (shares[i].Detail as Again)?.Number ?? i) with { PodUid = shares[i].PodUid };
            }
            yield return new Contribution(shares[i].Source, record);
        }
    }

    private Record At(DnsName name, int number)
    {
        foreach (var set in Sets)
        {
            if (number < set.Count)
                return set.Record(name, number);
            number -= set.Count;
        }
        throw new ArgumentOutOfRangeException(nameof(number), number, $"{name} has fewer records");
    }

    private sealed class Lone(Share share)
    {
        public readonly Share Share = share;
    }
}

/// <summary>Whoever contributes records: a pod, a service, an agent.</summary>
/// <param name="key">Tells it from all others.</param>
/// <param name="podUid">The pod that its records led to when it came; null for none.</param>
internal sealed class Source(string key, string? podUid)
{
    public string Key => key;
    public string? PodUid => podUid;
    /// <summary>The names it contributes to, in wire form.</summary>
    public byte[][] Names = [];
}

/// <summary>A record and the source that it was derived from.</summary>
internal readonly record struct Contribution(Source Source, Record Record);

/// <summary>A source's part in a name.</summary>
/// <param name="Source">Who.</param>
/// <param name="Detail">
/// The uid of the pod that the record at the same place leads to (null: none); an <see cref="Again"/> for another one's place; or the
/// <see cref="Record"/> as the source gave it, where what is answered differs: a longer TTL, other addresses of an SRV target.
/// </param>
internal readonly record struct Share(Source Source, object? Detail)
{
    public string? PodUid => Detail switch
    {
        string uid => uid,
        Again again => again.PodUid,
        Record record => record.PodUid,
        _ => null,
    };
}

/// <summary>A record that another source contributes too: its number among the name's records.</summary>
internal sealed record Again(int Number, string? PodUid);
