using System.Buffers;
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
        var hello = Parse(bytes);
        return (hello.Name, hello.IsPart);
    }

    public static Hello Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes is not ([] or [22, ..])) return Hello.None;
        // One handshake message may lie in several records.
        var message = ArrayPool<byte>.Shared.Rent(bytes.Length);
        try
        {
            return Parse(bytes, message);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    private static Hello Parse(ReadOnlySpan<byte> bytes, byte[] message)
    {
        var length = 0;
        while (bytes.Length >= 5)
        {
            if (bytes[0] != 22) return Hello.None;
            var record = BinaryPrimitives.ReadUInt16BigEndian(bytes[3..]);
            var here = Math.Min(record, bytes.Length - 5);
            bytes.Slice(5, here).CopyTo(message.AsSpan(length));
            length += here;
            bytes = bytes[(5 + here)..];
        }
        var hello = message.AsSpan(0, length);
        if (length < 4) return length == 0 || hello[0] == 1 ? Hello.Part : Hello.None;
        if (hello[0] != 1) return Hello.None;
        var whole = hello[1] << 16 | hello[2] << 8 | hello[3];
        if (length < 4 + whole) return Hello.Part;
        ReadOnlySpan<byte> rest = hello.Slice(4, whole);
        // Version, random, session id, cipher suites, compression methods.
        if (!Skip(ref rest, 34) || !SkipVector(ref rest, 1) || !SkipVector(ref rest, 2) || !SkipVector(ref rest, 1) || rest.Length < 2) return Hello.None;
        rest = rest[2..];
        var server = "";
        var protocols = ReadOnlySpan<byte>.Empty;
        while (rest.Length >= 4)
        {
            var (type, size) = (BinaryPrimitives.ReadUInt16BigEndian(rest), BinaryPrimitives.ReadUInt16BigEndian(rest[2..]));
            if (rest.Length < 4 + size) return Hello.None;
            // server_name: a list with one entry of type host_name.
            if (type == 0 && size >= 5 && rest[6] == 0 && BinaryPrimitives.ReadUInt16BigEndian(rest[7..]) is var name && name <= size - 5) server = Encoding.ASCII.GetString(rest.Slice(9, name)).ToLowerInvariant();
            // application_layer_protocol_negotiation (RFC 7301 section 3.1).
            else if (type == 16 && size >= 2) protocols = rest.Slice(6, size - 2);
            rest = rest[(4 + size)..];
        }
        return new(server, IsPart: false, IsWhole: true, protocols.IsEmpty || Offers(protocols, "http/1.1"u8), Offers(protocols, "h2"u8));
    }

    private static bool Offers(ReadOnlySpan<byte> protocols, ReadOnlySpan<byte> wanted)
    {
        while (protocols is [var length, .. var names] && length <= names.Length)
        {
            if (names[..length].SequenceEqual(wanted)) return true;
            protocols = names[length..];
        }
        return false;
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

/// <summary>What a TLS client has said first.</summary>
/// <param name="Name">The server name in lower case, "" = none.</param>
/// <param name="IsPart">More has to come.</param>
/// <param name="SpeaksHttp1">HTTP/1.1 may be chosen; so it may where no protocol is named.</param>
internal readonly record struct Hello(string Name, bool IsPart, bool IsWhole, bool SpeaksHttp1, bool SpeaksHttp2)
{
    /// <summary>It is no TLS.</summary>
    public static Hello None { get; } = new("", false, false, false, false);

    public static Hello Part { get; } = new("", true, false, false, false);
}
