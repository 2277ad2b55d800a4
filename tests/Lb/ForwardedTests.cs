using System.Net;
using System.Net.Sockets;
using System.Text;
using Declarative.Lb.Proxy;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Header <c>Forwarded</c> (RFC 7239): an annotation asks for it in place of X-Forwarded-For and its kin, or beside them.</summary>
public sealed class ForwardedTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null, false, true)]
    [InlineData("x-forwarded", false, true)]
    [InlineData("forwarded", true, false)]
    [InlineData("both", true, true)]
    [InlineData("none", false, false)]
    public async Task TheEndpointIsToldAsTheAnnotationSays(string? setting, bool forwarded, bool xForwarded)
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")], appProtocol: "http");
        await world.Settings("hello", ("forwarded", setting));
        var seen = (await world.Ask(port, "/seen", x => x.Headers.Host = "shop.example")).Split('\n');
        Assert.Equal(forwarded ? ["Forwarded: for=127.0.0.1;proto=http;host=\"shop.example\""] : [], seen.Where(x => x.StartsWith("Forwarded:", StringComparison.Ordinal)));
        Assert.Equal(xForwarded ? ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: shop.example", $"X-Forwarded-Port: {port}", "X-Forwarded-Proto: http"] : [], seen.Where(x => x.StartsWith("X-Forwarded", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    /// <summary>Section 4: each proxy adds its own at the end. Section 6: an address of IPv6 is in brackets, and for its colons in quotes.</summary>
    [Theory]
    [InlineData("192.0.2.7", null, "for=192.0.2.7;proto=http;host=\"shop.example:8080\"")]
    [InlineData("2001:db8::7", null, "for=\"[2001:db8::7]\";proto=http;host=\"shop.example:8080\"")]
    [InlineData("192.0.2.7", "for=_hidden;by=203.0.113.1", "for=_hidden;by=203.0.113.1, for=192.0.2.7;proto=http;host=\"shop.example:8080\"")]
    public async Task WhatEarlierProxiesSaidComesFirst(string client, string? before, string expected)
    {
        await using var world = await LbWorld.Start(x => x with { ProxyProtocolFrom = [IPNetwork.Parse("127.0.0.1/32")] });
        var port = await world.Publish("hello", [await world.Backend("a")], appProtocol: "http");
        await world.Settings("hello", ("forwarded", "forwarded"));
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, port, Stop);
        var request = $"GET /seen HTTP/1.1\r\nHost: shop.example:8080\r\nConnection: close\r\n{(before is null ? "" : $"Forwarded: {before}\r\n")}\r\n";
        await socket.GetStream().WriteAsync((byte[])[.. ProxyProtocol.Write(2, new(IPAddress.Parse(client), 4711), new(IPAddress.Loopback, port)), .. Encoding.ASCII.GetBytes(request)], Stop);
        using var reader = new StreamReader(socket.GetStream(), Encoding.ASCII);
        Assert.Contains($"Forwarded: {expected}\n", (await reader.ReadToEndAsync(Stop)).Replace("\r\n", "\n", StringComparison.Ordinal) + "\n", StringComparison.Ordinal);
    }
}
