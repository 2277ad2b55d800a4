namespace Declarative.Lb.Proxy.Plain;

/// <summary>What there is to know of an endpoint's answer to pass it on and to find its end (RFC 9112 section 6).</summary>
internal struct AnswerHead
{
    private const int HeadersMax = 1000;

    public enum Reading
    {
        /// <summary>More has to come.</summary>
        Part,
        Whole,
        Bad,
    }

    public int Status;

    /// <summary>-1 = not told.</summary>
    public long Length;
    public bool IsChunked;

    /// <summary>The connection may be used again afterwards.</summary>
    public bool KeepsAlive;
    public bool HasDate;

    /// <summary>Of the head.</summary>
    public int Bytes;

    /// <param name="to">As large as what has come and 16 bytes: the status line and the headers that go on are written there.</param>
    public static Reading Read(ReadOnlySpan<byte> seen, Span<byte> to, out AnswerHead head, out int written)
    {
        head = new() { Length = -1, KeepsAlive = true };
        written = 0;
        var end = seen.IndexOf("\r\n\r\n"u8);
        if (end < 0) return seen.Length >= 5 && !seen.StartsWith("HTTP/"u8) ? Reading.Bad : Reading.Part;
        var all = seen[..(end + 2)];
        head.Bytes = end + 4;
        var at = all.IndexOf((byte)'\n') + 1;
        if (!head.TryStatus(all[..at])) return Reading.Bad;
        "HTTP/1.1"u8.CopyTo(to);
        all[8..at].CopyTo(to[8..]);
        written = at;
        for (var count = 0; at < all.Length; count++)
        {
            if (count == HeadersMax || !HeadBytes.TryLine(all[at..], out var name, out var value, out var bytes) || !HeadBytes.HasNoControls(value)) return Reading.Bad;
            var goesOn = true;
            switch (name.Length)
            {
                case 4 when HeadBytes.Is(name, "date"u8):
                    head.HasDate = true;
                    break;
                case 10 when HeadBytes.Is(name, "connection"u8):
                    if (HeadBytes.Is(value, "close"u8)) head.KeepsAlive = false;
                    else if (HeadBytes.Is(value, "keep-alive"u8)) head.KeepsAlive = true;
                    else head.KeepsAlive = false; // words that this reader does not know
                    goesOn = false;
                    break;
                case 7 when HeadBytes.Is(name, "upgrade"u8):
                case 10 when HeadBytes.Is(name, "keep-alive"u8):
                case 16 when HeadBytes.Is(name, "proxy-connection"u8):
                    goesOn = false;
                    break;
                case 14 when HeadBytes.Is(name, "content-length"u8):
                    var length = HeadBytes.Length(value);
                    if (length < 0 || (head.Length >= 0 && head.Length != length)) return Reading.Bad;
                    goesOn = head.Length < 0;
                    head.Length = length;
                    break;
                case 17 when HeadBytes.Is(name, "transfer-encoding"u8):
                    if (head.IsChunked || !HeadBytes.Is(value, "chunked"u8)) return Reading.Bad;
                    head.IsChunked = true;
                    break;
            }
            if (goesOn)
            {
                all.Slice(at, bytes).CopyTo(to[written..]);
                written += bytes;
            }
            at += bytes;
        }
        // Both at once is one message to one reader and another to the next (RFC 9112 section 6.3).
        return head is { IsChunked: true, Length: >= 0 } ? Reading.Bad : Reading.Whole;
    }

    /// <summary>status-line = HTTP-version SP status-code SP [ reason-phrase ]</summary>
    private bool TryStatus(ReadOnlySpan<byte> line)
    {
        if (line.Length < 14 || line[^2] != '\r' || line[8] != ' ') return false;
        if (line.StartsWith("HTTP/1.0"u8)) KeepsAlive = false;
        else if (!line.StartsWith("HTTP/1.1"u8)) return false;
        var status = HeadBytes.Length(line.Slice(9, 3));
        if (status is < 100 or > 999 || line[12] is not ((byte)' ' or (byte)'\r') || !HeadBytes.HasNoControls(line[..^2])) return false;
        Status = (int)status;
        return true;
    }
}
