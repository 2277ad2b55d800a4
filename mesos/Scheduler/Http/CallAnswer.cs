using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Declarative.Mesos.Scheduler.Http;

/// <summary>The answer to a call: its status and, where the call was refused, the master's words.</summary>
/// <param name="IsLast">The master closes the connection behind it.</param>
internal sealed record CallAnswer(int Status, string Text, bool IsLast)
{
    private const int HeadBytesMax = 16 * 1024;
    private const int BodyBytesMax = 1024 * 1024;

    /// <summary>
    /// Takes one answer off the buffer: <c>HTTP/1.1 202 Accepted CRLF (name: value CRLF)* CRLF body</c>, the body with a Content-Length or in
    /// chunks (RFC 9112). null: it is not all there yet.
    /// </summary>
    /// <exception cref="IOException">It is no such answer.</exception>
    public static CallAnswer? TryRead(ref ReadOnlySequence<byte> buffer)
    {
        var reader = new SequenceReader<byte>(buffer);
        if (!reader.TryReadTo(out ReadOnlySequence<byte> headBytes, "\r\n\r\n"u8))
            return buffer.Length > HeadBytesMax ? throw new IOException("the head of an answer does not end") : null;
        var head = Encoding.Latin1.GetString(headBytes);
        var status = head.StartsWith("HTTP/1.", StringComparison.Ordinal) && head.Length >= 12 && int.TryParse(head.AsSpan(9, 3), out var code) ? code : throw new IOException("the master does not speak HTTP/1.1");
        var (length, chunked, last) = (0L, false, head[7] == '0');
        foreach (var line in head.AsSpan().Split("\r\n"))
        {
            var text = head.AsSpan()[line];
            if (ValueOf(text, "Content-Length") is { Length: > 0 } number && !long.TryParse(number, out length)) throw new IOException("an answer's Content-Length is no number");
            chunked |= ValueOf(text, "Transfer-Encoding").Equals("chunked", StringComparison.OrdinalIgnoreCase);
            last |= ValueOf(text, "Connection").Equals("close", StringComparison.OrdinalIgnoreCase);
        }
        if (length is < 0 or > BodyBytesMax) throw new IOException($"an answer of {length} bytes is larger than {BodyBytesMax}");
        var body = new StringBuilder();
        if (chunked)
        {
            if (!TryReadChunks(ref reader, body)) return null;
        }
        else
        {
            if (reader.Remaining < length) return null;
            if (length > 0) body.Append(Encoding.UTF8.GetString(reader.UnreadSequence.Slice(0, length)));
            reader.Advance(length);
        }
        buffer = reader.UnreadSequence;
        return new(status, body.ToString(), last);
    }

    private static ReadOnlySpan<char> ValueOf(ReadOnlySpan<char> line, string name) =>
        line.Length > name.Length && line[name.Length] == ':' && line.StartsWith(name, StringComparison.OrdinalIgnoreCase) ? line[(name.Length + 1)..].Trim() : [];

    private static bool TryReadChunks(ref SequenceReader<byte> reader, StringBuilder body)
    {
        while (reader.TryReadTo(out ReadOnlySequence<byte> size, "\r\n"u8))
        {
            if (!Utf8Parser.TryParse(size.ToArray(), out int length, out _, 'x') || length < 0 || length > BodyBytesMax - body.Length) throw new IOException("an answer has a chunk of no size");
            if (length == 0) return TryReadTrailers(ref reader);
            if (reader.Remaining < length + 2) return false;
            body.Append(Encoding.UTF8.GetString(reader.UnreadSequence.Slice(0, length)));
            reader.Advance(length + 2);
        }
        return false;
    }

    /// <summary><c>*(name: value CRLF) CRLF</c> behind the last chunk; nobody reads them.</summary>
    private static bool TryReadTrailers(ref SequenceReader<byte> reader)
    {
        var all = reader.Remaining;
        while (reader.TryReadTo(out ReadOnlySequence<byte> line, "\r\n"u8))
        {
            if (line.IsEmpty) return true;
        }
        return all > HeadBytesMax ? throw new IOException("the trailers of an answer do not end") : false;
    }
}
