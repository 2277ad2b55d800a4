using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Dns.Wire;

/// <summary>
/// One resource record of class IN. <see cref="Rdata"/> is its data in wire form, uncompressed; two records with equal name, type and
/// data are the same record (RFC 2181, 5).
/// </summary>
/// <param name="Name">The owner.</param>
/// <param name="Type">Its type.</param>
/// <param name="Ttl">Seconds that an answer may be cached.</param>
/// <param name="Rdata">Data, uncompressed.</param>
public sealed record Record(DnsName Name, RecordType Type, uint Ttl, ReadOnlyMemory<byte> Rdata)
{
    /// <summary>The pod that this record leads to, for the drain report; null if it leads to none.</summary>
    public string? PodUid { get; init; }

    /// <summary>SRV: the target's address records, sent along in the additional section.</summary>
    public IReadOnlyList<Record> Targets { get; init; } = [];

    /// <summary>The address of an A or AAAA record.</summary>
    public IPAddress Address => new(Rdata.Span);

    /// <summary>A or AAAA, by the address' family.</summary>
    public static Record OfAddress(DnsName name, uint ttl, IPAddress address, string? podUid = null) =>
        new(name, address.AddressFamily == AddressFamily.InterNetwork ? RecordType.A : RecordType.Aaaa, ttl, address.GetAddressBytes())
        {
            PodUid = podUid,
        };

    /// <summary>SRV (RFC 2782): priority, weight, port, target; the target is never compressed.</summary>
    public static Record OfSrv(DnsName name, uint ttl, ushort priority, ushort weight, ushort port, DnsName target)
    {
        var data = new byte[6 + target.Wire.Length];
        BinaryPrimitives.WriteUInt16BigEndian(data, priority);
        BinaryPrimitives.WriteUInt16BigEndian(data.AsSpan(2), weight);
        BinaryPrimitives.WriteUInt16BigEndian(data.AsSpan(4), port);
        target.Wire.CopyTo(data.AsSpan(6));
        return new Record(name, RecordType.Srv, ttl, data);
    }

    /// <summary>CNAME, NS or PTR: data is one name.</summary>
    public static Record OfName(DnsName name, RecordType type, uint ttl, DnsName target) => new(name, type, ttl, target.WireArray);

    /// <summary>TXT: the text in strings of at most 255 bytes.</summary>
    public static Record OfText(DnsName name, uint ttl, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var data = new List<byte>(bytes.Length + 1);
        var at = 0;
        do
        {
            var length = Math.Min(255, bytes.Length - at);
            data.Add((byte)length);
            data.AddRange(bytes.AsSpan(at, length));
            at += length;
        } while (at < bytes.Length);
        return new Record(name, RecordType.Txt, ttl, data.ToArray());
    }

    /// <summary>SOA (RFC 1035, 3.3.13). Times in seconds; <paramref name="minimum"/> is the TTL of negative answers (RFC 2308, 4).</summary>
    public static Record OfSoa(
        DnsName name, uint ttl, DnsName server, DnsName mailbox, uint serial, uint refresh, uint retry, uint expire, uint minimum)
    {
        var data = new byte[server.Wire.Length + mailbox.Wire.Length + 20];
        server.Wire.CopyTo(data);
        mailbox.Wire.CopyTo(data.AsSpan(server.Wire.Length));
        var numbers = data.AsSpan(data.Length - 20);
        BinaryPrimitives.WriteUInt32BigEndian(numbers, serial);
        BinaryPrimitives.WriteUInt32BigEndian(numbers[4..], refresh);
        BinaryPrimitives.WriteUInt32BigEndian(numbers[8..], retry);
        BinaryPrimitives.WriteUInt32BigEndian(numbers[12..], expire);
        BinaryPrimitives.WriteUInt32BigEndian(numbers[16..], minimum);
        return new Record(name, RecordType.Soa, ttl, data);
    }

    /// <summary>SRV port.</summary>
    public ushort Port => BinaryPrimitives.ReadUInt16BigEndian(Rdata.Span[4..]);

    /// <summary>The name that an SRV, CNAME, NS or PTR record leads to.</summary>
    public DnsName Target => DnsName.FromWire(Type == RecordType.Srv ? Rdata.Span[6..] : Rdata.Span);

    /// <inheritdoc/>
    public bool Equals(Record? other) =>
        other is not null && Type == other.Type && Ttl == other.Ttl && Name.Equals(other.Name) && Rdata.Span.SequenceEqual(other.Rdata.Span);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Type, NameWire.Hash(Rdata.Span));

    /// <summary>A line as in a zone file: <c>name ttl IN TYPE data</c>.</summary>
    public override string ToString() => $"{Name} {Ttl} IN {Type.ToString().ToUpperInvariant()} {DataText()}";

    private string DataText()
    {
        var data = Rdata.Span;
        switch (Type)
        {
            case RecordType.A or RecordType.Aaaa:
                return Address.ToString();
            case RecordType.Srv:
                return $"{BinaryPrimitives.ReadUInt16BigEndian(data)} {BinaryPrimitives.ReadUInt16BigEndian(data[2..])} {Port} {Target}";
            case RecordType.Cname or RecordType.Ns or RecordType.Ptr:
                return Target.ToString();
            case RecordType.Soa:
                var server = NameWire.Measure(data);
                var mailbox = NameWire.Measure(data[server..]);
                var numbers = data[(server + mailbox)..];
                return $"{DnsName.Text(data[..server])} {DnsName.Text(data.Slice(server, mailbox))} {BinaryPrimitives.ReadUInt32BigEndian(numbers)} "
                    + $"{BinaryPrimitives.ReadUInt32BigEndian(numbers[4..])} {BinaryPrimitives.ReadUInt32BigEndian(numbers[8..])} "
                    + $"{BinaryPrimitives.ReadUInt32BigEndian(numbers[12..])} {BinaryPrimitives.ReadUInt32BigEndian(numbers[16..])}";
            case RecordType.Txt:
                var text = new StringBuilder();
                for (var at = 0; at < data.Length; at += data[at] + 1)
                    text.Append(at == 0 ? "" : " ").Append('"').Append(Encoding.UTF8.GetString(data.Slice(at + 1, data[at]))).Append('"');
                return text.ToString();
            default:
                return $"\\# {data.Length} {Convert.ToHexString(data)}";
        }
    }
}
