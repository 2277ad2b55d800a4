using System.Buffers.Binary;

namespace Declarative.Dns.Wire;

/// <summary>
/// The EDNS pseudo record (RFC 6891, 6.1.2): root name, type 41, class = payload size,
/// TTL = upper response-code bits, version, DO flag; its data are options of code(2) length(2) bytes.
/// </summary>
internal static class Opt
{
    /// <summary>Without options.</summary>
    public const int Size = 11;
    /// <summary>An option's code and length.</summary>
    public const int OptionHead = 4;
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

    /// <summary>Adds room for one option to a record just written at <paramref name="opt"/>; the option's data are what is returned.</summary>
    public static Span<byte> AddOption(Span<byte> opt, ushort option, int length)
    {
        BinaryPrimitives.WriteUInt16BigEndian(opt[9..], (ushort)(OptionHead + length));
        BinaryPrimitives.WriteUInt16BigEndian(opt[Size..], option);
        BinaryPrimitives.WriteUInt16BigEndian(opt[(Size + 2)..], (ushort)length);
        return opt.Slice(Size + OptionHead, length);
    }

    /// <summary>Finds one option in the data of an OPT record; false if the data are malformed.</summary>
    public static bool TryFind(ReadOnlySpan<byte> data, ushort option, out ReadOnlySpan<byte> found)
    {
        found = default;
        while (data.Length > 0)
        {
            if (data.Length < OptionHead)
                return false;
            var length = BinaryPrimitives.ReadUInt16BigEndian(data[2..]);
            if (length > data.Length - OptionHead)
                return false;
            if (BinaryPrimitives.ReadUInt16BigEndian(data) == option && found.IsEmpty)
                found = data.Slice(OptionHead, length);
            data = data[(OptionHead + length)..];
        }
        return true;
    }
}
