using System.Buffers.Binary;

namespace Declarative.Dns.Wire;

/// <summary>
/// Names on the wire (RFC 1035, 3.1 and 4.1.4): labels of one length byte (1..63) and that many bytes, ended by a zero byte,
/// at most 255 bytes in all; two bytes <c>11xxxxxx xxxxxxxx</c> point to an earlier offset of the message instead of a rest.
/// </summary>
internal static class NameWire
{
    public const int SizeMax = 255;
    public const int LabelMax = 63;
    /// <summary>The highest offset a compression pointer can name.</summary>
    public const int PointerMax = 0x3FFF;

    /// <summary>
    /// Length of the uncompressed name at the start of <paramref name="source"/>, its final zero included;
    /// -1 if it is cut off, too long, or holds a pointer or an unknown label type.
    /// </summary>
    public static int Measure(ReadOnlySpan<byte> source)
    {
        var at = 0;
        while ((uint)at < (uint)source.Length && at < SizeMax)
        {
            var length = source[at];
            if (length == 0)
                return at + 1;
            if (length > LabelMax)
                return -1;
            at += length + 1;
        }
        return -1;
    }

    /// <summary>Copies a name in lower case. A length byte is at most 63 and 'A' is 65, so the whole name folds alike.</summary>
    public static void Fold(ReadOnlySpan<byte> name, Span<byte> target)
    {
        const ulong ones = 0x0101010101010101;
        var at = 0;
        for (; at + 8 <= name.Length; at += 8)
        {
            var eight = BinaryPrimitives.ReadUInt64LittleEndian(name[at..]);
            var low = eight & (ones * 0x7F);
            // Bit 7 of each byte: set where 'A' <= byte <= 'Z', with bytes of 128 and more left alone.
            var upper = (low + ones * (0x80 - 'A')) & ~(low + ones * (0x80 - 'Z' - 1)) & ~eight & (ones * 0x80);
            BinaryPrimitives.WriteUInt64LittleEndian(target[at..], eight | (upper >> 2));
        }
        for (; at < name.Length; at++)
            target[at] = FoldByte(name[at]);
    }

    public static byte FoldByte(byte value) => (uint)(value - 'A') <= 'Z' - 'A' ? (byte)(value | 0x20) : value;

    /// <summary>The position after the name at <paramref name="position"/> without following its pointer; -1 if malformed.</summary>
    public static int Skip(ReadOnlySpan<byte> message, int position)
    {
        var start = position;
        while ((uint)position < (uint)message.Length && position - start < SizeMax)
        {
            var length = message[position];
            if (length == 0)
                return position + 1;
            if (length >= 0xC0)
                return position + 2 <= message.Length ? position + 2 : -1;
            if (length > LabelMax)
                return -1;
            position += length + 1;
        }
        return -1;
    }

    /// <summary>
    /// Reads a name that may be compressed into <paramref name="target"/> (255 bytes), case kept, and moves <paramref name="position"/>
    /// behind it. Returns its uncompressed length or -1. Every pointer must lead to an earlier place than the last: no loops.
    /// </summary>
    public static int Expand(ReadOnlySpan<byte> message, ref int position, Span<byte> target)
    {
        var next = Skip(message, position);
        if (next < 0)
            return -1;
        int at = position, floor = position, written = 0;
        while ((uint)at < (uint)message.Length)
        {
            var length = message[at];
            if (length >= 0xC0)
            {
                if (at + 2 > message.Length)
                    return -1;
                at = BinaryPrimitives.ReadUInt16BigEndian(message[at..]) & PointerMax;
                if (at >= floor)
                    return -1;
                floor = at;
                continue;
            }
            if (length > LabelMax || written + length + 1 > SizeMax || at + length + 1 > message.Length)
                return -1;
            message.Slice(at, length + 1).CopyTo(target[written..]);
            written += length + 1;
            at += length + 1;
            if (length == 0)
            {
                position = next;
                return written;
            }
        }
        return -1;
    }

    /// <summary>A hash of a folded name: eight bytes at a time, multiply and shift.</summary>
    public static uint Hash(ReadOnlySpan<byte> folded)
    {
        const ulong odd = 0x9E3779B97F4A7C15;
        var hash = (ulong)folded.Length * odd;
        var at = 0;
        for (; at + 8 <= folded.Length; at += 8)
        {
            hash = (hash ^ BinaryPrimitives.ReadUInt64LittleEndian(folded[at..])) * odd;
            hash ^= hash >> 32;
        }
        ulong rest = 0;
        for (var shift = 0; at < folded.Length; at++, shift += 8)
            rest |= (ulong)folded[at] << shift;
        hash = (hash ^ rest) * odd;
        return (uint)(hash ^ (hash >> 32));
    }
}
