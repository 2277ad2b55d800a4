using System.Buffers.Binary;
using System.Net.Sockets;

namespace Declarative.Bench.Lb.Show;

/// <summary>As much of HTTP/2 (RFC 9113) as the show's streams need: frames, and header blocks without a table (RFC 7541 section 6.2.2).</summary>
internal sealed class Frames(Socket socket)
{
    public const byte Data = 0;
    public const byte Headers = 1;
    public const byte Reset = 3;
    public const byte Settings = 4;
    public const byte Ping = 6;
    public const byte GoAway = 7;
    public const byte WindowUpdate = 8;

    public const byte EndStream = 0x1;
    public const byte Ack = 0x1;
    public const byte EndHeaders = 0x4;

    /// <summary>As servers write it first in the block: the index in the table of RFC 7541, appendix A.</summary>
    public const byte Status200 = 0x88;

    private const int HeadBytes = 9;

    /// <summary>What an endpoint must take where it has said nothing else (section 4.2).</summary>
    private const int PayloadBytesMax = 16 * 1024;

    private readonly byte[] _buffer = new byte[2 * (HeadBytes + PayloadBytesMax)];
    private int _from;
    private int _to;

    public static byte[] Preface { get; } = [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8];

    /// <summary>The next one; it is good until the one after it. null = the connection has ended.</summary>
    /// <exception cref="InvalidDataException">Larger than it may be.</exception>
    public async ValueTask<Frame?> Read(CancellationToken stop)
    {
        if (!await Fill(HeadBytes, stop)) return null;
        var head = _buffer.AsSpan(_from, HeadBytes);
        var length = head[0] << 16 | head[1] << 8 | head[2];
        var (type, flags, stream) = (head[3], head[4], BinaryPrimitives.ReadInt32BigEndian(head[5..]) & int.MaxValue);
        if (length > PayloadBytesMax) throw new InvalidDataException($"a frame of {length} bytes");
        if (!await Fill(HeadBytes + length, stop)) return null;
        var payload = _buffer.AsMemory(_from + HeadBytes, length);
        _from += HeadBytes + length;
        return new(type, flags, stream, payload);
    }

    /// <summary>Takes bytes that are no frame.</summary>
    public async ValueTask<bool> Skip(int count, CancellationToken stop)
    {
        if (!await Fill(count, stop)) return false;
        _from += count;
        return true;
    }

    public static byte[] Of(byte type, byte flags, int stream, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[HeadBytes + payload.Length];
        (frame[0], frame[1], frame[2], frame[3], frame[4]) = ((byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame.AsSpan(HeadBytes));
        return frame;
    }

    /// <summary>So many bytes may come again, on the connection and on the stream.</summary>
    public static byte[] Room(int stream, int bytes)
    {
        var increment = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(increment, bytes);
        return [.. Of(WindowUpdate, 0, 0, increment), .. Of(WindowUpdate, 0, stream, increment)];
    }

    /// <summary>Names and values shorter than 127 bytes, as they are.</summary>
    public static byte[] Block(params (string Name, string Value)[] headers) =>
        [.. headers.SelectMany(x => (byte[])[0, (byte)x.Name.Length, .. System.Text.Encoding.ASCII.GetBytes(x.Name), (byte)x.Value.Length, .. System.Text.Encoding.ASCII.GetBytes(x.Value)])];

    private async ValueTask<bool> Fill(int count, CancellationToken stop)
    {
        if (_to - _from >= count) return true;
        _buffer.AsSpan(_from, _to - _from).CopyTo(_buffer);
        (_to, _from) = (_to - _from, 0);
        while (_to < count)
        {
            var got = await socket.ReceiveAsync(_buffer.AsMemory(_to), stop);
            if (got == 0) return false;
            _to += got;
        }
        return true;
    }
}

internal readonly record struct Frame(byte Type, byte Flags, int Stream, ReadOnlyMemory<byte> Payload)
{
    public bool Has(byte flag) => (Flags & flag) != 0;
}
