using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Lb.Proxy;

/// <summary>The server name in the first message of a TLS client (RFC 8446 section 4.1.2, RFC 6066 section 3), looked at without taking it.</summary>
internal static class ClientHello
{
    /// <summary>A hello with post-quantum key shares has about 1.8 KB; one that is longer than this has no name that is looked for.</summary>
    private const int BytesMax = 16 * 1024;
    private static readonly TimeSpan PartWait = TimeSpan.FromMilliseconds(5);

    /// <returns>In lower case; "" where there is none.</returns>
    public static async Task<string> ServerName(Socket socket, TimeSpan wait)
    {
        var buffer = new byte[BytesMax];
        for (var until = Environment.TickCount64 + (long)wait.TotalMilliseconds; ;)
        {
            var count = socket.Receive(buffer, SocketFlags.Peek, out var error);
            if (error is not (SocketError.Success or SocketError.WouldBlock) || (error == SocketError.Success && count == 0)) return "";
            var (name, more) = Read(buffer.AsSpan(0, error == SocketError.WouldBlock ? 0 : count));
            if (!more || count == BytesMax || Environment.TickCount64 > until) return name;
            await Task.Delay(PartWait);
        }
    }

    /// <returns>More = what has come so far is the beginning of one.</returns>
    internal static (string Name, bool More) Read(ReadOnlySpan<byte> bytes)
    {
        // One handshake message may lie in several records.
        var message = new byte[bytes.Length];
        var length = 0;
        while (bytes.Length >= 5)
        {
            if (bytes[0] != 22) return ("", false);
            var record = BinaryPrimitives.ReadUInt16BigEndian(bytes[3..]);
            var here = Math.Min(record, bytes.Length - 5);
            bytes.Slice(5, here).CopyTo(message.AsSpan(length));
            length += here;
            bytes = bytes[(5 + here)..];
        }
        var hello = message.AsSpan(0, length);
        if (length < 4) return ("", length == 0 || hello[0] == 1);
        if (hello[0] != 1) return ("", false);
        var whole = hello[1] << 16 | hello[2] << 8 | hello[3];
        if (length < 4 + whole) return ("", true);
        ReadOnlySpan<byte> rest = hello.Slice(4, whole);
        // Version, random, session id, cipher suites, compression methods.
        if (!Skip(ref rest, 34) || !SkipVector(ref rest, 1) || !SkipVector(ref rest, 2) || !SkipVector(ref rest, 1) || rest.Length < 2) return ("", false);
        rest = rest[2..];
        while (rest.Length >= 4)
        {
            var (type, size) = (BinaryPrimitives.ReadUInt16BigEndian(rest), BinaryPrimitives.ReadUInt16BigEndian(rest[2..]));
            if (rest.Length < 4 + size) return ("", false);
            // server_name: a list with one entry of type host_name.
            if (type == 0 && size >= 5 && rest[6] == 0 && BinaryPrimitives.ReadUInt16BigEndian(rest[7..]) is var name && name <= size - 5) return (Encoding.ASCII.GetString(rest.Slice(9, name)).ToLowerInvariant(), false);
            rest = rest[(4 + size)..];
        }
        return ("", false);
    }

    private static bool Skip(ref ReadOnlySpan<byte> rest, int count)
    {
        if (rest.Length < count) return false;
        rest = rest[count..];
        return true;
    }

    private static bool SkipVector(ref ReadOnlySpan<byte> rest, int lengthBytes)
    {
        if (rest.Length < lengthBytes) return false;
        var length = lengthBytes == 1 ? rest[0] : BinaryPrimitives.ReadUInt16BigEndian(rest);
        rest = rest[lengthBytes..];
        return Skip(ref rest, length);
    }
}
