using System.Net.Sockets;

namespace Declarative.Lb.Proxy;

internal enum FirstBytes
{
    /// <summary>Nothing came in the time given.</summary>
    Silent,
    Closed,
    Http1,

    /// <summary>The client connection preface of RFC 9113 section 3.4.</summary>
    Http2,
    Other,
}

/// <summary>Looks at the first bytes of a connection without taking them.</summary>
internal static class Sniffer
{
    // Longest registered HTTP method (UPDATEREDIRECTREF) and the space after it.
    private const int PeekBytes = 24;
    private static readonly TimeSpan PartWait = TimeSpan.FromMilliseconds(5);
    private static readonly byte[] Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray();

    public static async Task<FirstBytes> Look(Socket socket, TimeSpan wait)
    {
        if (socket.Available == 0)
        {
            using var timeout = new CancellationTokenSource(wait);
            try
            {
                await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, timeout.Token);
            }
            catch (OperationCanceledException)
            {
                return FirstBytes.Silent;
            }
        }
        var until = Environment.TickCount64 + (long)wait.TotalMilliseconds;
        while (true)
        {
            var (seen, more) = Peek(socket);
            if (!more) return seen;
            // The first line came in pieces, which hardly ever happens.
            if (Environment.TickCount64 > until) return FirstBytes.Other;
            await Task.Delay(PartWait);
        }
    }

    private static (FirstBytes Seen, bool More) Peek(Socket socket)
    {
        Span<byte> buffer = stackalloc byte[PeekBytes];
        var count = socket.Receive(buffer, SocketFlags.Peek, out var error);
        if (error == SocketError.WouldBlock) return (FirstBytes.Silent, true);
        if (error != SocketError.Success || count == 0) return (FirstBytes.Closed, false);
        return Judge(buffer[..count]);
    }

    /// <summary>RFC 9112 section 3: method SP request-target; a method is a token, in practice of capital letters and dashes.</summary>
    internal static (FirstBytes Seen, bool More) Judge(ReadOnlySpan<byte> bytes)
    {
        // RFC 9112 section 2.2: a server should ignore an empty line before the request line.
        bytes = bytes.TrimStart("\r\n"u8);
        var common = Math.Min(bytes.Length, Preface.Length);
        if (common > 3 && bytes[..common].SequenceEqual(Preface.AsSpan(0, common))) return common >= 16 ? (FirstBytes.Http2, false) : (FirstBytes.Other, true);
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] == ' ') return (i >= 3 && (i + 1 == bytes.Length || bytes[i + 1] is (byte)'/' or (byte)'*' or (>= (byte)'a' and <= (byte)'z') or (>= (byte)'A' and <= (byte)'Z')) ? FirstBytes.Http1 : FirstBytes.Other, false);
            if (bytes[i] is not ((>= (byte)'A' and <= (byte)'Z') or (byte)'-')) return (FirstBytes.Other, false);
        }
        return (FirstBytes.Other, bytes.Length < 20);
    }
}
