using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>Records of one source as they are made; one whose owner is no domain name is left out.</summary>
internal sealed class RecordList
{
    private readonly List<Record> _all = [];
    public IReadOnlyList<Record> All => _all;

    public Record? Add(string owner, Func<DnsName, Record> make)
    {
        if (!DnsName.TryParse(owner, out var name))
            return null;
        var record = make(name);
        _all.Add(record);
        return record;
    }
}
