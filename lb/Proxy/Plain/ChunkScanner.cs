namespace Declarative.Lb.Proxy.Plain;

/// <summary>
/// Finds the end of a chunked body, and what its chunks hold (RFC 9112 section 7.1): chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF, the
/// last one of size 0, then trailer fields and an empty line.
/// </summary>
internal struct ChunkScanner
{
    /// <summary>Hexadecimal digits of a size: 4 PiB.</summary>
    private const int DigitsMax = 13;

    /// <summary>Of one chunk's extensions, and of all trailer fields; HAProxy's buffer of that size must hold either together with what is around it.</summary>
    private const int ExtraBytesMax = 16 * 1024;

    private enum Place
    {
        Size,
        Extension,
        SizeEnd,
        Bytes,
        BytesReturn,
        BytesEnd,
        LineStart,
        Trailer,
        TrailerEnd,
        LastEnd,
        Done,
        Bad,
    }

    private Place _place;
    private int _digits;
    private int _extra;
    private long _left;

    public readonly bool IsDone => _place == Place.Done;

    public readonly bool IsBad => _place == Place.Bad;

    /// <returns>How many of the bytes belong to the body; fewer than all only at its end or where it is no body.</returns>
    public int Scan(ReadOnlySpan<byte> bytes) => Scan(bytes, default, out _);

    /// <param name="data">As large as the bytes: what the chunks hold is written there. Empty = nobody wants it.</param>
    /// <param name="count">Bytes written.</param>
    /// <inheritdoc cref="Scan(ReadOnlySpan{byte})"/>
    public int Scan(ReadOnlySpan<byte> bytes, Span<byte> data, out int count)
    {
        var at = 0;
        count = 0;
        while (at < bytes.Length && _place < Place.Done)
        {
            if (_place == Place.Bytes)
            {
                var some = (int)Math.Min(_left, bytes.Length - at);
                if (!data.IsEmpty)
                {
                    bytes.Slice(at, some).CopyTo(data[count..]);
                    count += some;
                }
                at += some;
                _left -= some;
                if (_left == 0) _place = Place.BytesReturn;
                continue;
            }
            _place = Next(bytes[at++]);
        }
        return at;
    }

    private Place Next(byte b)
    {
        switch (_place)
        {
            case Place.Size:
                var digit = b switch { >= (byte)'0' and <= (byte)'9' => b - '0', >= (byte)'a' and <= (byte)'f' => b - 'a' + 10, >= (byte)'A' and <= (byte)'F' => b - 'A' + 10, _ => -1 };
                if (digit >= 0)
                {
                    _left = _left * 16 + digit;
                    return ++_digits <= DigitsMax ? Place.Size : Place.Bad;
                }
                return _digits == 0 ? Place.Bad : b switch { (byte)'\r' => Place.SizeEnd, (byte)';' or (byte)' ' or (byte)'\t' => Place.Extension, _ => Place.Bad };
            case Place.Extension:
                return b switch { (byte)'\r' => Place.SizeEnd, (byte)'\n' => Place.Bad, _ => Extra(Place.Extension) };
            case Place.SizeEnd:
                _digits = _extra = 0;
                return b != '\n' ? Place.Bad : _left == 0 ? Place.LineStart : Place.Bytes;
            case Place.BytesReturn:
                return b == '\r' ? Place.BytesEnd : Place.Bad;
            case Place.BytesEnd:
                return b == '\n' ? Place.Size : Place.Bad;
            case Place.LineStart:
                return b switch { (byte)'\r' => Place.LastEnd, (byte)'\n' => Place.Bad, _ => Extra(Place.Trailer) };
            case Place.Trailer:
                return b switch { (byte)'\r' => Place.TrailerEnd, (byte)'\n' => Place.Bad, _ => Extra(Place.Trailer) };
            case Place.TrailerEnd:
                return b == '\n' ? Place.LineStart : Place.Bad;
            default:
                return b == '\n' ? Place.Done : Place.Bad;
        }
    }

    private Place Extra(Place place) => ++_extra <= ExtraBytesMax ? place : Place.Bad;
}
