using System.Buffers.Binary;

namespace Declarative.Dns.Wire;

/// <summary>What a packet turned out to be.</summary>
internal enum Reading
{
    /// <summary>A query that can be answered.</summary>
    Query,
    /// <summary>A query with an opcode other than QUERY: NOTIMP.</summary>
    OtherOpcode,
    /// <summary>A query that cannot be read: FORMERR.</summary>
    Malformed,
    /// <summary>Shorter than a header, or itself a response: answering would invite loops, so nothing is sent.</summary>
    Silence,
}

/// <summary>A query read in place: nothing is copied but the folded name, into a buffer of the caller's.</summary>
internal ref struct Query
{
    public const ushort ClassIn = 1;
    public const ushort ClassAny = 255;

    public Header Header;
    /// <summary>The folded name (wire form).</summary>
    public ReadOnlySpan<byte> Name;
    public RecordType Type;
    public ushort Class;
    /// <summary>Offset behind the question.</summary>
    public int QuestionEnd;
    public bool HasEdns;
    public byte EdnsVersion;
    public bool DnssecOk;
    /// <summary>A cookie (RFC 7873): the client's eight bytes, then the server's if it has one; empty without.</summary>
    public ReadOnlySpan<byte> Cookie;
    /// <summary>What the sender can take in one UDP packet (RFC 6891, 6.2.3); 512 without EDNS.</summary>
    public int PayloadSize;

    /// <param name="packet">The whole message.</param>
    /// <param name="nameBuffer">At least 255 bytes; holds <see cref="Name"/> afterwards.</param>
    /// <param name="query">Filled as far as the packet could be read.</param>
    public static Reading Read(ReadOnlySpan<byte> packet, Span<byte> nameBuffer, out Query query)
    {
        query = default;
        query.PayloadSize = 512;
        if (packet.Length < Header.Size)
            return Reading.Silence;
        query.Header = Header.Read(packet);
        if (query.Header.IsResponse)
            return Reading.Silence;
        if (query.Header.Opcode != 0)
            return Reading.OtherOpcode;
        if (query.Header.Questions != 1)
            return Reading.Malformed;
        var length = NameWire.Measure(packet[Header.Size..]);
        var end = Header.Size + length + 4;
        if (length < 0 || end > packet.Length)
            return Reading.Malformed;
        var name = nameBuffer[..length];
        NameWire.Fold(packet.Slice(Header.Size, length), name);
        query.Name = name;
        query.Type = (RecordType)BinaryPrimitives.ReadUInt16BigEndian(packet[(end - 4)..]);
        query.Class = BinaryPrimitives.ReadUInt16BigEndian(packet[(end - 2)..]);
        query.QuestionEnd = end;
        return end == packet.Length && query.Header is { Answers: 0, Authorities: 0, Additionals: 0 }
            ? Reading.Query
            : ReadRest(packet, ref query);
    }

    private static Reading ReadRest(ReadOnlySpan<byte> packet, ref Query query)
    {
        var before = query.Header.Answers + query.Header.Authorities;
        var total = before + query.Header.Additionals;
        var at = query.QuestionEnd;
        for (var i = 0; i < total; i++)
        {
            var name = at;
            at = NameWire.Skip(packet, at);
            if (at < 0 || at + 10 > packet.Length)
                return Reading.Malformed;
            var type = (RecordType)BinaryPrimitives.ReadUInt16BigEndian(packet[at..]);
            if (type == RecordType.Opt)
            {
                // RFC 6891, 6.1.1: one OPT, in the additional section, owned by the root.
                if (query.HasEdns || i < before || packet[name] != 0)
                    return Reading.Malformed;
                query.HasEdns = true;
                query.PayloadSize = Math.Max(512, (int)BinaryPrimitives.ReadUInt16BigEndian(packet[(at + 2)..]));
                query.EdnsVersion = packet[at + 5];
                query.DnssecOk = (packet[at + 6] & 0x80) != 0;
            }
            var data = at + 10;
            at = data + BinaryPrimitives.ReadUInt16BigEndian(packet[(at + 8)..]);
            if (at > packet.Length)
                return Reading.Malformed;
            // RFC 7873, 5.2.2: a cookie of any other length is malformed.
            if (type == RecordType.Opt
                && (!Opt.TryFind(packet[data..at], CookieJar.Option, out query.Cookie) || query.Cookie.Length is not (0 or 8 or (>= 16 and <= 40))))
            {
                return Reading.Malformed;
            }
        }
        return at == packet.Length ? Reading.Query : Reading.Malformed;
    }

    /// <summary>Writes a query of one question; returns its length, at most 12 + 255 + 4 + 11.</summary>
    /// <param name="message">Where to.</param>
    /// <param name="id">The id that the answer repeats.</param>
    /// <param name="name">A name in wire form, its case kept.</param>
    /// <param name="type">The type asked for.</param>
    /// <param name="payloadSize">0: no EDNS.</param>
    public static int Write(Span<byte> message, ushort id, ReadOnlySpan<byte> name, RecordType type, ushort payloadSize = 0)
    {
        new Header(id, Header.RecursionDesired, 1, 0, 0, (ushort)(payloadSize > 0 ? 1 : 0)).Write(message);
        name.CopyTo(message[Header.Size..]);
        var at = Header.Size + name.Length;
        BinaryPrimitives.WriteUInt16BigEndian(message[at..], (ushort)type);
        BinaryPrimitives.WriteUInt16BigEndian(message[(at + 2)..], ClassIn);
        at += 4;
        return payloadSize == 0 ? at : at + Opt.Write(message[at..], payloadSize, ResponseCode.NoError, dnssecOk: false);
    }
}
