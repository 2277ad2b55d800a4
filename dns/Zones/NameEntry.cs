using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>
/// One name of a zone: its record sets, or none when it only has names below it (an empty non-terminal, RFC 8020). Never changed once made.
/// </summary>
internal sealed class NameEntry(DnsName name, Contribution[] contributions, RecordSet[] sets, int children, AnswerMark? mark)
{
    public readonly byte[] Wire = name.WireArray;
    public readonly uint Hash = name.Hash;
    private readonly RecordSet? _first = sets.Length > 0 ? sets[0] : null;
    public DnsName Name => name;
    /// <summary>What each source says of this name, duplicates included.</summary>
    public Contribution[] Contributions => contributions;
    public RecordSet[] Sets => sets;
    /// <summary>How many names stand directly below.</summary>
    public int Children => children;
    /// <summary>Null where no record leads to a pod.</summary>
    public AnswerMark? Mark => mark;

    public RecordSet? Find(RecordType type)
    {
        // Most names have one set: the array is not looked at for those.
        if (_first is null || _first.Type == type)
            return _first;
        foreach (var set in sets)
        {
            if (set.Type == type)
                return set;
        }
        return null;
    }
}

/// <summary>A record and the source (a pod, a service) that it was derived from.</summary>
internal readonly record struct Contribution(string Source, Record Record);
