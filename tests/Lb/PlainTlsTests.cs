using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Authentication;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Lb;
using Declarative.Lb.Proxy;
using Declarative.Lb.Proxy.Plain;
using Declarative.Lb.Tls;
using Declarative.Tests.Client;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>TLS on the event loops: what they take, and that everything inside arrives as it was sent.</summary>
public sealed class PlainTlsTests
{
    private const string Host = "shop.example";
    private static readonly TimeSpan HangAfter = TimeSpan.FromSeconds(30);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>HTTP/1.1 alone, with a certificate of either kind; the rest is Kestrel's.</summary>
    [Fact]
    public void LoopsTakeHandshakesThatMeanHttp1()
    {
        using var authority = new TestAuthority();
        var options = new LbOptions();
        foreach (var rsa in (bool[])[false, true])
        {
            var (certificates, key) = authority.Issue(Host, rsa: rsa);
            var certificate = new TlsCertificate(System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPem(certificates, key), []);
            using var loops = new PlainProxy(options, new LbRoutes(options), NullLogger.Instance) { Certificate = _ => certificate };
            Hello One(bool http1, bool http2) => new(Host, IsPart: false, IsWhole: true, http1, http2);
            Assert.NotNull(loops.ContextFor(One(http1: true, http2: false)));
            Assert.Null(loops.ContextFor(One(http1: true, http2: true)));
            Assert.Null(loops.ContextFor(One(http1: false, http2: false)));
        }
    }

    /// <summary>The keys of tickets go with it.</summary>
    [Fact]
    public void AContextIsUsedForADay()
    {
        using var authority = new TestAuthority();
        var options = new LbOptions();
        var (certificates, key) = authority.Issue(Host);
        var certificate = new TlsCertificate(System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPem(certificates, key), []);
        var time = new ManualTime();
        using var loops = new PlainProxy(options, new LbRoutes(options), NullLogger.Instance) { Certificate = _ => certificate, Time = time };
        var hello = new Hello(Host, IsPart: false, IsWhole: true, SpeaksHttp1: true, SpeaksHttp2: false);
        var first = loops.ContextFor(hello);
        time.Advance(TimeSpan.FromHours(23));
        Assert.Same(first, loops.ContextFor(hello));
        time.Advance(TimeSpan.FromHours(1));
        var second = loops.ContextFor(hello);
        Assert.NotNull(second);
        Assert.NotSame(first, second);
    }

    /// <summary>Far more handshakes at once than a loop goes on with in one turn.</summary>
    [Fact]
    public async Task ManyHandshakesAtOnceAllEnd()
    {
        await using var world = await LbWorld.Start();
        await Site(world);
        await Task.WhenAll(Enumerable.Range(0, 200).Select(async _ =>
        {
            await using var stream = await Connect(world, SslProtocols.None);
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n"), Stop);
            Assert.Contains("\r\nshop\r\n", await ToEnd(stream), StringComparison.Ordinal);
        }));
    }

    [Fact]
    public async Task AHeadWithTooManyLinesIsRefusedLoggedAndCounted()
    {
        var file = Path.Combine(Path.GetTempPath(), $"lb-access-{Environment.ProcessId}-{Guid.NewGuid():N}.log");
        try
        {
            await using (var world = await LbWorld.Start(x => x with { AccessLog = file }))
            {
                await Site(world);
                await using var stream = await Connect(world, SslProtocols.None);
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {Host}\r\n{string.Concat(Enumerable.Range(0, 200).Select(x => $"X-{x}: 1\r\n"))}\r\n"), Stop);
                Assert.StartsWith("HTTP/1.1 431 ", await ToEnd(stream), StringComparison.Ordinal);
                Assert.Contains($":{world.Options.HttpsPort}\"}} 1\n", await world.Get(world.Options.AdminPort, "/metrics"), StringComparison.Ordinal);
            }
            var line = JsonNode.Parse((await File.ReadAllLinesAsync(file, Stop)).Single())!;
            Assert.Equal((431, true, "127.0.0.1"), ((int)line["status"]!, (bool)line["tls"]!, (string)line["client"]!));
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Requests that a loop carries and one that it gives away, in one stream, cut into records of every size.</summary>
    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task RequestsOfBothWaysKeepTheirOrder(SslProtocols version)
    {
        await using var world = await LbWorld.Start();
        var backend = await Site(world);
        var requests = new StringBuilder();
        for (var i = 0; i < 20; i++) requests.Append(System.Globalization.CultureInfo.InvariantCulture, $"POST /echo HTTP/1.1\r\nHost: {Host}\r\nContent-Length: 4\r\n\r\n<{i:00}>");
        requests.Append($"POST /echo HTTP/1.1\r\nHost: {Host}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<20>\r\n0\r\n\r\n");
        requests.Append($"GET /seen HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n");
        var bytes = Encoding.ASCII.GetBytes(requests.ToString());
        for (var step = 97; step <= bytes.Length; step *= 3)
        {
            await using var stream = await Connect(world, version);
            for (var at = 0; at < bytes.Length; at += step) await stream.WriteAsync(bytes.AsMemory(at, Math.Min(step, bytes.Length - at)), Stop);
            var all = await ToEnd(stream);
            var last = 0;
            for (var i = 0; i < 21; i++)
            {
                var next = all.IndexOf($"<{i:00}>", last, StringComparison.Ordinal);
                Assert.True(next >= 0, $"no answer {i} behind {last}: {all}");
                last = next;
            }
            Assert.Contains("X-Forwarded-Proto: https", all[last..], StringComparison.Ordinal);
        }
        Assert.Equal(0, backend.Inside);
    }

    /// <summary>A large answer waits for a client that does not read, and the end of the connection is told.</summary>
    [Fact]
    public async Task AClientThatDoesNotReadGetsEverythingOnceItDoes()
    {
        await using var world = await LbWorld.Start();
        var backend = await Site(world);
        await using var stream = await Connect(world, SslProtocols.None, receiveBuffer: 4096);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET /download HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n"), Stop);
        await Eventually.True(() => backend.Inside == 1, "the endpoint answers");
        backend.Release();
        await using (var other = await Connect(world, SslProtocols.None))
        {
            await other.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n"), Stop);
            Assert.Contains("\r\nshop\r\n", await ToEnd(other), StringComparison.Ordinal);
        }
        var all = await ToEnd(stream);
        Assert.Equal(2_000_000, all.Length - all.IndexOf("\r\n\r\n", StringComparison.Ordinal) - 4);
    }

    [Fact]
    public async Task AWebSocketGoesInsideOfTls()
    {
        await using var world = await LbWorld.Start();
        await Site(world);
        using var client = new TlsClient(world.Options.HttpsPort);
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new($"wss://{Host}/ws"), client.Http, Stop);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, Stop);
        var buffer = new byte[16];
        var got = await socket.ReceiveAsync(buffer, Stop);
        Assert.Equal("hello", Encoding.ASCII.GetString(buffer, 0, got.Count));
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Stop);
    }

    /// <summary>Bytes that are no handshake, or one that breaks off, end their own connection.</summary>
    [Fact]
    public async Task WhatIsNoHandshakeHarmsNobody()
    {
        await using var world = await LbWorld.Start();
        await Site(world);
        var random = new Random(1);
        for (var i = 0; i < 100; i++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, world.Options.HttpsPort), Stop);
            var noise = new byte[random.Next(1, 600)];
            random.NextBytes(noise);
            noise[0] = 22;
            if (noise.Length > 5) (noise[1], noise[2], noise[3], noise[4], noise[5]) = (3, 1, (byte)(noise.Length >> 8), (byte)noise.Length, 1);
            await socket.SendAsync(noise, Stop);
            if (i % 2 == 0) socket.LingerState = new(true, 0);
        }
        await using var stream = await Connect(world, SslProtocols.None);
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"GET / HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n"), Stop);
        Assert.Contains("\r\nshop\r\n", await ToEnd(stream), StringComparison.Ordinal);
    }

    private static async Task<Backend> Site(LbWorld world)
    {
        var backend = await world.Backend("shop");
        var port = await world.Publish("shop", [backend], appProtocol: "http");
        await world.Host(Host, "shop", port);
        return backend;
    }

    private static async Task<SslStream> Connect(LbWorld world, SslProtocols version, int receiveBuffer = 0)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBuffer > 0) socket.ReceiveBufferSize = receiveBuffer;
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, world.Options.HttpsPort), Stop);
        var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = Host, EnabledSslProtocols = version, RemoteCertificateValidationCallback = static (_, _, _, _) => true }, Stop);
        return stream;
    }

    private static async Task<string> ToEnd(SslStream stream)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        limit.CancelAfter(HangAfter);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        return await reader.ReadToEndAsync(limit.Token);
    }
}
