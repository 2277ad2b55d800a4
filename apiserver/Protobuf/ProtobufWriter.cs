using System.Text;

namespace Declarative.ApiServer.Protobuf;

/// <summary>
/// Writes the protobuf wire format: <c>message = *( tag value )</c>, tag = field number &lt;&lt; 3 | wire type;
/// wire type 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes (protobuf.dev, "Encoding").
/// </summary>
internal sealed class ProtobufWriter
{
    private byte[] _bytes = new byte[1024];
    private int _length;

    public int Length => _length;

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    public void Varint(int field, long value)
    {
        Tag(field, 0);
        Raw((ulong)value);
    }

    public void Double(int field, double value)
    {
        Tag(field, 1);
        System.Buffers.Binary.BinaryPrimitives.WriteDoubleLittleEndian(Room(8), value);
        _length += 8;
    }

    public void Bytes(int field, ReadOnlySpan<byte> value)
    {
        Tag(field, 2);
        Raw((ulong)value.Length);
        value.CopyTo(Room(value.Length));
        _length += value.Length;
    }

    public void Text(int field, string value) => Bytes(field, Encoding.UTF8.GetBytes(value));

    /// <summary>Begins a message; give the result to <see cref="End"/>.</summary>
    public int Begin(int field)
    {
        Tag(field, 2);
        return _length;
    }

    /// <summary>Ends a message: its length, known only now, moves its bytes to the right.</summary>
    public void End(int start)
    {
        var size = _length - start;
        var prefix = VarintLength((ulong)size);
        Room(prefix);
        _bytes.AsSpan(start, size).CopyTo(_bytes.AsSpan(start + prefix));
        _length = start;
        Raw((ulong)size);
        _length += size;
    }

    /// <summary>Takes back what was written after <paramref name="length"/>.</summary>
    public void Truncate(int length) => _length = length;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _length += bytes.Length;
    }

    private void Tag(int field, int wireType) => Raw(((ulong)field << 3) | (uint)wireType);

    private void Raw(ulong value)
    {
        var room = Room(10);
        var at = 0;
        for (; value >= 0x80; value >>= 7)
        {
            room[at++] = (byte)(value | 0x80);
        }

        room[at++] = (byte)value;
        _length += at;
    }

    private static int VarintLength(ulong value)
    {
        var length = 1;
        for (; value >= 0x80; value >>= 7)
        {
            length++;
        }

        return length;
    }

    private Span<byte> Room(int length)
    {
        if (_bytes.Length - _length < length)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + length));
        }

        return _bytes.AsSpan(_length);
    }
}
