using Declarative.Dns.Wire;

namespace Declarative.Dns.Server;

/// <summary>Answers of other servers until their TTL has passed (RFC 2308 for negative ones); bounded, the oldest go first.</summary>
internal sealed class AnswerCache(TimeProvider time, int entriesMax)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(DnsName, RecordType), (Message Message, long Stored, long Until)> _entries = [];
    private readonly Queue<((DnsName, RecordType) Key, long Stored)> _order = new();

    public int Count
    {
        get
        {
            lock (_gate)
                return _entries.Count;
        }
    }

    /// <summary>An answer with what is left of its TTLs.</summary>
    public Message? Find(DnsName name, RecordType type)
    {
        var now = time.GetTimestamp();
        (Message Message, long Stored, long Until) found;
        lock (_gate)
        {
            if (!_entries.TryGetValue((name, type), out found) || found.Until <= now)
                return null;
        }
        var age = (uint)time.GetElapsedTime(found.Stored, now).TotalSeconds;
        return age == 0 ? found.Message : found.Message with
        {
            Answers = Aged(found.Message.Answers, age),
            Authorities = Aged(found.Message.Authorities, age),
            Additionals = Aged(found.Message.Additionals, age),
        };
    }

    public void Add(DnsName name, RecordType type, Message message)
    {
        var seconds = Lifetime(message);
        if (seconds == 0)
            return;
        var now = time.GetTimestamp();
        lock (_gate)
        {
            _entries[(name, type)] = (message, now, now + seconds * time.TimestampFrequency);
            _order.Enqueue(((name, type), now));
            // An entry that was stored again has another time than its older place in the queue.
            while (_entries.Count > entriesMax || _order.Count > 2 * entriesMax)
            {
                var (key, stored) = _order.Dequeue();
                if (_entries.TryGetValue(key, out var entry) && entry.Stored == stored)
                    _entries.Remove(key);
            }
        }
    }

    /// <summary>Seconds; 0: not to be kept. A negative answer lives as long as its SOA says, one without SOA not at all.</summary>
    private static long Lifetime(Message message)
    {
        if (message.Truncated || message.Code is not (ResponseCode.NoError or ResponseCode.NxDomain))
            return 0;
        if (message.Code == ResponseCode.NoError && message.Answers.Any(r => r.Type == message.Type))
            return Math.Min(message.Answers.Min(r => r.Ttl), DnsLimits.CacheSecondsMax);
        var soa = message.Authorities.FirstOrDefault(r => r.Type == RecordType.Soa);
        if (soa is null || soa.Rdata.Length < 4)
            return 0;
        var minimum = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(soa.Rdata.Span[^4..]);
        return Math.Min(Math.Min(soa.Ttl, minimum), DnsLimits.CacheNegativeSecondsMax);
    }

    private static IReadOnlyList<Record> Aged(IReadOnlyList<Record> records, uint age) => [.. records.Select(r => r with { Ttl = r.Ttl > age ? r.Ttl - age : 0 })];
}
