using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>
/// The records of one name and type, kept encoded as they stand in an answer to a question for that name, and in no other form: the question
/// lies at offset 12, so every owner is the pointer <c>C0 0C</c>, whatever the case the question came in. Never changed once made.
/// </summary>
internal sealed class RecordSet
{
    private const int OwnerSize = 2;
    private const int FixedSize = 10;
    private const int TtlOffset = OwnerSize + 4;
    private const int DataOffset = OwnerSize + FixedSize;
    private const int SrvNameOffset = DataOffset + 6;
    /// <summary>Bytes of an encoded A record.</summary>
    public const int AddressSize = DataOffset + 4;

    /// <summary>All records one behind the other; null for a single IPv4 address, as most names have.</summary>
    private readonly byte[]? _encoded;
    private readonly Extras? _extras;
    /// <summary>Of a single IPv4 address: TTL and address as they stand on the wire. Its other twelve bytes are always the same.</summary>
    private readonly ulong _address;

    private RecordSet(Record[] records, byte[]? encoded, Extras? extras, ulong address)
    {
        (Type, Count) = (records[0].Type, records.Length);
        (_encoded, _extras, _address) = (encoded, extras, address);
    }

    public RecordType Type { get; }
    public int Count { get; }

    /// <summary>Seconds, of all records alike.</summary>
    public uint Ttl => _encoded is null ? (uint)(_address >> 32) : BinaryPrimitives.ReadUInt32BigEndian(_encoded.AsSpan(TtlOffset));

    /// <summary>Whether the records' data hold no name that may be compressed.</summary>
    public bool IsPlain => Type is not (RecordType.Cname or RecordType.Ns or RecordType.Ptr or RecordType.Soa);

    /// <summary>Whether targets' addresses can go along.</summary>
    public bool HasTargets => _extras is { Targets.Length: > 0 };

    /// <summary>Where an alias leads, in wire form, uncompressed.</summary>
    public ReadOnlySpan<byte> AliasTarget => _extras!.Alias;

    /// <summary>Encodes records of one name, type and TTL, given without duplicates and in the order they shall have.</summary>
    /// <exception cref="ArgumentException">A record is too long for any message.</exception>
    public static RecordSet Of(Record[] records)
    {
        var first = records[0];
        if (first.Type == RecordType.A && records.Length == 1)
            return new RecordSet(records, null, null, (ulong)first.Ttl << 32 | BinaryPrimitives.ReadUInt32BigEndian(first.Rdata.Span));
        if (first.Type is RecordType.A or RecordType.Aaaa)
            return new RecordSet(records, Addresses(records), null, 0);
        // The longest record: owner, fixed part, 65535 bytes of data; a set whose record cannot be encoded cannot be built.
        var scratch = Scratch;
        var question = Query.Write(scratch, 0, first.Name.Wire, first.Type);
        var ends = new int[records.Length + 1];
        var bytes = new List<byte>();
        for (var i = 0; i < records.Length; i++)
        {
            // Each by itself, so that no record points into another: rotation may put it in front.
            var writer = new MessageWriter(scratch);
            if (!writer.Question(scratch.AsSpan(Header.Size, question - Header.Size)) || !writer.Record(records[i]))
                throw new ArgumentException($"the record {records[i].Name} {records[i].Type} does not fit a message", nameof(records));
            bytes.AddRange(scratch.AsSpan(question, writer.Position - question));
            ends[i + 1] = bytes.Count;
        }
        var stride = ends[1];
        var starts = Array.TrueForAll(ends, end => end % stride == 0) && ends[^1] == stride * records.Length ? null : ends;
        var (targets, targetOf) = first.Type == RecordType.Srv ? TargetsOf(records) : ([], null);
        var alias = first.Type == RecordType.Cname ? first.Rdata.ToArray() : [];
        var extras = starts is null && targets.Length + alias.Length == 0 ? null : new Extras(starts, targets, targetOf, alias);
        return new RecordSet(records, [.. bytes], extras, 0);
    }

    /// <summary>Writes all records, starting with another one each time; false (and nothing written) if they do not fit.</summary>
    public bool TryWrite(Span<byte> message, ref int position, int limit, uint rotation, out int first)
    {
        first = 0;
        if (_encoded is null)
        {
            if (AddressSize > limit - position)
                return false;
            WriteAddress(message.Slice(position, AddressSize));
            position += AddressSize;
            return true;
        }
        if (_encoded.Length > limit - position)
            return false;
        if (Count > 1)
            first = (int)(rotation % (uint)Count);
        var start = Start(first);
        _encoded.AsSpan(start).CopyTo(message[position..]);
        _encoded.AsSpan(0, start).CopyTo(message[(position + _encoded.Length - start)..]);
        position += _encoded.Length;
        return true;
    }

    /// <summary>
    /// For a set of addresses that not even a TCP message can carry: as many whole records as fit, starting with another one each time.
    /// </summary>
    public int WriteWindow(Span<byte> message, ref int position, int limit, uint rotation)
    {
        var at = (int)(rotation % (uint)Count);
        var count = 0;
        for (; _encoded is not null && count < Count; count++, at = (at + 1) % Count)
        {
            var record = _encoded.AsSpan(Start(at)..Start(at + 1));
            if (record.Length > limit - position)
                break;
            record.CopyTo(message[position..]);
            position += record.Length;
        }
        return count;
    }

    /// <summary>
    /// Writes the addresses of SRV targets, each owner a pointer to the target in the answer before it, until one target's addresses of one
    /// family do not fit. Returns the number of records written.
    /// </summary>
    public int WriteTargets(Span<byte> message, int answerStart, int first, ref int position, int limit)
    {
        var targets = _extras!.Targets.AsSpan();
        var (count, shift) = (0, answerStart - Start(first) + SrvNameOffset);
        for (var at = 0; at < targets.Length;)
        {
            var (size, records) = Family(at, count);
            var index = _extras.TargetOf is { } of ? of[count] : count;
            var owner = Start(index) + shift + (index >= first ? 0 : _encoded!.Length);
            if (owner > NameWire.PointerMax || size > limit - position)
                break;
            targets.Slice(at, size).CopyTo(message[position..]);
            for (var record = 0; record < size; record += size / records)
                BinaryPrimitives.WriteUInt16BigEndian(message[(position + record)..], (ushort)(0xC000 | owner));
            position += size;
            at += size;
            count += records;
        }
        return count;
    }

    /// <summary>
    /// A record's type, class, TTL, length and data: what follows its owner. For <see cref="IsPlain"/> ones.
    /// </summary>
    public ReadOnlySpan<byte> Body(int index, Span<byte> room)
    {
        if (_encoded is not null)
            return _encoded.AsSpan(Start(index) + OwnerSize, Start(index + 1) - Start(index) - OwnerSize);
        WriteAddress(room[..AddressSize]);
        return room[OwnerSize..AddressSize];
    }

    /// <summary>All records, as they were given to <see cref="Of"/> but for the pods they lead to.</summary>
    /// <param name="owner">The set's name.</param>
    public IEnumerable<Record> Records(DnsName owner) => Enumerable.Range(0, Count).Select(i => Record(owner, i));

    /// <summary>One of them.</summary>
    public Record Record(DnsName owner, int index)
    {
        if (IsPlain)
        {
            Span<byte> room = stackalloc byte[AddressSize];
            var record = new Record(owner, Type, Ttl, Body(index, room)[FixedSize..].ToArray());
            return Type == RecordType.Srv && HasTargets ? record with { Targets = Targets(record) } : record;
        }
        // Its names may lean on the question.
        var encoded = _encoded.AsSpan(Start(index)..Start(index + 1));
        var message = new byte[Header.Size + owner.Wire.Length + 4 + encoded.Length];
        var question = Query.Write(message, 0, owner.Wire, Type);
        encoded.CopyTo(message.AsSpan(question));
        new Header(0, Header.Response, 1, 1, 0, 0).Write(message);
        return Message.Read(message)!.Answers[0];
    }

    /// <summary>Whether the record at a place is this one in everything that <see cref="Record(DnsName, int)"/> gives.</summary>
    public bool Holds(int index, Record record)
    {
        if (record.Ttl != Ttl)
            return false;
        if (Type != RecordType.Srv)
            return record.Targets.Count == 0;
        var known = 0;
        for (int at = 0, count = 0; at < (_extras?.Targets.Length ?? 0);)
        {
            var (size, records) = Family(at, count);
            var owner = _extras!.TargetOf is { } of ? of[count] : count;
            if (owner == index || NameOf(owner).SequenceEqual(NameOf(index)))
            {
                for (var each = 0; each < records; each++, known++)
                {
                    if (known >= record.Targets.Count || !Is(record.Targets[known], _extras.Targets.AsSpan(at + each * (size / records), size / records), NameOf(index)))
                        return false;
                }
            }
            at += size;
            count += records;
        }
        return known == record.Targets.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Start(int index) => _extras?.Starts is { } starts ? starts[index] : _encoded!.Length / Count * index;

    private void WriteAddress(Span<byte> record)
    {
        BinaryPrimitives.WriteUInt64BigEndian(record, 0xC00C_0001_0001_0000 | _address >> 48);
        BinaryPrimitives.WriteUInt64BigEndian(record[8..], (_address >> 32 & 0xFFFF) << 48 | 0x0004_0000_0000 | (uint)_address);
    }

    /// <summary>Of an SRV record: its target, in wire form.</summary>
    private ReadOnlySpan<byte> NameOf(int index) => _encoded.AsSpan((Start(index) + SrvNameOffset)..Start(index + 1));

    /// <summary>The addresses of one family of the target whose first address is the <paramref name="number"/>-th one: bytes and records.</summary>
    private (int Size, int Records) Family(int at, int number)
    {
        var stride = SizeAt(at);
        if (_extras!.TargetOf is not { } of)
            return (stride, 1);
        var records = 1;
        while (number + records < of.Length && of[number + records] == of[number] && SizeAt(at + records * stride) == stride)
            records++;
        return (stride * records, records);
    }

    private int SizeAt(int at) => DataOffset + _extras!.Targets[at + DataOffset - 1];

    private List<Record> Targets(Record srv)
    {
        var name = srv.Target;
        var all = new List<Record>();
        for (int at = 0, number = 0; at < _extras!.Targets.Length; at += SizeAt(at), number++)
        {
            if (!NameOf(_extras.TargetOf is { } of ? of[number] : number).SequenceEqual(name.Wire))
                continue;
            var encoded = _extras.Targets.AsSpan(at, SizeAt(at));
            all.Add(new Record(name, (RecordType)encoded[3], BinaryPrimitives.ReadUInt32BigEndian(encoded[TtlOffset..]), encoded[DataOffset..].ToArray()));
        }
        return all;
    }

    private static bool Is(Record address, ReadOnlySpan<byte> encoded, ReadOnlySpan<byte> name) =>
        (byte)address.Type == encoded[3] && address.Ttl == BinaryPrimitives.ReadUInt32BigEndian(encoded[TtlOffset..])
        && address.Rdata.Span.SequenceEqual(encoded[DataOffset..]) && address.Name.Wire.SequenceEqual(name);

    private static byte[] Addresses(ReadOnlySpan<Record> records)
    {
        var stride = DataOffset + records[0].Rdata.Length;
        var all = new byte[stride * records.Length];
        for (var i = 0; i < records.Length; i++)
            Encode(records[i], all.AsSpan(i * stride));
        return all;
    }

    private static void Encode(Record address, Span<byte> at)
    {
        BinaryPrimitives.WriteUInt16BigEndian(at, 0xC000 | Header.Size);
        BinaryPrimitives.WriteUInt16BigEndian(at[2..], (ushort)address.Type);
        BinaryPrimitives.WriteUInt16BigEndian(at[4..], Query.ClassIn);
        BinaryPrimitives.WriteUInt32BigEndian(at[TtlOffset..], address.Ttl);
        BinaryPrimitives.WriteUInt16BigEndian(at[10..], (ushort)address.Rdata.Length);
        address.Rdata.Span.CopyTo(at[DataOffset..]);
    }

    /// <summary>The addresses of each target once, family by family, and which record each of them belongs to (null: one for each in order).</summary>
    private static (byte[] Targets, int[]? TargetOf) TargetsOf(Record[] records)
    {
        var (all, of, seen) = (new List<Record>(), new List<int>(), new HashSet<DnsName>());
        for (var i = 0; i < records.Length; i++)
        {
            if (records[i].Targets.Count == 0 || !seen.Add(records[i].Target))
                continue;
            foreach (var type in (ReadOnlySpan<RecordType>)[RecordType.A, RecordType.Aaaa])
            {
                foreach (var address in records[i].Targets.Where(r => r.Type == type).Distinct())
                {
                    all.Add(address);
                    of.Add(i);
                }
            }
        }
        var encoded = new byte[all.Sum(a => DataOffset + a.Rdata.Length)];
        var at = 0;
        foreach (var address in all)
        {
            Encode(address, encoded.AsSpan(at));
            at += DataOffset + address.Rdata.Length;
        }
        return (encoded, of.SequenceEqual(Enumerable.Range(0, records.Length)) ? null : [.. of]);
    }

    [ThreadStatic]
    private static byte[]? ScratchBuffer;
    private static byte[] Scratch => ScratchBuffer ??= new byte[Header.Size + 2 * NameWire.SizeMax + 16 + 65536];

    /// <summary>What few sets have.</summary>
    private sealed class Extras(int[]? starts, byte[] targets, int[]? targetOf, byte[] alias)
    {
        /// <summary>Where each record starts, and the end; null when all are of one size.</summary>
        public readonly int[]? Starts = starts;
        /// <summary>Encoded addresses of SRV targets; their owners are written into the answer.</summary>
        public readonly byte[] Targets = targets;
        /// <summary>For each of those the first SRV record that names its target; null: the records in order.</summary>
        public readonly int[]? TargetOf = targetOf;
        /// <summary>Of a CNAME: its target.</summary>
        public readonly byte[] Alias = alias;
    }
}
