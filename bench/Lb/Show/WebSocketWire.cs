using System.Security.Cryptography;
using System.Text;

namespace Declarative.Bench.Lb.Show;

/// <summary>Websocket messages shorter than 126 bytes (RFC 6455 section 5.2).</summary>
internal static class WebSocketWire
{
    public const byte Text = 1;
    public const byte Close = 8;

    private const string Key = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // section 1.3

    /// <summary>The answer to the key in a request's head.</summary>
    public static string Accept(string head)
    {
        var line = head.Split("\r\n").First(x => x.StartsWith("Sec-WebSocket-Key:", StringComparison.OrdinalIgnoreCase));
        return Convert.ToBase64String(SHA1.HashData(Encoding.ASCII.GetBytes(line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() + Key)));
    }

    /// <param name="mask">As clients must; by one that changes nothing.</param>
    public static byte[] Of(byte code, ReadOnlySpan<byte> message, bool mask) =>
        [(byte)(0x80 | code), (byte)((mask ? 0x80 : 0) | message.Length), .. mask ? "\0\0\0\0"u8 : [], .. message];

    /// <summary>null = the connection has ended.</summary>
    public static async ValueTask<(byte Code, byte[] Message)?> Read(HeadReader reader, CancellationToken stop)
    {
        if (await reader.Take(2, stop) is not { } head) return null;
        var (code, masked, length) = ((byte)(head.Span[0] & 0x0f), (head.Span[1] & 0x80) != 0, head.Span[1] & 0x7f);
        if (length > 125) throw new InvalidDataException("a message that is too long");
        if (await reader.Take((masked ? 4 : 0) + length, stop) is not { } rest) return null;
        var message = rest[(masked ? 4 : 0)..].ToArray();
        for (var i = 0; masked && i < length; i++) message[i] ^= rest.Span[i % 4];
        return (code, message);
    }
}
