using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Clients that mean no good: what they send reaches an endpoint once or not at all, and others are served meanwhile.</summary>
public sealed class HostileTests
{
    private static readonly TimeSpan HangAfter = TimeSpan.FromSeconds(60);

    /// <summary>A second request that hides behind the first one would have been answered by then.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromMilliseconds(200);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Each of these could be taken for two requests by one side and for one by the other (RFC 9112 sections 6 and 11.2).</summary>
    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nAAAAAGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")] // obs-fold
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nAAAAAGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;\nAAAAA\r\n0\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nA")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX\u0000Y: 1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: 1\u0000\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("GET /\u0001 HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("GET / HTTP/1.1 \r\nHost: a\r\n\r\n")]
    [InlineData("GET / HTTP/9.9\r\nHost: a\r\n\r\n")]
    [InlineData("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\nHost: a\n\n")]
    [InlineData("GET/without-a-target HTTP/1.1\r\nHost: a\r\n\r\n")]
    public async Task NeverTwoRequestsWhereOneWasSent(string bytes)
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        var answer = await Raw(port, bytes, closes: false);
        Assert.True(backend.Requests <= 1, $"{backend.Requests} requests; {answer}");
        Assert.Equal("a", await world.Get(port)); // and whoever comes next has an answer of his own
    }

    /// <summary>RFC 9110 section 8.6: a length is digits alone. Whoever reads another number than the next one on the way sees other requests.</summary>
    [Theory]
    [InlineData("+5")]
    [InlineData("-0")]
    [InlineData("5,5")]
    [InlineData("5 5")]
    [InlineData("0x5")]
    [InlineData("")]
    [InlineData("99999999999999999999")]
    public async Task ALengthThatIsNotAllDigitsIsRefusedBeforeAnEndpointSeesIt(string length)
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        Assert.StartsWith("HTTP/1.1 400 ", await Raw(port, $"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nAAAAA", closes: true), StringComparison.Ordinal);
        var second = await Raw(port, $"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nAAAAA", closes: true);
        Assert.StartsWith("HTTP/1.1 200 ", second, StringComparison.Ordinal);
        Assert.Contains("HTTP/1.1 400 ", second, StringComparison.Ordinal);
        Assert.Equal(1, backend.Requests); // the good one before
    }

    /// <summary>What a client sends after its request on one connection is its own request, whatever the first one was.</summary>
    [Fact]
    public async Task PipelinedRequestsAreAnsweredInOrder()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        var answer = await Raw(port, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\noneGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", closes: true);
        Assert.Equal(2, answer.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.True(answer.IndexOf("one", StringComparison.Ordinal) < answer.LastIndexOf("HTTP/1.1 200", StringComparison.Ordinal), answer);
        Assert.Equal(2, backend.Requests);
    }

    [Fact]
    public async Task HeadersThatAreTooLargeOrTooManyAreRefusedBeforeAnEndpointSeesThem()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        Assert.StartsWith("HTTP/1.1 431 ", await Raw(port, $"GET / HTTP/1.1\r\nHost: a\r\nX: {new string('x', 40_000)}\r\n\r\n", closes: true), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 431 ", await Raw(port, "GET / HTTP/1.1\r\nHost: a\r\n" + string.Concat(Enumerable.Range(0, 200).Select(x => $"X-{x}: 1\r\n")) + "\r\n", closes: true), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 431 ", await Raw(port, "GET / HTTP/1.1\r\nHost: a\r\n" + string.Concat(Enumerable.Range(0, 1000).Select(x => $"X-{x:D6}: {new string('f', 52)}\r\n")) + "\r\n", closes: true), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 414 ", await Raw(port, $"GET /{new string('x', 20_000)} HTTP/1.1\r\nHost: a\r\n\r\n", closes: true), StringComparison.Ordinal);
        Assert.Equal(0, backend.Requests);
    }

    [Fact]
    public async Task ClientsThatSendAByteNowAndThenAreCutOffAndOthersAreServed()
    {
        await using var world = await LbWorld.Start(x => x with { RequestHeadTimeout = TimeSpan.FromSeconds(1) });
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        var slow = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Connect(port)));
        foreach (var socket in slow) await socket.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nX"u8.ToArray(), Stop);
        for (var i = 0; i < 20; i++) Assert.Equal("a", await world.Get(port));
        foreach (var socket in slow)
        {
            using (socket) Assert.StartsWith("HTTP/1.1 408 ", await ReadAll(socket), StringComparison.Ordinal);
        }
        Assert.Equal(20, backend.Requests);
    }

    [Fact]
    public async Task ManyIdleConnectionsDisturbNobody()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")], appProtocol: "http");
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var idle = new List<Socket>();
        for (var i = 0; i < 5000; i++) idle.Add(await Connect(port));
        await Eventually.True(() => Connections(world) >= idle.Count, "all are accepted");
        Assert.InRange((GC.GetTotalMemory(forceFullCollection: true) - before) / idle.Count, 0, 16 * 1024); // client's and balancer's side of each
        for (var i = 0; i < 50; i++) Assert.Equal("a", await world.Get(port));
        Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight);
        foreach (var socket in idle) socket.Dispose();
    }

    private static int Connections(LbWorld world) =>
        int.Parse(world.Get(world.Options.AdminPort, "/metrics").GetAwaiter().GetResult().Split('\n').Single(x => x.StartsWith("declarative_lb_connections_open ", StringComparison.Ordinal)).Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>CVE-2023-44487: streams that are opened and reset as fast as the client can.</summary>
    [Fact]
    public async Task ARapidResetEndsTheConnectionAndNothingStaysInFlight()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        using var socket = await Connect(port);
        await Send(socket, Preface());
        var flood = new List<byte>();
        for (var stream = 1; stream < 20_000; stream += 2)
        {
            flood.AddRange(Frame(1, 0x5, stream, Head));
            flood.AddRange(Frame(3, 0, stream, [0, 0, 0, 8])); // CANCEL
        }
        await Send(socket, [.. flood]);
        await ReadToEnd(socket);
        await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight == 0, "nothing is in flight");
        Assert.Equal("a", await world.Get(port));
    }

    /// <summary>Header blocks without an end (CERT VU#421644).</summary>
    [Fact]
    public async Task AFloodOfContinuationsEndsTheConnection()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend], appProtocol: "http");
        using var socket = await Connect(port);
        await Send(socket, [.. Preface(), .. Frame(1, 0x1, 1, Head)]);
        // A literal header that is never indexed: name "x", value of 4,000 bytes, again and again.
        byte[] header = [0x10, 1, (byte)'x', 0x7f, .. Length(4000 - 127), .. Enumerable.Repeat((byte)'y', 4000)];
        for (var i = 0; i < 500; i++)
        {
            if (!await Send(socket, Frame(9, 0, 1, header))) break;
        }
        await ReadToEnd(socket);
        Assert.Equal(0, backend.Requests);
        Assert.Equal("a", await world.Get(port));

        static byte[] Length(int value)
        {
            var bytes = new List<byte>();
            for (; value >= 128; value >>= 7) bytes.Add((byte)(value & 127 | 128));
            return [.. bytes, (byte)value];
        }
    }

    /// <summary>HPACK (RFC 7541): GET, http, "/", authority "a".</summary>
    private static byte[] Head => [0x82, 0x86, 0x84, 0x41, 1, (byte)'a'];

    private static byte[] Preface() => [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(4, 0, 0, [])];

    /// <summary>RFC 9113 section 4.1.</summary>
    private static byte[] Frame(byte type, byte flags, int stream, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        frame[0] = (byte)(payload.Length >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(1), (ushort)payload.Length);
        (frame[3], frame[4]) = (type, flags);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        return frame;
    }

    private static async Task<Socket> Connect(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), Stop);
        return socket;
    }

    /// <returns>False where the other side has closed.</returns>
    private static async Task<bool> Send(Socket socket, byte[] bytes)
    {
        try
        {
            for (var sent = 0; sent < bytes.Length;) sent += await socket.SendAsync(bytes.AsMemory(sent), SocketFlags.None, Stop);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <param name="closes">The balancer ends the connection; else the client does, once an answer has come and nothing more for a while.</param>
    private static async Task<string> Raw(int port, string text, bool closes)
    {
        using var socket = await Connect(port);
        await Send(socket, Encoding.Latin1.GetBytes(text));
        if (closes) return await ReadAll(socket);
        await socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None, Stop);
        await Task.Delay(Quiet, Stop);
        socket.Shutdown(SocketShutdown.Send);
        return await ReadAll(socket);
    }

    private static async Task<string> ReadAll(Socket socket) => Encoding.Latin1.GetString(await ReadToEnd(socket));

    /// <summary>Until the other side closes or resets.</summary>
    private static async Task<byte[]> ReadToEnd(Socket socket)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        limit.CancelAfter(HangAfter);
        var all = new MemoryStream();
        var buffer = new byte[65_536];
        try
        {
            while (await socket.ReceiveAsync(buffer, SocketFlags.None, limit.Token) is > 0 and var count) all.Write(buffer, 0, count);
        }
        catch (SocketException)
        {
            return all.ToArray(); // a reset says as much as an end
        }
        return all.ToArray();
    }
}
