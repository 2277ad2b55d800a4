using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Declarative.Api.Schema;

/// <summary>
/// A growing buffer of UTF-8 JSON. It writes compact JSON and, for strings, the shortest escapes (RFC 8259, section 7: only
/// quotation mark, backslash and control characters are escaped), so that equal values have equal bytes. Not thread-safe.
/// </summary>
public sealed class JsonBuffer : IDisposable
{
    private byte[] _bytes;
    private int _length;

    /// <param name="capacity">Expected size in bytes.</param>
    public JsonBuffer(int capacity = 1024) => _bytes = ArrayPool<byte>.Shared.Rent(Math.Max(capacity, 256));

    public int Length
    {
        get => _length;
        set => _length = value;
    }

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    /// <summary>The same; good until the next write.</summary>
    public ReadOnlyMemory<byte> WrittenMemory => _bytes.AsMemory(0, _length);

    public byte[] ToArray() => Written.ToArray();

    /// <summary>Gives the memory back. The buffer must not be used afterwards.</summary>
    public void Dispose()
    {
        var bytes = _bytes;
        _bytes = [];
        _length = 0;
        if (bytes.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    public void Raw(byte value)
    {
        if (_length == _bytes.Length)
        {
            Grow(1);
        }

        _bytes[_length++] = value;
    }

    public void Raw(ReadOnlySpan<byte> value)
    {
        value.CopyTo(Room(value.Length));
        _length += value.Length;
    }

    /// <summary>Writes a comma unless a list, an object or a name has just been opened.</summary>
    public void Separate()
    {
        if (_length > 0 && _bytes[_length - 1] is not ((byte)'{' or (byte)'[' or (byte)':'))
        {
            Raw((byte)',');
        }
    }

    public void String(string value)
    {
        var room = Room(Encoding.UTF8.GetMaxByteCount(value.Length));
        var length = Encoding.UTF8.GetBytes(value, room);
        if (!NeedsEscape(room[..length]))
        {
            room[..length].CopyTo(Room(length + 2)[1..]);
            _bytes[_length] = (byte)'"';
            _bytes[_length + length + 1] = (byte)'"';
            _length += length + 2;
            return;
        }

        Escape(Encoding.UTF8.GetBytes(value));
    }

    /// <summary>Writes a part of a string: with escapes, without quotation marks.</summary>
    public void Inside(string value)
    {
        var room = Room(Encoding.UTF8.GetMaxByteCount(value.Length));
        var length = Encoding.UTF8.GetBytes(value, room);
        if (NeedsEscape(room[..length])) EscapeInside(Encoding.UTF8.GetBytes(value));
        else _length += length;
    }

    /// <summary>Writes a string, given without quotation marks and escapes.</summary>
    public void String(ReadOnlySpan<byte> value)
    {
        if (NeedsEscape(value))
        {
            Escape(value);
            return;
        }

        Quoted(value);
    }

    /// <summary>Writes the string or property name that the reader stands on.</summary>
    /// <exception cref="InvalidOperationException">An escape stands for half a surrogate pair.</exception>
    public void String(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            Quoted(reader.ValueSpan);
            return;
        }

        var rented = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            String(rented.AsSpan(0, reader.CopyString(rented)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    public void Number(long value)
    {
        var room = Room(20);
        value.TryFormat(room, out var written, default, null);
        _length += written;
    }

    private static bool NeedsEscape(ReadOnlySpan<byte> value) =>
        value.IndexOfAnyInRange((byte)0, (byte)0x1f) >= 0 || value.IndexOfAny((byte)'"', (byte)'\\') >= 0;

    private void Quoted(ReadOnlySpan<byte> value)
    {
        var room = Room(value.Length + 2);
        room[0] = (byte)'"';
        value.CopyTo(room[1..]);
        room[value.Length + 1] = (byte)'"';
        _length += value.Length + 2;
    }

    private void Escape(ReadOnlySpan<byte> value)
    {
        Raw((byte)'"');
        EscapeInside(value);
        Raw((byte)'"');
    }

    private void EscapeInside(ReadOnlySpan<byte> value)
    {
        foreach (var b in value)
        {
            switch (b)
            {
                case (byte)'"': Raw("\\\""u8); break;
                case (byte)'\\': Raw("\\\\"u8); break;
                case (byte)'\n': Raw("\\n"u8); break;
                case (byte)'\r': Raw("\\r"u8); break;
                case (byte)'\t': Raw("\\t"u8); break;
                case < 0x20:
                    Raw("\\u00"u8);
                    Raw((byte)(b < 0x10 ? '0' : '1'));
                    Raw("0123456789abcdef"u8[b & 15]);
                    break;
                default: Raw(b); break;
            }
        }
    }

    private Span<byte> Room(int length)
    {
        if (_bytes.Length - _length < length)
        {
            Grow(length);
        }

        return _bytes.AsSpan(_length);
    }

    private void Grow(int length)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_bytes.Length * 2, _length + length));
        Written.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = larger;
    }
}
