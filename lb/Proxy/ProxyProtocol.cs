using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Lb.Proxy;

/// <summary>
/// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): who the client of a connection is, told before its first byte.
/// <code>
/// v1: "PROXY " ("TCP4" | "TCP6") " " source " " destination " " sport " " dport CRLF  |  "PROXY UNKNOWN" … CRLF
/// v2: 12 bytes of signature, version and command, family and transport, length (16 bits), addresses, TLVs
/// </code>
/// </summary>
internal static class ProxyProtocol
{
    /// <summary>Longest line of version 1, section 2.1.</summary>
    private const int LineBytesMax = 107;
    private const int Head2Bytes = 16;

    /// <summary>Addresses and TLVs of version 2 that are taken; the length field allows 65,535.</summary>
    private const int Body2BytesMax = 2048;

    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    /// <summary>Takes the header off the connection.</summary>
    /// <returns>The client; the peer itself where the header says that there is no other; null where there is no right header.</returns>
    public static async Task<IPEndPoint?> Take(Socket socket, IPEndPoint peer, TimeSpan wait)
    {
        using var limit = new CancellationTokenSource(wait);
        var buffer = new byte[Head2Bytes + Body2BytesMax];
        try
        {
            // Never more than what must still come, so that the first byte of what follows stays in the socket.
            for (var count = 0; ;)
            {
                var need = Needed(buffer.AsSpan(0, count));
                if (need < 0) return null;
                if (need == 0) return Read(buffer.AsSpan(0, count), peer);
                if (count + need > buffer.Length) return null;
                var got = await socket.ReceiveAsync(buffer.AsMemory(count, need), limit.Token);
                if (got == 0) return null;
                count += got;
            }
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>The header for an endpoint.</summary>
    public static byte[] Write(int version, IPEndPoint client, IPEndPoint listener)
    {
        var (source, destination) = (Plain(client.Address), Plain(listener.Address));
        if (source.AddressFamily != destination.AddressFamily) (source, destination) = (source.MapToIPv6(), destination.MapToIPv6());
        var v6 = source.AddressFamily == AddressFamily.InterNetworkV6;
        if (version == 1) return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"PROXY {(v6 ? "TCP6" : "TCP4")} {source} {destination} {client.Port} {listener.Port}\r\n"));
        var size = v6 ? 16 : 4;
        var bytes = new byte[Head2Bytes + 2 * size + 4];
        Signature.CopyTo(bytes);
        bytes[12] = 0x21; // version 2, PROXY
        bytes[13] = (byte)(v6 ? 0x21 : 0x11); // AF_INET6 or AF_INET, STREAM
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(14), (ushort)(2 * size + 4));
        source.TryWriteBytes(bytes.AsSpan(16), out _);
        destination.TryWriteBytes(bytes.AsSpan(16 + size), out _);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(16 + 2 * size), (ushort)client.Port);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(18 + 2 * size), (ushort)listener.Port);
        return bytes;
    }

    /// <returns>How many bytes surely still belong to the header; 0 = it is whole; below 0 = it is none.</returns>
    internal static int Needed(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return 1;
        if (bytes[0] == 'P')
        {
            var common = Math.Min(bytes.Length, 6);
            if (!bytes[..common].SequenceEqual("PROXY "u8[..common])) return -1;
            if (bytes.EndsWith("\r\n"u8)) return 0;
            // One by one: the line is short, and what follows it is not ours.
            return bytes.Length < LineBytesMax ? (bytes.Length < 13 ? 13 - bytes.Length : 1) : -1;
        }
        var known = Math.Min(bytes.Length, Signature.Length);
        if (!bytes[..known].SequenceEqual(Signature[..known])) return -1;
        if (bytes.Length < Head2Bytes) return Head2Bytes - bytes.Length;
        var body = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        return body > Body2BytesMax ? -1 : Head2Bytes + body - bytes.Length;
    }

    /// <param name="bytes">A whole header.</param>
    internal static IPEndPoint? Read(ReadOnlySpan<byte> bytes, IPEndPoint peer)
    {
        if (bytes[0] == 'P')
        {
            var words = Encoding.ASCII.GetString(bytes[..^2]).Split(' ');
            if (words is ["PROXY", "UNKNOWN", ..]) return peer;
            return words is ["PROXY", "TCP4" or "TCP6", var source, _, var port, _] && IPAddress.TryParse(source, out var address)
                && ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                && address.AddressFamily == (words[1] == "TCP4" ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6) ? new(Plain(address), number) : null;
        }
        if (bytes[12] == 0x20) return peer; // LOCAL: a check of the proxy's own
        if (bytes[12] != 0x21) return null;
        return (bytes[13] >> 4, bytes.Length) switch
        {
            (1, >= Head2Bytes + 12) => new(new IPAddress(bytes[16..20]), BinaryPrimitives.ReadUInt16BigEndian(bytes[24..])),
            (2, >= Head2Bytes + 36) => new(Plain(new IPAddress(bytes[16..32])), BinaryPrimitives.ReadUInt16BigEndian(bytes[48..])),
            (1 or 2, _) => null,
            _ => peer, // AF_UNSPEC, AF_UNIX
        };
    }

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
