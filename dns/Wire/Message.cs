using System.Buffers.Binary;

namespace Declarative.Dns.Wire;

/// <summary>A message taken apart: for clients of the codec (load generator, simulated resolvers, tests). Malformed input gives null.</summary>
internal sealed record Message(
    Header Header, DnsName Question, RecordType Type, IReadOnlyList<Record> Answers, IReadOnlyList<Record> Authorities, IReadOnlyList<Record> Additionals)
{
    /// <summary>The upper eight bits of the response code come from OPT.</summary>
    public ResponseCode Code { get; private init; }
    /// <summary>The OPT record's payload size; 0 without OPT.</summary>
    public int PayloadSize { get; private init; }
    /// <summary>The question's name as it came, in its own case.</summary>
    public ReadOnlyMemory<byte> QuestionWire { get; private init; }

    public bool Truncated => (Header.Flags & Header.Truncated) != 0;
    public bool Authoritative => (Header.Flags & Header.Authoritative) != 0;

    public static Message? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < Header.Size)
            return null;
        var header = Header.Read(bytes);
        if (header.Questions > 1)
            return null;
        var at = Header.Size;
        Span<byte> name = stackalloc byte[NameWire.SizeMax];
        ReadOnlyMemory<byte> question = new byte[1];
        RecordType type = default;
        if (header.Questions == 1)
        {
            var length = NameWire.Expand(bytes, ref at, name);
            if (length < 0 || at + 4 > bytes.Length)
                return null;
            question = name[..length].ToArray();
            type = (RecordType)BinaryPrimitives.ReadUInt16BigEndian(bytes[at..]);
            at += 4;
        }
        var sections = new List<Record>[3];
        ResponseCode code = header.Code;
        var payload = 0;
        for (var section = 0; section < 3; section++)
        {
            sections[section] = [];
            var count = section switch { 0 => header.Answers, 1 => header.Authorities, _ => header.Additionals };
            for (var i = 0; i < count; i++)
            {
                if (ReadRecord(bytes, ref at, name) is not { } record)
                    return null;
                if (record.Type != RecordType.Opt)
                {
                    sections[section].Add(record);
                    continue;
                }
                code = (ResponseCode)((int)code | (int)(record.Ttl >> 24) << 4);
                payload = BinaryPrimitives.ReadUInt16BigEndian(record.Rdata.Span);
            }
        }
        return at != bytes.Length
            ? null
            : new Message(header, DnsName.FromWire(question.Span), type, sections[0], sections[1], sections[2])
            {
                Code = code,
                PayloadSize = payload,
                QuestionWire = question,
            };
    }

    private static Record? ReadRecord(ReadOnlySpan<byte> bytes, ref int at, Span<byte> name)
    {
        var length = NameWire.Expand(bytes, ref at, name);
        if (length < 0 || at + 10 > bytes.Length)
            return null;
        var owner = DnsName.FromWire(name[..length]);
        var type = (RecordType)BinaryPrimitives.ReadUInt16BigEndian(bytes[at..]);
        var recordClass = bytes.Slice(at + 2, 2);
        var ttl = BinaryPrimitives.ReadUInt32BigEndian(bytes[(at + 4)..]);
        var end = at + 10 + BinaryPrimitives.ReadUInt16BigEndian(bytes[(at + 8)..]);
        at += 10;
        if (end > bytes.Length)
            return null;
        // The class of OPT is its payload size; kept as its data here.
        var data = type == RecordType.Opt ? recordClass.ToArray() : ReadData(bytes[..end], at, type, name);
        at = end;
        return data is null ? null : new Record(owner, type, ttl, data);
    }

    /// <summary>Record data with its names expanded.</summary>
    private static byte[]? ReadData(ReadOnlySpan<byte> bytes, int at, RecordType type, Span<byte> name)
    {
        var (fixedBefore, names, fixedAfter) = type switch
        {
            RecordType.Cname or RecordType.Ns or RecordType.Ptr or RecordType.Dname => (0, 1, 0),
            // Others' records that may hold compressed names (RFC 3597, 4).
            RecordType.Mx or RecordType.Afsdb or RecordType.Kx => (2, 1, 0),
            RecordType.Minfo or RecordType.Rp => (0, 2, 0),
            RecordType.Srv => (6, 1, 0),
            RecordType.Soa => (0, 2, 20),
            _ => (bytes.Length - at, 0, 0),
        };
        if (at + fixedBefore > bytes.Length)
            return null;
        var data = new List<byte>();
        data.AddRange(bytes.Slice(at, fixedBefore));
        at += fixedBefore;
        for (; names > 0; names--)
        {
            var length = NameWire.Expand(bytes, ref at, name);
            if (length < 0)
                return null;
            data.AddRange(name[..length]);
        }
        if (at + fixedAfter != bytes.Length)
            return null;
        data.AddRange(bytes[at..]);
        return type switch
        {
            RecordType.A when data.Count != 4 => null,
            RecordType.Aaaa when data.Count != 16 => null,
            _ => [.. data],
        };
    }
}
