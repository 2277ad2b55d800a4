using System.Buffers.Binary;

namespace Declarative.ApiServer.Protobuf;

/// <summary>Reads the protobuf wire format field by field (see <see cref="ProtobufWriter"/> for its grammar).</summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    private readonly ReadOnlySpan<byte> _message = message;
    private int _at;

    /// <summary>The number of the field that was read.</summary>
    public int Field { get; private set; }

    /// <summary>0 varint, 1 eight bytes, 2 bytes, 5 four bytes.</summary>
    public int WireType { get; private set; }

    /// <summary>The value of a varint, or the bits of a fixed number.</summary>
    public ulong Number { get; private set; }

    /// <summary>The bytes of a value of wire type 2.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <exception cref="FormatException">The bytes are no message.</exception>
    public bool Read()
    {
        if (_at == _message.Length)
        {
            return false;
        }

        var tag = Varint();
        Field = (int)(tag >> 3);
        WireType = (int)(tag & 7);
        Bytes = default;
        if (tag >> 3 is 0 or > 536_870_911)
        {
            throw new FormatException($"no field number at byte {_at}");
        }

        switch (WireType)
        {
            case 0:
                Number = Varint();
                break;
            case 1:
                Number = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
                break;
            case 2:
                var length = Varint();
                Bytes = Take(length > int.MaxValue ? int.MaxValue : (int)length);
                break;
            case 5:
                Number = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                break;
            default:
                throw new FormatException($"wire type {WireType} at byte {_at}");
        }

        return true;
    }

    /// <summary>The next varint of packed numbers.</summary>
    public static bool Packed(ref ReadOnlySpan<byte> bytes, out ulong number)
    {
        number = 0;
        if (bytes.IsEmpty)
        {
            return false;
        }

        var reader = new ProtobufReader(bytes);
        number = reader.Varint();
        bytes = bytes[reader._at..];
        return true;
    }

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length > _message.Length - _at)
        {
            throw new FormatException($"{length} bytes announced at byte {_at}, {_message.Length - _at} left");
        }

        var taken = _message.Slice(_at, length);
        _at += length;
        return taken;
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            if (_at == _message.Length)
            {
                throw new FormatException($"a number is cut off at byte {_at}");
            }

            var b = _message[_at++];
            value |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80)
            {
                return value;
            }
        }

        throw new FormatException($"a number has more than ten bytes at byte {_at}");
    }
}
