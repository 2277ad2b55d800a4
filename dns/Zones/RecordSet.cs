using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>
/// The records of one name and type, kept encoded as they stand in an answer to a question for that name: the question lies at offset 12,
/// so every owner is the pointer <c>C0 0C</c>, whatever the case the question came in. Never changed once made.
/// </summary>
internal sealed class RecordSet
{
    private const int OwnerSize = 2;
    private const int FixedSize = 10;
    private const int SrvTargetOffset = OwnerSize + FixedSize + 6;

    /// <summary>All records one behind the other.</summary>
    private readonly byte[] _encoded;
    /// <summary>Where each record starts, and the end; null when all are of one size.</summary>
    private readonly int[]? _starts;
    private readonly TargetSet[] _targets;

    private RecordSet(Record[] records, byte[] encoded, int[]? starts, TargetSet[] targets)
    {
        Records = records;
        (Type, Count) = (records[0].Type, records.Length);
        _encoded = encoded;
        _starts = starts;
        _targets = targets;
    }

    public Record[] Records { get; }
    /// <summary>Type and number of the records, here so that an answer does not have to look at them.</summary>
    public RecordType Type { get; }
    public int Count { get; }
    public int Size => _encoded.Length;
    public int TargetSets => _targets.Length;

    /// <summary>Encodes records of one name and type, given without duplicates and in the order they shall have.</summary>
    public static RecordSet Of(Record[] records)
    {
        var first = records[0];
        if (first.Type is RecordType.A or RecordType.Aaaa)
            return new RecordSet(records, Addresses(records), null, []);
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
        return new RecordSet(records, [.. bytes], ends, first.Type == RecordType.Srv ? TargetsOf(records) : []);
    }

    /// <summary>Writes all records, starting with another one each time; false (and nothing written) if they do not fit.</summary>
    public bool TryWrite(Span<byte> message, ref int position, int limit, uint rotation, out int first)
    {
        first = Count == 1 ? 0 : (int)(rotation % (uint)Count);
        if (_encoded.Length > limit - position)
            return false;
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
        for (; count < Count; count++, at = (at + 1) % Count)
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
    /// Writes the addresses of SRV targets, each owner a pointer to the target in the answer before it, set by set until one does not fit.
    /// Returns the number of records written.
    /// </summary>
    public int WriteTargets(Span<byte> message, int answerStart, int first, ref int position, int limit)
    {
        var count = 0;
        foreach (ref readonly var target in _targets.AsSpan())
        {
            var shift = target.Index >= first ? -Start(first) : _encoded.Length - Start(first);
            var owner = answerStart + Start(target.Index) + shift + SrvTargetOffset;
            if (owner > NameWire.PointerMax || target.Encoded.Length > limit - position)
                break;
            target.Encoded.CopyTo(message[position..]);
            for (var at = 0; at < target.Encoded.Length; at += target.Stride, count++)
                BinaryPrimitives.WriteUInt16BigEndian(message[(position + at)..], (ushort)(0xC000 | owner));
            position += target.Encoded.Length;
        }
        return count;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Start(int index) => _starts is null ? _encoded.Length / Count * index : _starts[index];

    private static byte[] Addresses(ReadOnlySpan<Record> records)
    {
        var stride = OwnerSize + FixedSize + records[0].Rdata.Length;
        var all = new byte[stride * records.Length];
        for (var i = 0; i < records.Length; i++)
        {
            var at = all.AsSpan(i * stride);
            BinaryPrimitives.WriteUInt16BigEndian(at, 0xC000 | Header.Size);
            BinaryPrimitives.WriteUInt16BigEndian(at[2..], (ushort)records[i].Type);
            BinaryPrimitives.WriteUInt16BigEndian(at[4..], Query.ClassIn);
            BinaryPrimitives.WriteUInt32BigEndian(at[6..], records[i].Ttl);
            BinaryPrimitives.WriteUInt16BigEndian(at[10..], (ushort)records[i].Rdata.Length);
            records[i].Rdata.Span.CopyTo(at[12..]);
        }
        return all;
    }

    private static TargetSet[] TargetsOf(Record[] records)
    {
        var sets = new List<TargetSet>();
        var seen = new HashSet<DnsName>();
        for (var i = 0; i < records.Length; i++)
        {
            if (records[i].Targets.Count == 0 || !seen.Add(records[i].Target))
                continue;
            foreach (var type in (ReadOnlySpan<RecordType>)[RecordType.A, RecordType.Aaaa])
            {
                var addresses = records[i].Targets.Where(r => r.Type == type).Distinct().ToArray();
                if (addresses.Length > 0)
                    sets.Add(new TargetSet(i, Addresses(addresses), OwnerSize + FixedSize + addresses[0].Rdata.Length));
            }
        }
        return [.. sets];
    }

    [ThreadStatic]
    private static byte[]? ScratchBuffer;
    private static byte[] Scratch => ScratchBuffer ??= new byte[Header.Size + 2 * NameWire.SizeMax + 16 + 65536];

    /// <summary>One target's addresses of one family; <paramref name="Index"/> is the SRV record that names the target.</summary>
    private readonly record struct TargetSet(int Index, byte[] Encoded, int Stride);
}
