using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Declarative.Api;

namespace Declarative.ApiServer.Streams.Spdy;

/// <summary>
/// The header blocks of one direction of a connection (SPDY/3.1 draft, 2.6.10): one zlib stream with a dictionary, flushed after each block.
/// Throws <see cref="SpdyFault"/> at what is no such block, at more than <see cref="Limits.SpdyHeaderBytesMax"/> and at more than
/// <see cref="Limits.SpdyHeadersMax"/> names.
/// </summary>
internal sealed class HeaderReader : IDisposable
{
    // A stored block of deflate (RFC 1951, 3.2.4) that holds the dictionary: read first and thrown away, it leaves the window as a preset
    // dictionary would, which the platform's inflater has no call for.
    private static readonly byte[] DictionaryBlock =
        [0, (byte)HeaderDictionary.Bytes.Length, (byte)(HeaderDictionary.Bytes.Length >> 8), (byte)~HeaderDictionary.Bytes.Length, (byte)(~HeaderDictionary.Bytes.Length >> 8), .. HeaderDictionary.Bytes];

    private readonly BlockSource _source = new();
    private readonly DeflateStream _inflater;
    private readonly byte[] _plain = new byte[Limits.SpdyHeaderBytesMax + 1];
    private bool _started;

    public HeaderReader() => _inflater = new(_source, CompressionMode.Decompress);

    public Dictionary<string, string> Read(ReadOnlyMemory<byte> block)
    {
        try
        {
            if (!_started)
            {
                block = block[HeadBytes(block.Span)..];
                _source.Set(DictionaryBlock);
                _inflater.ReadExactly(new byte[HeaderDictionary.Bytes.Length]);
                _started = true;
            }
            _source.Set(block);
            var length = 0;
            while (length < _plain.Length && _inflater.Read(_plain, length, _plain.Length - length) is > 0 and var read) length += read;
            if (length == _plain.Length) throw new SpdyFault($"a header block of more than {Limits.SpdyHeaderBytesMax} bytes");
            return Parse(_plain.AsSpan(0, length));
        }
        catch (Exception malformed) when (malformed is InvalidDataException or EndOfStreamException)
        {
            throw new SpdyFault("a header block that is not compressed as SPDY/3.1 says");
        }
    }

    public void Dispose() => _inflater.Dispose();

    /// <summary>The head of a zlib stream (RFC 1950, 2.2): CMF and FLG, and the dictionary's identifier where FLG says so.</summary>
    private static int HeadBytes(ReadOnlySpan<byte> block)
    {
        if (block.Length < 2 || (block[0] & 0x0f) != 8 || ((block[0] << 8) | block[1]) % 31 != 0) throw new SpdyFault("a header block without the head of a zlib stream");
        if ((block[1] & 0x20) == 0) return 2;
        if (block.Length < 6 || BinaryPrimitives.ReadUInt32BigEndian(block[2..]) != HeaderDictionary.Adler32) throw new SpdyFault("a header block with another dictionary than SPDY/3.1's");
        return 6;
    }

    /// <summary>Number of pairs, then name and value, each with its length (32 bits, big endian). The last value of a name that comes twice counts.</summary>
    private static Dictionary<string, string> Parse(ReadOnlySpan<byte> plain)
    {
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var count = Number(ref plain);
        if (count > Limits.SpdyHeadersMax) throw new SpdyFault($"{count} headers, more than {Limits.SpdyHeadersMax}");
        for (var i = 0; i < count; i++)
        {
            var name = Text(ref plain);
            headers[name] = Text(ref plain);
        }
        return headers;
    }

    private static string Text(ref ReadOnlySpan<byte> plain)
    {
        var length = Number(ref plain);
        if (length > plain.Length) throw new SpdyFault("a header block that ends within a word");
        var text = Encoding.UTF8.GetString(plain[..(int)length]);
        plain = plain[(int)length..];
        return text;
    }

    private static uint Number(ref ReadOnlySpan<byte> plain)
    {
        if (plain.Length < 4) throw new SpdyFault("a header block that ends within a number");
        var number = BinaryPrimitives.ReadUInt32BigEndian(plain);
        plain = plain[4..];
        return number;
    }

    /// <summary>Gives the inflater the present block and then nothing, until the next one is set.</summary>
    private sealed class BlockSource : Stream
    {
        private ReadOnlyMemory<byte> _rest;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public void Set(ReadOnlyMemory<byte> block) => _rest = block;

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            var length = Math.Min(buffer.Length, _rest.Length);
            _rest.Span[..length].CopyTo(buffer);
            _rest = _rest[length..];
            return length;
        }

        public override void Flush() { }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
