using System.Buffers.Binary;
using Declarative.Dns.Wire;

namespace Declarative.Dns.Zones;

/// <summary>A zone's apex and its start of authority, encoded for negative answers.</summary>
internal sealed class Zone
{
    /// <summary>Type, class, TTL, length and data: all of the record but its owner.</summary>
    private readonly byte[] _negative;

    public Zone(ZoneAuthority authority, uint serial, ZoneTrust trust = ZoneTrust.Full)
    {
        Authority = authority;
        Serial = serial;
        Trust = trust;
        Soa = Record.OfSoa(Apex, Times.Ttl, authority.Server, authority.Mailbox, serial, Times.Refresh, Times.Retry, Times.Expire, Times.NegativeTtl);
        _negative = new byte[10 + Soa.Rdata.Length];
        BinaryPrimitives.WriteUInt16BigEndian(_negative, (ushort)RecordType.Soa);
        BinaryPrimitives.WriteUInt16BigEndian(_negative.AsSpan(2), Query.ClassIn);
        // RFC 2308, 3: the SOA's TTL in a negative answer is the lesser of its own TTL and MINIMUM.
        BinaryPrimitives.WriteUInt32BigEndian(_negative.AsSpan(4), Math.Min(Times.Ttl, Times.NegativeTtl));
        BinaryPrimitives.WriteUInt16BigEndian(_negative.AsSpan(8), (ushort)Soa.Rdata.Length);
        Soa.Rdata.Span.CopyTo(_negative.AsSpan(10));
    }

    public ZoneAuthority Authority { get; }
    public DnsName Apex => Authority.Apex;
    public ZoneTimes Times => Authority.Times;
    public uint Serial { get; }
    public ZoneTrust Trust { get; }
    public Record Soa { get; }

    /// <summary>The changes that led here, the newest last; empty where no history is kept.</summary>
    public ZoneChange[] Changes { get; private init; } = [];

    /// <param name="changed">What the next version removes and adds; null where no history is kept.</param>
    public Zone Next((IReadOnlyList<Record> Removed, IReadOnlyList<Record> Added)? changed = null)
    {
        var next = new Zone(Authority, Serial + 1, Trust);
        return changed is not var (removed, added) ? next
            : new Zone(Authority, Serial + 1, Trust) { Changes = ZoneChange.Append(Changes, new ZoneChange(Soa, next.Soa, removed, added)) };
    }

    public Zone With(ZoneTrust trust) => new(Authority, Serial, trust) { Changes = Changes };

    /// <summary>Writes the SOA for the authority section; the apex is a suffix of the question's name, so its owner is a pointer there.</summary>
    public bool TryWriteNegative(Span<byte> message, ref int position, int limit, int questionNameLength)
    {
        var owner = Header.Size + questionNameLength - Apex.Wire.Length;
        if (_negative.Length + 2 > limit - position)
            return false;
        BinaryPrimitives.WriteUInt16BigEndian(message[position..], (ushort)(0xC000 | owner));
        _negative.CopyTo(message[(position + 2)..]);
        position += _negative.Length + 2;
        return true;
    }
}

/// <summary>Times of a zone, in seconds (RFC 1035, 3.3.13; RFC 2308, 4).</summary>
/// <param name="Ttl">Of records that say nothing else.</param>
/// <param name="NegativeTtl">How long "no such name" may be cached.</param>
/// <param name="Refresh">When secondaries look for a new version.</param>
/// <param name="Retry">When they try again after a failure.</param>
/// <param name="Expire">When they give up.</param>
public sealed record ZoneTimes(uint Ttl = 5, uint NegativeTtl = 5, uint Refresh = 60, uint Retry = 600, uint Expire = 86400);
