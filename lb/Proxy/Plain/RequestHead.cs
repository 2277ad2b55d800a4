using System.Buffers;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>
/// The requests that go by the event loop: HTTP/1.1 in its plainest form, whole but for a body that streams, nothing in them that two readers could read in two ways.
/// Whatever is not surely that is refused here, which costs nothing but time: it lies where it was and Kestrel judges it.
/// </summary>
internal ref struct RequestHead
{
    /// <summary>Kestrel's: more is its to refuse.</summary>
    private const int LineBytesMax = 8 * 1024;
    private const int HeadersMax = 100;

    /// <summary>RFC 3986 pchar, "/" and "?"; without the characters that some take for others.</summary>
    private static readonly SearchValues<byte> TargetBytes = SearchValues.Create("-._~!$&'()*+,;=:@/?%0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);
    private static readonly SearchValues<byte> HostBytes = SearchValues.Create("-._:[]0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    public ReadOnlySpan<byte> Method;
    public ReadOnlySpan<byte> Target;
    public ReadOnlySpan<byte> Host;
    public ReadOnlySpan<byte> UserAgent;

    /// <summary>Empty where it streams.</summary>
    public ReadOnlySpan<byte> Body;

    /// <summary>Of the head and <see cref="Body"/>.</summary>
    public int Bytes;

    /// <summary>The body is not in what has come, or not all of it, and is passed on as it comes.</summary>
    public bool Streams;

    /// <summary>How a body that streams ends: by its last chunk, or after <see cref="Length"/> bytes.</summary>
    public bool IsChunked;
    public long Length;

    /// <summary>The client waits with it for an interim answer (RFC 9110 section 10.1.1).</summary>
    public bool Expects;

    /// <summary>The client's next request may come on the same connection.</summary>
    public bool KeepsAlive;
    public bool IsHead;

    /// <summary>The connection is to become a websocket (RFC 6455 section 4.1).</summary>
    public bool IsUpgrade;

    /// <summary>May be sent again where nothing was answered (RFC 9110 section 9.2.2).</summary>
    public bool IsIdempotent;

    /// <summary>The method is one whose requests have bodies.</summary>
    private bool _mayStream;

    /// <summary>Reads the first request of what has come, and writes its line and the headers that go on.</summary>
    /// <param name="to">As large as what has come.</param>
    /// <param name="forwardedFor">What earlier proxies have said of the client, to be gone on with; empty = nothing.</param>
    public static bool TryRead(ReadOnlySpan<byte> seen, Span<byte> to, out RequestHead head, out int written, out ReadOnlySpan<byte> forwardedFor)
    {
        head = new() { KeepsAlive = true };
        written = 0;
        forwardedFor = default;
        var end = seen.IndexOf("\r\n\r\n"u8);
        if (end < 0) return false;
        var all = seen[..(end + 2)];
        if (!head.TryLine(all, out var at)) return false;
        all[..at].CopyTo(to);
        written = at;
        var hasLength = false;
        bool upgrade = false, websocket = false;
        for (var count = 0; at < all.Length; count++)
        {
            if (count == HeadersMax || !HeadBytes.TryLine(all[at..], out var name, out var value, out var bytes) || !HeadBytes.IsValue(value)) return false;
            var goesOn = true;
            switch (name.Length)
            {
                case 4 when HeadBytes.Is(name, "host"u8):
                    if (!head.Host.IsEmpty || value.IsEmpty || value.ContainsAnyExcept(HostBytes)) return false;
                    head.Host = value;
                    break;
                case 10 when HeadBytes.Is(name, "connection"u8):
                    if (HeadBytes.Is(value, "close"u8)) head.KeepsAlive = false;
                    else if (HeadBytes.Is(value, "upgrade"u8) || HeadBytes.Is(value, "keep-alive, upgrade"u8)) upgrade = true;
                    else if (!HeadBytes.Is(value, "keep-alive"u8)) return false;
                    goesOn = false;
                    break;
                case 10 when HeadBytes.Is(name, "keep-alive"u8):
                    goesOn = false;
                    break;
                case 10 when HeadBytes.Is(name, "user-agent"u8):
                    head.UserAgent = value;
                    break;
                case 14 when HeadBytes.Is(name, "content-length"u8):
                    head.Length = HeadBytes.Length(value);
                    if (hasLength || head.Length < 0) return false;
                    hasLength = true;
                    break;
                case 15 when HeadBytes.Is(name, "x-forwarded-for"u8):
                    if (!forwardedFor.IsEmpty) return false;
                    forwardedFor = value;
                    goesOn = false;
                    break;
                case 16 when HeadBytes.Is(name, "x-forwarded-host"u8) || HeadBytes.Is(name, "x-forwarded-port"u8):
                case 17 when HeadBytes.Is(name, "x-forwarded-proto"u8):
                    goesOn = false;
                    break;
                case 7 when HeadBytes.Is(name, "upgrade"u8):
                    if (websocket || !HeadBytes.Is(value, "websocket"u8)) return false;
                    websocket = true;
                    goesOn = false;
                    break;
                case 17 when HeadBytes.Is(name, "transfer-encoding"u8):
                    if (head.IsChunked || !HeadBytes.Is(value, "chunked"u8)) return false;
                    head.IsChunked = true;
                    break;
                case 6 when HeadBytes.Is(name, "expect"u8):
                    if (head.Expects || !HeadBytes.Is(value, "100-continue"u8)) return false;
                    head.Expects = true;
                    break;
                case 2 when HeadBytes.Is(name, "te"u8):
                case 7 when HeadBytes.Is(name, "trailer"u8):
                case 14 when HeadBytes.Is(name, "http2-settings"u8):
                case 16 when HeadBytes.Is(name, "proxy-connection"u8):
                case 19 when HeadBytes.Is(name, "proxy-authorization"u8):
                    return false;
            }
            if (goesOn)
            {
                all.Slice(at, bytes).CopyTo(to[written..]);
                written += bytes;
            }
            at += bytes;
        }
        if (head.Host.IsEmpty || upgrade != websocket || (upgrade && (hasLength || head.IsChunked || !head.Method.SequenceEqual("GET"u8)))) return false;
        // Both are one message to one reader and another to the next (RFC 9112 section 6.3).
        if (head.IsChunked && hasLength) return false;
        head.Streams = head.IsChunked || head.Length > seen.Length - end - 4;
        if (head.Streams && !head._mayStream) return false;
        head.IsUpgrade = upgrade;
        head.Bytes = end + 4;
        if (head.Streams) return true;
        head.Body = seen.Slice(end + 4, (int)head.Length);
        head.Bytes += head.Body.Length;
        return true;
    }

    /// <summary>A request whose head has more lines than anybody here reads, whatever follows.</summary>
    public static bool HasTooManyLines(ReadOnlySpan<byte> seen)
    {
        var end = seen.IndexOf("\r\n\r\n"u8);
        var head = end < 0 ? seen : seen[..(end + 2)];
        return head.Count((byte)'\n') > HeadersMax + 1 && default(RequestHead).TryLine(head, out _);
    }

    /// <summary>The path as the endpoint sees it is the one that is looked at: nothing in it is decoded or taken out.</summary>
    public readonly bool TryPath(out ReadOnlySpan<byte> path)
    {
        var query = Target.IndexOf((byte)'?');
        path = query < 0 ? Target : Target[..query];
        return !path.Contains((byte)'%') && path.IndexOf("/."u8) < 0 && path.IndexOf("//"u8) < 0;
    }

    /// <summary>request-line = method SP request-target SP HTTP-version</summary>
    private bool TryLine(ReadOnlySpan<byte> all, out int bytes)
    {
        bytes = all.IndexOf((byte)'\n') + 1;
        if (bytes is < 16 or > LineBytesMax || !all[..bytes].EndsWith(" HTTP/1.1\r\n"u8)) return false;
        var space = all.IndexOf((byte)' ');
        if (space > bytes - 12) return false; // no target
        Method = all[..space];
        Target = all[(space + 1)..(bytes - 11)];
        switch (Method)
        {
            case [(byte)'G', (byte)'E', (byte)'T']:
            case [(byte)'D', (byte)'E', (byte)'L', (byte)'E', (byte)'T', (byte)'E']:
                IsIdempotent = true;
                break;
            case [(byte)'H', (byte)'E', (byte)'A', (byte)'D']:
                IsIdempotent = IsHead = true;
                break;
            case [(byte)'P', (byte)'U', (byte)'T']:
                IsIdempotent = _mayStream = true;
                break;
            case [(byte)'P', (byte)'O', (byte)'S', (byte)'T']:
            case [(byte)'P', (byte)'A', (byte)'T', (byte)'C', (byte)'H']:
                _mayStream = true;
                break;
            default:
                return false;
        }
        return Target is [(byte)'/', ..] && !Target.ContainsAnyExcept(TargetBytes);
    }
}
