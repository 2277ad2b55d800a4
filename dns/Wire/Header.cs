using System.Buffers.Binary;

namespace Declarative.Dns.Wire;

/// <summary>
/// The twelve bytes in front of every message (RFC 1035, 4.1.1):
/// id, flags <c>QR|Opcode(4)|AA|TC|RD|RA|Z|AD|CD|RCODE(4)</c>, and the counts of the four sections, all big-endian.
/// </summary>
internal readonly struct Header(ushort id, ushort flags, ushort questions, ushort answers, ushort authorities, ushort additionals)
{
    public const int Size = 12;
    public const ushort Response = 0x8000;
    public const ushort Authoritative = 0x0400;
    public const ushort Truncated = 0x0200;
    public const ushort RecursionDesired = 0x0100;
    public const ushort RecursionAvailable = 0x0080;
    public const ushort CheckingDisabled = 0x0010;
    public const ushort OpcodeMask = 0x7800;
    /// <summary>Opcode NOTIFY (RFC 1996) in its place.</summary>
    public const ushort Notify = 4 << 11;

    public ushort Id => id;
    public ushort Flags => flags;
    public ushort Questions => questions;
    public ushort Answers => answers;
    public ushort Authorities => authorities;
    public ushort Additionals => additionals;
    public int Opcode => (flags & OpcodeMask) >> 11;
    public bool IsResponse => (flags & Response) != 0;
    public ResponseCode Code => (ResponseCode)(flags & 0xF);

    /// <summary>Reads a header; the caller has made sure of <see cref="Size"/> bytes.</summary>
    public static Header Read(ReadOnlySpan<byte> message) =>
        new(
            BinaryPrimitives.ReadUInt16BigEndian(message),
            BinaryPrimitives.ReadUInt16BigEndian(message[2..]),
            BinaryPrimitives.ReadUInt16BigEndian(message[4..]),
            BinaryPrimitives.ReadUInt16BigEndian(message[6..]),
            BinaryPrimitives.ReadUInt16BigEndian(message[8..]),
            BinaryPrimitives.ReadUInt16BigEndian(message[10..])
        );

    public void Write(Span<byte> message)
    {
        BinaryPrimitives.WriteUInt16BigEndian(message, id);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], flags);
        BinaryPrimitives.WriteUInt16BigEndian(message[4..], questions);
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], answers);
        BinaryPrimitives.WriteUInt16BigEndian(message[8..], authorities);
        BinaryPrimitives.WriteUInt16BigEndian(message[10..], additionals);
    }
}
