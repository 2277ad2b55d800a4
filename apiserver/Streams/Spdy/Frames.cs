using System.Buffers.Binary;

namespace Declarative.ApiServer.Streams.Spdy;

/// <summary>Types of control frames (SPDY/3.1 draft, 2.6).</summary>
internal enum FrameType
{
    SynStream = 1,
    SynReply = 2,
    RstStream = 3,
    Settings = 4,
    Ping = 6,
    GoAway = 7,
    Headers = 8,
    WindowUpdate = 9,
}

/// <summary>
/// The eight bytes in front of every frame (SPDY/3.1 draft, 2.2). Control: <c>1 version(15) type(16) flags(8) length(24)</c>; data:
/// <c>0 stream(31) flags(8) length(24)</c>.
/// </summary>
/// <param name="Type">null for data.</param>
/// <param name="Stream">Of data; 0 for control frames, whose body names it.</param>
internal readonly record struct FrameHead(FrameType? Type, int Stream, byte Flags, int Length)
{
    public const int Bytes = 8;
    public const byte Fin = 1;
    private const int Version = 3;

    public bool IsFin => (Flags & Fin) != 0;

    public static FrameHead Read(ReadOnlySpan<byte> bytes)
    {
        var first = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        var second = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        var (flags, length) = ((byte)(second >> 24), (int)(second & 0xffffff));
        if ((first & 0x80000000) == 0) return new(null, (int)first, flags, length);
        var version = (int)(first >> 16) & 0x7fff;
        if (version != Version) throw new SpdyFault($"a control frame of version {version}");
        return new((FrameType)(first & 0xffff), 0, flags, length);
    }

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Type is { } type ? 0x80000000 | (Version << 16) | (uint)type : (uint)Stream);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], ((uint)Flags << 24) | (uint)Length);
    }
}

/// <summary>Whole control frames as this server sends them.</summary>
internal static class ControlFrames
{
    /// <summary>
    /// SYN_REPLY without headers. Its block is the same zlib stream for all replies of a connection: its head once, the number zero as a stored
    /// block of deflate, and an empty one, which is the flush that readers wait for.
    /// </summary>
    public static byte[] Reply(int stream, bool first)
    {
        byte[] block = [.. first ? (ReadOnlySpan<byte>)[0x78, 0x01] : [], 0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        return Frame(FrameType.SynReply, [.. Number(stream), .. block]);
    }

    public static byte[] Reset(int stream, int status) => Frame(FrameType.RstStream, [.. Number(stream), .. Number(status)]);

    public static byte[] Ping(ReadOnlySpan<byte> id) => Frame(FrameType.Ping, id);

    public static byte[] GoAway(int lastStream) => Frame(FrameType.GoAway, [.. Number(lastStream), .. Number(0)]);

    private static byte[] Frame(FrameType type, ReadOnlySpan<byte> body)
    {
        var frame = new byte[FrameHead.Bytes + body.Length];
        new FrameHead(type, 0, 0, body.Length).Write(frame);
        body.CopyTo(frame.AsSpan(FrameHead.Bytes));
        return frame;
    }

    private static byte[] Number(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }
}
