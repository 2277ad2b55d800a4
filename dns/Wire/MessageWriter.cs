using System.Buffers.Binary;

namespace Declarative.Dns.Wire;

/// <summary>
/// Writes a message into a buffer of the caller's: header, question, records with compressed names. A record that does not fit
/// is not written at all and leaves the position where it was.
/// </summary>
internal ref struct MessageWriter
{
    /// <summary>Offsets of names written so far that later ones may point to: enough for any answer this server makes.</summary>
    private const int OffsetsMax = 32;

    private readonly Span<byte> _buffer;
    private OffsetTable _offsets;
    private int _offsetCount;

    /// <param name="buffer">The whole message's place; its first twelve bytes are left for the header.</param>
    public MessageWriter(Span<byte> buffer)
    {
        _buffer = buffer;
        Position = Header.Size;
    }

    /// <summary>Goes on in a message whose question stands already; names are compressed against the question.</summary>
    public static MessageWriter Continue(Span<byte> buffer, int position, int questionNameLength)
    {
        var writer = new MessageWriter(buffer);
        writer.Remember(buffer.Slice(Header.Size, questionNameLength), Header.Size);
        writer.Position = position;
        return writer;
    }

    /// <summary>Bytes written, the header included.</summary>
    public int Position { get; private set; }

    /// <summary>Copies a question as it came (name in its own case, type, class), so that the answer keeps the case (0x20).</summary>
    public bool Question(ReadOnlySpan<byte> question)
    {
        if (question.Length > _buffer.Length - Position)
            return false;
        question.CopyTo(_buffer[Position..]);
        Remember(question[..^4], Position);
        Position += question.Length;
        return true;
    }

    /// <summary>Writes one record; its own name, and names in NS, CNAME, PTR and SOA data, are compressed (RFC 3597, 4).</summary>
    public bool Record(Record record)
    {
        int start = Position, known = _offsetCount;
        if (Name(record.Name.Wire, compress: true) && Fixed(record.Type, record.Ttl) && Data(record))
            return true;
        Position = start;
        _offsetCount = known;
        return false;
    }

    /// <summary>Writes a record whose type, class, TTL, length and data stand encoded, with no compressed name among the data.</summary>
    public bool Record(scoped ReadOnlySpan<byte> owner, scoped ReadOnlySpan<byte> body)
    {
        int start = Position, known = _offsetCount;
        if (Name(owner, compress: true) && Bytes(body))
            return true;
        Position = start;
        _offsetCount = known;
        return false;
    }

    /// <summary>Writes a CNAME record, both of its names compressed.</summary>
    public bool Alias(scoped ReadOnlySpan<byte> owner, uint ttl, scoped ReadOnlySpan<byte> target)
    {
        int start = Position, known = _offsetCount;
        if (Name(owner, compress: true) && Fixed(RecordType.Cname, ttl))
        {
            var data = Position;
            if (Name(target, compress: true))
            {
                BinaryPrimitives.WriteUInt16BigEndian(_buffer[(data - 2)..], (ushort)(Position - data));
                return true;
            }
        }
        Position = start;
        _offsetCount = known;
        return false;
    }

    /// <summary>A place to go <see cref="Back"/> to.</summary>
    public readonly (int Position, int Offsets) Mark() => (Position, _offsetCount);

    /// <summary>Forgets what was written since.</summary>
    public void Back((int Position, int Offsets) mark) => (Position, _offsetCount) = mark;

    private bool Fixed(RecordType type, uint ttl)
    {
        if (_buffer.Length - Position < 10)
            return false;
        var at = _buffer[Position..];
        BinaryPrimitives.WriteUInt16BigEndian(at, (ushort)type);
        BinaryPrimitives.WriteUInt16BigEndian(at[2..], Query.ClassIn);
        BinaryPrimitives.WriteUInt32BigEndian(at[4..], ttl);
        Position += 10;
        return true;
    }

    private bool Data(Record record)
    {
        var start = Position;
        var data = record.Rdata.Span;
        var fits = record.Type switch
        {
            RecordType.Cname or RecordType.Ns or RecordType.Ptr => Name(data, compress: true),
            RecordType.Soa => Soa(data),
            RecordType.Srv => Bytes(data[..6]) && Name(data[6..], compress: false),
            _ => Bytes(data),
        };
        if (fits)
            BinaryPrimitives.WriteUInt16BigEndian(_buffer[(start - 2)..], (ushort)(Position - start));
        return fits;
    }

    private bool Soa(ReadOnlySpan<byte> data)
    {
        var server = NameWire.Measure(data);
        var mailbox = NameWire.Measure(data[server..]);
        return Name(data[..server], compress: true)
            && Name(data.Slice(server, mailbox), compress: true)
            && Bytes(data[(server + mailbox)..]);
    }

    private bool Bytes(scoped ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _buffer.Length - Position)
            return false;
        bytes.CopyTo(_buffer[Position..]);
        Position += bytes.Length;
        return true;
    }

    private bool Name(scoped ReadOnlySpan<byte> name, bool compress)
    {
        var start = Position;
        var at = 0;
        while (name[at] != 0)
        {
            if (compress && Find(name[at..]) is var offset and >= 0)
            {
                if (_buffer.Length - Position < 2)
                    return false;
                BinaryPrimitives.WriteUInt16BigEndian(_buffer[Position..], (ushort)(0xC000 | offset));
                Position += 2;
                Remember(name[..at], start);
                return true;
            }
            if (!Bytes(name.Slice(at, name[at] + 1)))
                return false;
            at += name[at] + 1;
        }
        if (!Bytes([0]))
            return false;
        Remember(name[..(at + 1)], start);
        return true;
    }

    /// <summary>Remembers the offset of each label of a name written at <paramref name="position"/>.</summary>
    private void Remember(scoped ReadOnlySpan<byte> name, int position)
    {
        for (var at = 0; at < name.Length && name[at] != 0; at += name[at] + 1)
        {
            if (_offsetCount == OffsetsMax || position + at > NameWire.PointerMax)
                return;
            _offsets[_offsetCount++] = (ushort)(position + at);
        }
    }

    private readonly int Find(scoped ReadOnlySpan<byte> rest)
    {
        for (var i = 0; i < _offsetCount; i++)
        {
            if (Matches(_offsets[i], rest))
                return _offsets[i];
        }
        return -1;
    }

    /// <summary>Whether the name written at an offset equals <paramref name="rest"/>, case apart, following pointers.</summary>
    private readonly bool Matches(int offset, scoped ReadOnlySpan<byte> rest)
    {
        while (true)
        {
            var length = _buffer[offset];
            if (length >= 0xC0)
            {
                offset = BinaryPrimitives.ReadUInt16BigEndian(_buffer[offset..]) & NameWire.PointerMax;
                continue;
            }
            if (length != rest[0])
                return false;
            if (length == 0)
                return true;
            for (var i = 1; i <= length; i++)
            {
                if (NameWire.FoldByte(_buffer[offset + i]) != NameWire.FoldByte(rest[i]))
                    return false;
            }
            offset += length + 1;
            rest = rest[(length + 1)..];
        }
    }

    [System.Runtime.CompilerServices.InlineArray(OffsetsMax)]
    private struct OffsetTable
    {
        private ushort _first;
    }
}
