using System.Net;
using System.Net.Sockets;
using System.Text;
using Declarative.Lb.Proxy;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>The PROXY protocol in and out.</summary>
public sealed class ProxyProtocolTests
{
    private static readonly IPEndPoint Peer = new(IPAddress.Loopback, 9);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1, "192.0.2.7", "198.51.100.1")]
    [InlineData(2, "192.0.2.7", "198.51.100.1")]
    [InlineData(1, "2001:db8::7", "2001:db8::1")]
    [InlineData(2, "2001:db8::7", "2001:db8::1")]
    public void WhatIsWrittenIsReadByteByByte(int version, string client, string listener)
    {
        var bytes = ProxyProtocol.Write(version, new(IPAddress.Parse(client), 4711), new(IPAddress.Parse(listener), 80));
        for (var count = 0; count < bytes.Length; count++)
        {
            var need = ProxyProtocol.Needed(bytes.AsSpan(0, count));
            Assert.InRange(need, 1, bytes.Length - count); // never more than the header has
        }
        Assert.Equal(0, ProxyProtocol.Needed(bytes));
        Assert.Equal(new IPEndPoint(IPAddress.Parse(client), 4711), ProxyProtocol.Read(bytes, Peer));
    }

    [Fact]
    public void TheLineOfVersionOneIsAsSpecified() =>
        Assert.Equal("PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n", Encoding.ASCII.GetString(ProxyProtocol.Write(1, new(IPAddress.Parse("192.0.2.7"), 4711), new(IPAddress.Parse("198.51.100.1"), 80))));

    [Theory]
    [InlineData("PROXY UNKNOWN\r\n", "127.0.0.1:9")]
    [InlineData("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1:9")]
    [InlineData("PROXY TCP4 999.0.2.7 198.51.100.1 1 2\r\n", null)]
    [InlineData("PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.7\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n", null)]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n", "192.0.2.7:4711")]
    public void LinesAreRead(string line, string? client) => Assert.Equal(client, ProxyProtocol.Read(Encoding.ASCII.GetBytes(line), Peer)?.ToString());

    /// <summary>Section 2.2: the sender's own connection (LOCAL), and clients without an address of IP, are those that have connected.</summary>
    [Theory]
    [InlineData(0x20, 0x00, 0, "127.0.0.1:9")]
    [InlineData(0x20, 0x11, 12, "127.0.0.1:9")]
    [InlineData(0x21, 0x00, 0, "127.0.0.1:9")]
    [InlineData(0x21, 0x31, 216, "127.0.0.1:9")] // AF_UNIX
    [InlineData(0x21, 0x11, 12, "192.0.2.7:4711")]
    [InlineData(0x21, 0x11, 20, "192.0.2.7:4711")] // with something behind the addresses
    [InlineData(0x21, 0x11, 8, null)]
    [InlineData(0x31, 0x11, 12, null)] // version 3
    public void HeadersOfVersionTwoAreRead(byte command, byte family, int length, string? client)
    {
        byte[] header = [.. "\r\n\r\n\0\r\nQUIT\n"u8, command, family, 0, (byte)length, .. new byte[length]];
        byte[] addresses = [192, 0, 2, 7, 198, 51, 100, 1, 4711 >> 8, 4711 & 0xff, 0, 80];
        addresses.AsSpan(0, Math.Min(length, addresses.Length)).CopyTo(header.AsSpan(16));
        Assert.Equal(0, ProxyProtocol.Needed(header));
        Assert.Equal(client, ProxyProtocol.Read(header, Peer)?.ToString());
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 and on and on and on and on and on and on and on and on and on and on and on ")]
    [InlineData("\r\n\r\n\0\r\nQUIX")]
    public void WhatIsNoHeaderIsFound(string text) => Assert.True(ProxyProtocol.Needed(Encoding.Latin1.GetBytes(text)) < 0);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task TheClientBehindAProxyIsTheOneThatIsNamed(int version)
    {
        await using var world = await LbWorld.Start(x => x with { ProxyProtocolFrom = [IPNetwork.Parse("127.0.0.1/32")] });
        var port = await world.Publish("hello", [await world.Backend("a")]);
        await world.Settings("hello", ("allow", "192.0.2.0/24"));
        Assert.Contains("X-Forwarded-For: 192.0.2.7", await Ask(ProxyProtocol.Write(version, new(IPAddress.Parse("192.0.2.7"), 4711), new(IPAddress.Loopback, port))), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 403 ", await Ask(ProxyProtocol.Write(version, new(IPAddress.Parse("198.51.100.7"), 4711), new(IPAddress.Loopback, port))), StringComparison.Ordinal);
        Assert.Equal("", await Ask([])); // without a header nobody is let in

        async Task<string> Ask(byte[] header)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port, Stop);
            await client.GetStream().WriteAsync((byte[])[.. header, .. "GET /seen HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"u8], Stop);
            try
            {
                return await new StreamReader(client.GetStream(), Encoding.ASCII).ReadToEndAsync(Stop);
            }
            catch (IOException)
            {
                return "";
            }
        }
    }

    /// <summary>Ports are open on every address, and the client is one that another proxy has named.</summary>
    [Theory]
    [InlineData("tcp")]
    [InlineData("")]
    public async Task AnEndpointIsToldTheAddressThatWasAskedAndTheClientBehindTheProxy(string appProtocol)
    {
        await using var world = await LbWorld.Start(x => x with { Address = IPAddress.Any, ProxyProtocolFrom = [IPNetwork.Parse("127.0.0.1/32")] });
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = LbWorld.FreePort();
        await world.Service("db", port, appProtocol);
        await world.Slice("db", [new("a", ((IPEndPoint)listener.LocalEndpoint).Port)]);
        await world.Routed("db", 1);
        await world.Settings("db", ("send-proxy", "v1"));
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Stop);
        await client.GetStream().WriteAsync((byte[])[.. ProxyProtocol.Write(2, new(IPAddress.Parse("192.0.2.7"), 4711), new(IPAddress.Parse("192.0.2.1"), 80)), 1], Stop);
        using var server = await listener.AcceptSocketAsync(Stop);
        using var lines = new StreamReader(new NetworkStream(server), Encoding.ASCII);
        Assert.Equal($"PROXY TCP4 192.0.2.7 127.0.0.1 4711 {port}", await lines.ReadLineAsync(Stop));
    }

    [Theory]
    [InlineData("v1", "tcp")]
    [InlineData("v2", "tcp")]
    [InlineData("v2", "")]
    public async Task AnEndpointIsToldWhoAsks(string version, string appProtocol)
    {
        await using var world = await LbWorld.Start();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = LbWorld.FreePort();
        await world.Service("db", port, appProtocol);
        await world.Slice("db", [new("a", ((IPEndPoint)listener.LocalEndpoint).Port)]);
        await world.Routed("db", 1);
        await world.Settings("db", ("send-proxy", version));
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, Stop);
        await client.GetStream().WriteAsync("\u0001\u0002\u0003"u8.ToArray(), Stop);
        using var server = await listener.AcceptSocketAsync(Stop);
        var expected = ProxyProtocol.Write(version == "v1" ? 1 : 2, (IPEndPoint)client.Client.LocalEndPoint!, new(IPAddress.Loopback, port));
        var got = new byte[expected.Length + 3];
        for (var count = 0; count < got.Length;) count += await server.ReceiveAsync(got.AsMemory(count), SocketFlags.None, Stop);
        Assert.Equal([.. expected, 1, 2, 3], got);
    }
}
