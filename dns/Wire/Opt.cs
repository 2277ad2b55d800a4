using System.Buffers.Binary;

namespace Declarative.Dns.Wire;

/// <summary>
/// The EDNS pseudo record (RFC 6891, 6.1.2): root name, type 41, class = payload size,
/// TTL = upper response-code bits, version, DO flag; here without options.
/// </summary>
internal static class Opt
{
    public const int Size = 11;
    /// <summary>What we send and take in one UDP packet: fits an IPv6 minimum-MTU packet, so it is never fragmented.</summary>
    public const ushort PayloadSize = 1232;

    public static int Write(Span<byte> target, ushort payloadSize, ResponseCode code, bool dnssecOk)
    {
        target[0] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(target[1..], (ushort)RecordType.Opt);
        BinaryPrimitives.WriteUInt16BigEndian(target[3..], payloadSize);
        target[5] = (byte)((ushort)code >> 4);
        target[6] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(target[7..], (ushort)(dnssecOk ? 0x8000 : 0));
        BinaryPrimitives.WriteUInt16BigEndian(target[9..], 0);
        return Size;
    }
}
