using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Declarative.Mesos.Scheduler.ZooKeeper;

/// <summary>
/// ZooKeeper's encoding: integers big-endian, strings and buffers with a length of four bytes before them (−1 = none), and around each
/// message a length of four bytes.
/// </summary>
internal sealed class JuteWriter
{
    private readonly ArrayBufferWriter<byte> _buffer = new(64);

    public JuteWriter() => Int(0); // the frame's length, known at the end

    public JuteWriter Int(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(_buffer.GetSpan(4), value);
        _buffer.Advance(4);
        return this;
    }

    public JuteWriter Long(long value)
    {
        BinaryPrimitives.WriteInt64BigEndian(_buffer.GetSpan(8), value);
        _buffer.Advance(8);
        return this;
    }

    public JuteWriter Bool(bool value)
    {
        _buffer.GetSpan(1)[0] = value ? (byte)1 : (byte)0;
        _buffer.Advance(1);
        return this;
    }

    public JuteWriter Bytes(ReadOnlySpan<byte> value)
    {
        Int(value.Length);
        _buffer.Write(value);
        return this;
    }

    public JuteWriter Text(string value) => Bytes(Encoding.UTF8.GetBytes(value));

    /// <summary>The message with its length before it.</summary>
    public byte[] Frame()
    {
        var frame = _buffer.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt32BigEndian(frame, frame.Length - 4);
        return frame;
    }
}

/// <summary>Reads one message without its length.</summary>
/// <exception cref="InvalidDataException">From every read: the message is too short or a length in it is not possible.</exception>
internal ref struct JuteReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    public int Int() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public long Long() => BinaryPrimitives.ReadInt64BigEndian(Take(8));

    public ReadOnlySpan<byte> Bytes()
    {
        var length = Int();
        return length < 0 ? [] : Take(length);
    }

    public string Text() => Encoding.UTF8.GetString(Bytes());

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _rest.Length) throw new InvalidDataException($"ZooKeeper sent a message that ends {count - _rest.Length} bytes too early.");
        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }
}
